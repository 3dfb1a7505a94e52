"""What may be called: the ways to write a forbidden address, and those that are no URL at all."""

from ipaddress import ip_address

import pytest

from keyturn.domain.errors import InvalidParameterError
from keyturn.rotators.addresses import MAX_URL, check_url, objection

# Each of them has led some client to 127.0.0.1, to 169.254.169.254, or away from HTTP.
FORBIDDEN = [
    "https://127.0.0.1/",
    "https://127.0.0.1:8443/",
    "https://127.1/",
    "https://127.0.1/",
    "https://127.255.255.254/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0x7F.1/",
    "https://0177.0.0.1/",
    "https://0177.0.0.01/",
    "https://127.0.0.1./",
    "https://0127.0.0.1/",
    "https://256.256.256.256/",
    "https://127.0.0.1.1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://0x/",
    "https://[::1]/",
    "https://[::]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:ffff:7f00:0001]/",
    "https://[64:ff9b::127.0.0.1]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[64:ff9b:1::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[::1%25lo]/",
    "https://[::1%lo]/",
    "https://[127.0.0.1]/",
    "https://[::1/",
    "https://::1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://0251.0376.0251.0376/",
    "https://169.16689662/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[fd00:ec2::254]/",
    "https://[fd20:ce::254]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://240.0.0.1/",
    "https://10.96.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.0.1/",
    "https://100.64.0.1/",
    "https://198.18.0.1/",
    "https://[fc00::1]/",
    "https://[fd12:3456::1]/",
    "https://[2001:db8::1]/",
    "https://auth.example.com@127.0.0.1/",
    "https://auth.example.com:443@127.0.0.1/",
    "https://auth.example.com%40127.0.0.1/",
    "https://user@auth.example.com/",
    "https://@auth.example.com/",
    "https://127.0.0.1#@auth.example.com/",
    "https://127.0.0.1\\@auth.example.com/",
    "https://127.0.0.1\\.auth.example.com/",
    "https:\\\\127.0.0.1\\",
    "https:/127.0.0.1/",
    "https:127.0.0.1",
    "//127.0.0.1/",
    "127.0.0.1",
    "https:///127.0.0.1/",
    "https://auth.example.com:0/",
    "https://auth.example.com:65536/",
    "https://auth.example.com:-1/",
    "https://auth.example.com:443:80/",
    "https://auth.example.com:/",
    "https://auth.example.com:0443/",
    "https://①②⑦.⓪.⓪.①/",
    "https://127。0。0。1/",
    "https://ⓛocalhost/",
    "https://bücher.example/",
    "https://\u0430uth.example.com/",
    "https://%31%32%37.0.0.1/",
    "https://127.0.0.1%00.example.com/",
    "https://auth.example.com /",
    " https://auth.example.com/",
    "https://auth.example.com/\n",
    "https://auth.example.com/\r\nHost: a",
    "https://auth.example.com/a b",
    "https://auth.example.com/#fragment",
    "https://auth..example.com/",
    "https://.example.com/",
    "https://auth.example.com./",
    "https://-auth.example.com/",
    "https://auth_service.example.com/",
    "https://*/",
    "https://",
    "https:///",
    "HTTPS://auth.example.com/",
    "http://auth.example.com/",
    "ftp://auth.example.com/",
    "file:///etc/passwd",
    "file://auth.example.com/etc/passwd",
    "unix:///run/docker.sock",
    "http+unix://%2Frun%2Fdocker.sock/",
    "gopher://auth.example.com/",
    "data:text/plain,a",
    "jar:https://auth.example.com/!/",
    "javascript:alert(1)",
    "ws://auth.example.com/",
]

ALLOWED = [
    "https://auth.example.com",
    "https://auth.example.com/",
    "https://auth.example.com:8443/realms/shop/token?x=%41&y=@b",
    "https://xn--bcher-kva.example/",
    "https://AUTH.example.com/",
    "https://auth/",
    "https://1.auth.example/",
    "https://8.8.8.8/",
    "https://[2606:4700::1111]/",
    "https://[::ffff:8.8.8.8]/",
    "https://[64:ff9b::808:808]/",
]


def check(url: object, *, plain: bool = False, allow_private: bool = False) -> str:
    return check_url("tokenEndpoint", url, plain=plain, allow_private=allow_private)


@pytest.mark.parametrize("url", FORBIDDEN)
def test_what_may_not_be_called_is_refused_before_anything_is_resolved(url: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        check(url)
    assert refused.value.message.startswith("tokenEndpoint is ")


def test_sixty_forms_and_more_are_tried() -> None:
    assert len(set(FORBIDDEN)) > 60


@pytest.mark.parametrize("url", ALLOWED)
def test_what_is_public_passes_as_it_stands(url: str) -> None:
    assert check(url) == url


@pytest.mark.parametrize("url", [None, 5, b"https://auth.example.com/", ["https://a/"]])
def test_what_is_no_text_is_refused(url: object) -> None:
    with pytest.raises(InvalidParameterError):
        check(url)


def test_the_length_is_bounded() -> None:
    longest = "https://auth.example.com/".ljust(MAX_URL, "a")

    assert check(longest) == longest
    with pytest.raises(InvalidParameterError):
        check(longest + "a")


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "[::1]", "[fd12::1]", "[::ffff:a00:1]"])
def test_private_addresses_are_called_where_the_administrator_says_so(host: str) -> None:
    assert check(f"https://{host}/", allow_private=True)
    with pytest.raises(InvalidParameterError) as refused:
        check(f"https://{host}/")
    assert "allowPrivateAddresses: true" in refused.value.message


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "100.100.100.200",
        "168.63.129.16",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2002:a9fe:a9fe::",
        "255.255.255.255",
    ],
)
def test_the_metadata_services_and_their_like_are_never_called(address: str) -> None:
    assert "never called" in objection(ip_address(address), allow_private=True)


def test_http_is_taken_only_where_tls_is_switched_off() -> None:
    assert check("http://auth.example.com/", plain=True)
    assert check("https://auth.example.com/", plain=True)
    for url in ("ftp://auth.example.com/", "unix://run/docker.sock"):
        with pytest.raises(InvalidParameterError):
            check(url, plain=True)
