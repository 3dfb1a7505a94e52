import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import (
    PolicyBuilder,
    Store,
    VerificationError,
)

from generating import NOW, make, signed_by_itself
from keyturn.domain.errors import InvalidParameterError, SourceNotFoundError
from keyturn.generators.interface import Needs
from keyturn.generators.tls import TLSGenerator

TLS = TLSGenerator()
ECDSA: dict[str, Any] = {"privateKey": {"algorithm": "ECDSA"}}
FAST: dict[str, Any] = {"privateKey": {"algorithm": "Ed25519"}}
OF_CA: dict[str, Any] = {"caSecretRef": {"name": "shop-ca"}}

Values = dict[str, bytes]


def an_authority(name: str = "Shop CA", **parameters: Any) -> Values:
    return make(TLS, "tls.key", commonName=name, isCA=True, **{**ECDSA, **parameters})


def a_server(authority: Values, **parameters: Any) -> Values:
    written = {"dnsNames": ["orders.shop.svc"], **ECDSA, **OF_CA, **parameters}
    return make(TLS, "tls.key", secrets={"shop-ca": authority}, **written)


def certificates(values: Values, key: str = "tls.crt") -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(values[key])


def certificate(values: Values) -> x509.Certificate:
    return certificates(values)[0]


def verify(
    values: Values,
    name: x509.GeneralName,
    *,
    at: datetime = NOW,
    roots: bytes | None = None,
) -> list[x509.Certificate]:
    """Verify as a client that trusts the projected root does; return the chain."""
    assert isinstance(name, x509.DNSName | x509.IPAddress)
    trusted = x509.load_pem_x509_certificates(roots or values["ca.crt"])
    leaf, *intermediates = certificates(values)
    builder = PolicyBuilder().store(Store(trusted)).time(at)
    return builder.build_server_verifier(name).verify(leaf, intermediates)


def refusal(authority: Values, now: datetime = NOW, **parameters: Any) -> str:
    with pytest.raises(InvalidParameterError) as caught:
        make(
            TLS,
            secrets={"shop-ca": authority},
            now=now,
            commonName="a",
            **FAST,
            **OF_CA,
            **parameters,
        )
    return str(caught.value)


def test_it_fills_its_own_key_and_those_of_the_certificates() -> None:
    assert TLS.outputs("tls.key", {"commonName": "a"}) == {
        "privateKey": "tls.key",
        "certificate": "tls.crt",
        "ca": "ca.crt",
    }


def test_it_reads_the_secret_of_the_authority_and_nothing_else() -> None:
    assert TLS.needs({"commonName": "a", **OF_CA}) == Needs(secrets=frozenset({"shop-ca"}))
    assert TLS.needs({"commonName": "a"}) == Needs()


@pytest.mark.parametrize(
    "private_key",
    [
        {},
        {"algorithm": "RSA", "size": 3072, "encoding": "PKCS1"},
        {"algorithm": "ECDSA", "size": 384, "encoding": "PKCS1"},
        {"algorithm": "Ed25519"},
    ],
    ids=["default", "RSA", "ECDSA", "Ed25519"],
)
def test_the_private_key_is_that_of_the_certificate(private_key: dict[str, Any]) -> None:
    made = make(TLS, "tls.key", commonName="orders", privateKey=private_key)

    key = load_pem_private_key(made["tls.key"], password=None)
    assert key.public_key() == certificate(made).public_key()


def test_a_self_signed_certificate_is_its_own_authority() -> None:
    made = make(TLS, "tls.key", commonName="orders", **ECDSA)

    assert made["ca.crt"] == made["tls.crt"]
    certificate(made).verify_directly_issued_by(certificate(made))


def test_a_certificate_of_an_authority_is_verified_by_its_root() -> None:
    authority = an_authority()

    server = a_server(authority, dnsNames=["orders.shop.svc", "*.orders.example"])

    assert server["ca.crt"] == authority["tls.crt"]
    for name in ("orders.shop.svc", "a.orders.example"):
        chain = verify(server, x509.DNSName(name))
        assert chain == [certificate(server), certificate(authority)]


def test_a_certificate_is_for_its_names_only() -> None:
    server = a_server(an_authority(), ipAddresses=["10.0.0.1"])

    verify(server, x509.IPAddress(ip_address("10.0.0.1")))
    with pytest.raises(VerificationError):
        verify(server, x509.DNSName("payments.shop.svc"))
    with pytest.raises(VerificationError):
        verify(server, x509.IPAddress(ip_address("10.0.0.2")))


def test_a_certificate_is_not_verified_by_another_authority_of_that_name() -> None:
    server = a_server(an_authority())

    with pytest.raises(VerificationError):
        verify(server, x509.DNSName("orders.shop.svc"), roots=an_authority()["ca.crt"])


@pytest.mark.parametrize("algorithm", ["RSA", "ECDSA"])
@pytest.mark.parametrize("of_root", ["RSA", "ECDSA"])
def test_keys_of_different_algorithms_go_together(algorithm: str, of_root: str) -> None:
    authority = an_authority(privateKey={"algorithm": of_root})

    server = a_server(authority, privateKey={"algorithm": algorithm})

    assert verify(server, x509.DNSName("orders.shop.svc"))


def test_ed25519_signs_for_ed25519() -> None:
    """The verifier above knows no Ed25519, as browsers do not; so the signature is checked."""
    authority = an_authority(**FAST)

    server = a_server(authority, **FAST)

    certificate(server).verify_directly_issued_by(certificate(authority))
    assert certificate(server).signature_hash_algorithm is None


def test_a_chain_of_authorities_is_served_whole_but_for_the_root() -> None:
    root = an_authority("Root")
    upper = a_server(root, commonName="Upper", isCA=True, dnsNames=None)
    lower = a_server(upper, commonName="Lower", isCA=True, dnsNames=None)

    server = a_server(lower)

    assert server["ca.crt"] == root["tls.crt"]
    subjects = [each.subject.rfc4514_string() for each in certificates(server)]
    assert subjects == ["", "CN=Lower", "CN=Upper"]
    chain = verify(server, x509.DNSName("orders.shop.svc"))
    assert chain == [*certificates(server), certificate(root)]


def test_a_client_of_another_implementation_trusts_it(tmp_path: Path) -> None:
    """A handshake of OpenSSL: the files as a pod mounts them, and a client that has the root."""
    now = datetime.now(UTC)
    authority = an_authority(now=now)
    server = a_server(authority, now=now)
    for key, value in server.items():
        (tmp_path / key).write_bytes(value)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    asking = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))

    assert handshake(serving, asking, "orders.shop.svc")["subjectAltName"] == (
        ("DNS", "orders.shop.svc"),
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(serving, asking, "payments.shop.svc")


def handshake(serving: ssl.SSLContext, asking: ssl.SSLContext, name: str) -> dict[str, Any]:
    """Shake hands in memory; return what the client sees of the certificate."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(to_client, to_server, server_hostname=name)
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    seen: dict[str, Any] = client.getpeercert() or {}
    return seen


def test_each_certificate_names_the_key_of_its_issuer() -> None:
    authority = an_authority()

    found = certificate(a_server(authority)).extensions
    of_issuer = certificate(authority).extensions

    issuer = found.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert issuer == of_issuer.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert certificate(a_server(authority)).issuer == certificate(authority).subject


@pytest.mark.parametrize("is_ca", [True, False])
def test_the_constraints_say_whether_it_is_an_authority(is_ca: bool) -> None:
    made = certificate(make(TLS, commonName="a", isCA=is_ca, **FAST))

    found = made.extensions.get_extension_for_class(x509.BasicConstraints)
    assert found.critical
    assert found.value.ca is is_ca


def test_serial_numbers_are_positive_different_and_not_too_long() -> None:
    numbers = [certificate(make(TLS, commonName="a", **FAST)).serial_number for _ in range(50)]

    assert len(set(numbers)) == 50
    assert all(0 < number < 2**159 for number in numbers)
    assert max(numbers) > 2**150


@pytest.mark.parametrize(
    ("size", "digest"), [(256, hashes.SHA256), (384, hashes.SHA384), (521, hashes.SHA512)]
)
def test_the_digest_is_as_strong_as_the_key(size: int, digest: type) -> None:
    made = make(TLS, commonName="a", privateKey={"algorithm": "ECDSA", "size": size})

    assert isinstance(certificate(made).signature_hash_algorithm, digest)


@pytest.mark.parametrize("duration", [None, "1h", "3650d", "1h0.5s"])
def test_it_is_valid_as_long_as_is_asked_for(duration: str | None) -> None:
    lengths = {
        None: timedelta(days=90),
        "1h": timedelta(hours=1),
        "3650d": timedelta(days=3650),
        "1h0.5s": timedelta(hours=1),
    }

    made = certificate(make(TLS, commonName="a", duration=duration, **FAST))

    assert made.not_valid_after_utc == NOW + lengths[duration]


def test_it_is_valid_on_clocks_that_are_minutes_behind() -> None:
    made = certificate(make(TLS, commonName="a", **FAST))

    assert made.not_valid_before_utc == NOW - timedelta(minutes=5)


def test_before_and_after_its_time_it_is_not_verified() -> None:
    server = a_server(an_authority(), duration="1h")
    name = x509.DNSName("orders.shop.svc")

    verify(server, name, at=NOW + timedelta(minutes=59))
    with pytest.raises(VerificationError):
        verify(server, name, at=NOW + timedelta(minutes=61))
    with pytest.raises(VerificationError):
        verify(server, name, at=NOW - timedelta(minutes=6))


def test_a_default_duration_ends_with_the_authority() -> None:
    authority = an_authority(duration="30d")

    server = certificate(a_server(authority))

    assert server.not_valid_after_utc == NOW + timedelta(days=30)


def test_it_is_not_valid_before_the_authority() -> None:
    authority = an_authority(now=NOW + timedelta(minutes=7))

    server = certificate(a_server(authority, now=NOW + timedelta(minutes=3)))

    assert server.not_valid_before_utc == certificate(authority).not_valid_before_utc


def test_a_written_duration_longer_than_the_authority_is_refused() -> None:
    message = refusal(an_authority(duration="30d"), duration="31d")

    assert "duration is longer than the authority in the Secret 'shop-ca' is valid" in message
    assert "write at most duration: 30d, or renew the authority" in message


def test_an_authority_that_ends_within_the_hour_is_refused() -> None:
    message = refusal(an_authority(duration="2h"), now=NOW + timedelta(minutes=61))

    assert "expires at 2030-01-01T14:00:00+00:00, too soon for another one; renew it" in message


def test_an_authority_that_is_expired_is_refused() -> None:
    assert "whose certificate expired at" in refusal(
        an_authority(duration="1h"), now=NOW + timedelta(hours=2)
    )


def test_an_authority_that_is_not_valid_yet_is_refused() -> None:
    assert "is valid only from" in refusal(an_authority(now=NOW + timedelta(days=1)))


def test_a_chain_ends_with_the_first_of_its_authorities() -> None:
    root = an_authority("Root")
    below = a_server(root, commonName="Below", isCA=True, dnsNames=None, duration="30d")

    assert certificate(a_server(below)).not_valid_after_utc == NOW + timedelta(days=30)


def test_an_authority_that_signs_no_authorities_signs_servers_only() -> None:
    authority = signed_by_itself("CN=Last CA", path_length=0)

    assert certificate(a_server(authority)).issuer.rfc4514_string() == "CN=Last CA"
    assert "which may sign no other authority" in refusal(authority, isCA=True)


def test_a_secret_that_is_not_there_is_named() -> None:
    with pytest.raises(SourceNotFoundError, match="caSecretRef names the Secret 'shop-ca'"):
        make(TLS, commonName="a", **FAST, **OF_CA)


def test_the_names_and_usages_are_in_the_certificate() -> None:
    made = certificate(
        make(TLS, commonName="a", dnsNames=["a.example"], usages=["client auth"], **FAST)
    )

    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    usages = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert names.value.get_values_for_type(x509.DNSName) == ["a.example"]
    assert not names.critical
    assert [usage.dotted_string for usage in usages.value] == ["1.3.6.1.5.5.7.3.2"]
