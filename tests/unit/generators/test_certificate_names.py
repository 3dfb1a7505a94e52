from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509

from keyturn.domain.errors import InvalidParameterError
from keyturn.generators.certificate_names import FIELDS, CertificateNames
from keyturn.generators.parameters import Parameters


def read(**written: Any) -> CertificateNames:
    return CertificateNames.read(Parameters(written, *FIELDS))


def refusal(**written: Any) -> str:
    with pytest.raises(InvalidParameterError) as caught:
        read(**written)
    return str(caught.value)


def test_the_common_name_is_the_subject() -> None:
    names = read(commonName="Orders CA, 2030")

    assert names.subject.rfc4514_string() == r"CN=Orders CA\, 2030"
    assert names.alternatives == ()


def test_without_a_common_name_the_subject_is_empty_and_a_reader_must_know_the_others() -> None:
    names = read(dnsNames=["orders.example"])

    assert names.subject == x509.Name([])
    assert names.alternatives_are_critical
    assert not read(commonName="a", dnsNames=["b"]).alternatives_are_critical


def test_every_kind_of_name_is_an_alternative() -> None:
    names = read(
        dnsNames=["orders", "*.shop.example"],
        ipAddresses=["10.0.0.1", "fd00::1"],
        uris=["spiffe://example.com/orders"],
        emailAddresses=["ops+orders@example.com"],
    )

    assert names.alternatives == (
        x509.DNSName("orders"),
        x509.DNSName("*.shop.example"),
        x509.IPAddress(ip_address("10.0.0.1")),
        x509.IPAddress(ip_address("fd00::1")),
        x509.UniformResourceIdentifier("spiffe://example.com/orders"),
        x509.RFC822Name("ops+orders@example.com"),
    )


def test_a_name_that_is_written_twice_stands_there_once() -> None:
    names = read(
        dnsNames=["Orders.Example", "orders.example"],
        ipAddresses=["fd00::1", "fd00:0:0:0:0:0:0:1"],
    )

    assert len(names.alternatives) == 2


def test_a_certificate_needs_a_name() -> None:
    assert refusal() == (
        "commonName is missing, and so is every other name; write at least one of "
        "commonName, dnsNames, ipAddresses, uris, emailAddresses"
    )


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "a.b",
        "_acme-challenge.example.com",
        "xn--bcher-kva.example",
        "1.example",
        "a" * 63 + ".example",
        ".".join(["a" * 63] * 3) + "." + "a" * 61,
    ],
)
def test_a_dns_name_is_taken(name: str) -> None:
    assert read(dnsNames=[name]).alternatives == (x509.DNSName(name),)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("*", "is no DNS name"),
        ("*.", "is no DNS name"),
        ("a.*.example", "is no DNS name"),
        ("*a.example", "is no DNS name"),
        ("**.example", "is no DNS name"),
        ("*.*.example", "is no DNS name"),
        ("-a.example", "is no DNS name"),
        ("a-.example", "is no DNS name"),
        ("a..example", "is no DNS name"),
        (".example", "is no DNS name"),
        ("example.", "is no DNS name"),
        ("a b", "is no DNS name"),
        ("a/b", "is no DNS name"),
        ("a:443", "is no DNS name"),
        ("a" * 64, "is no DNS name"),
        ("bücher.example", "which is not ASCII; write its A-label, as xn--bcher-kva.example"),
        ("10.0.0.1", "which belongs in ipAddresses"),
        ("a\0.example", "must be a list of at most 100 texts"),
    ],
)
def test_what_is_no_dns_name_is_refused(name: str, message: str) -> None:
    assert message in refusal(dnsNames=[name])


@pytest.mark.parametrize(
    "address", ["10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.0/8", "fe80::1%eth0", "::g", "orders"]
)
def test_what_is_no_ip_address_is_refused(address: str) -> None:
    assert refusal(ipAddresses=[address]) == (
        f"ipAddresses holds {address!r}, which is no IP address; write for example 10.0.0.1 or "
        "fd00::1"
    )


@pytest.mark.parametrize(
    "uri", ["/orders", "//a/b", "http", "1a:b", "a b:c", "a:b c", "ä:b", "a:ä"]
)
def test_what_is_no_absolute_uri_is_refused(uri: str) -> None:
    assert "which is no absolute URI in ASCII" in refusal(uris=[uri])


@pytest.mark.parametrize("uri", ["http://[::1", "http://[a]b/"])
def test_a_uri_with_half_an_ip_address_is_refused(uri: str) -> None:
    assert "which is no absolute URI in ASCII" in refusal(uris=[uri])


@pytest.mark.parametrize(
    "email", ["ops", "@example.com", "ops@", "a b@c", "ops@exa_mple..com", "ö@example.com", "a@b@c"]
)
def test_what_is_no_email_address_is_refused(email: str) -> None:
    assert "which is no e-mail address in ASCII" in refusal(emailAddresses=[email])


@pytest.mark.parametrize(
    ("field", "name", "most"),
    [("dnsNames", "n{}", 100), ("ipAddresses", "10.0.0.{}", 100), ("uris", "a:{}", 20)],
)
def test_there_may_be_so_many_and_no_more(field: str, name: str, most: int) -> None:
    enough = [name.format(number) for number in range(most)]

    assert len(read(**{field: enough}).alternatives) == most
    assert f"{field} must be a list of at most {most}" in refusal(**{field: [*enough, "one:more"]})


@pytest.mark.parametrize("name", ["", "a" * 65, "a\nb"])
def test_a_common_name_has_1_to_64_printable_characters(name: str) -> None:
    assert refusal(commonName=name).startswith("commonName must be a text of 1 to 64 printable")
