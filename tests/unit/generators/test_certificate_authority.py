from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from generating import NOW, make, signed_by_itself
from keyturn.domain.errors import InvalidParameterError, SourceNotFoundError
from keyturn.domain.payload import SecretValue
from keyturn.generators.certificate_authority import CertificateAuthority
from keyturn.generators.tls import TLSGenerator

TLS = TLSGenerator()
FAST: dict[str, Any] = {"privateKey": {"algorithm": "Ed25519"}}
CANARY = b"canary-5Xz-never-shown"

Values = dict[str, bytes]


def an_authority(name: str = "Shop CA", **parameters: Any) -> Values:
    return make(TLS, "tls.key", commonName=name, isCA=True, **FAST, **parameters)


def read(values: Values) -> CertificateAuthority:
    hidden = {key: SecretValue(value) for key, value in values.items()}
    return CertificateAuthority.read("shop-ca", {"shop-ca": hidden})


def refusal(values: Values) -> str:
    """Return why an authority is refused; nothing of its Secret is in the text or behind it."""
    with pytest.raises(InvalidParameterError) as caught:
        read(values)
    message = str(caught.value)
    assert message.startswith("caSecretRef names the Secret 'shop-ca', ")
    assert CANARY.decode() not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


def encrypted() -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
    )


def of_dsa() -> bytes:
    key = dsa.generate_private_key(2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_the_secret_of_an_authority_is_read() -> None:
    values = an_authority()

    authority = read(values)

    assert authority.certificate == x509.load_pem_x509_certificate(values["tls.crt"])
    assert authority.key.public_key() == authority.certificate.public_key()
    assert authority.root_pem == values["ca.crt"]
    assert authority.intermediates == ()


def test_a_certificate_without_a_root_beside_it_is_its_own_root() -> None:
    values = an_authority()
    del values["ca.crt"]

    assert read(values).root_pem == values["tls.crt"]
    assert read({**values, "ca.crt": b""}).root_pem == values["tls.crt"]


def test_only_certificates_are_taken_from_beside_the_key() -> None:
    values = an_authority()

    root_pem = read({**values, "ca.crt": values["tls.key"] + values["ca.crt"]}).root_pem

    assert root_pem == values["ca.crt"]


def test_all_roots_of_a_bundle_are_kept() -> None:
    values, other = an_authority(), an_authority("Older CA")

    bundle = values["ca.crt"] + other["ca.crt"]

    assert read({**values, "ca.crt": bundle}).root_pem == bundle


def test_an_authority_below_another_brings_the_chain_along() -> None:
    root = an_authority("Root")
    below = make(
        TLS,
        "tls.key",
        secrets={"root": root},
        commonName="Below",
        isCA=True,
        caSecretRef={"name": "root"},
        **FAST,
    )

    authority = read(below)

    assert [each.subject.rfc4514_string() for each in authority.intermediates] == ["CN=Below"]
    assert authority.root_pem == root["tls.crt"]


def test_a_secret_that_is_not_there_is_named() -> None:
    with pytest.raises(SourceNotFoundError, match="'shop-ca', which is not there; create it"):
        CertificateAuthority.read("shop-ca", {})


@pytest.mark.parametrize("key", ["tls.crt", "tls.key"])
def test_a_key_that_is_missing_is_named(key: str) -> None:
    values = an_authority()
    del values[key]

    with pytest.raises(SourceNotFoundError, match=f"which has no key '{key}'; it needs tls.crt"):
        read(values)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("tls.crt", CANARY, "whose tls.crt holds no certificate in PEM; put one there"),
        ("tls.crt", b"", "whose tls.crt holds no certificate in PEM; put one there"),
        ("ca.crt", CANARY, "whose ca.crt holds no certificate in PEM; put one there"),
        ("tls.key", CANARY, "whose tls.key holds no private key in PEM; put one there"),
        ("tls.key", b"", "whose tls.key holds no private key in PEM; put one there"),
        (
            "tls.key",
            b"-----BEGIN PRIVATE KEY-----\n" + CANARY + b"\n-----END PRIVATE KEY-----\n",
            "whose tls.key holds no private key in PEM; put one there",
        ),
        ("tls.key", encrypted(), "whose tls.key is encrypted; put the key there without a"),
        ("tls.key", of_dsa(), "whose tls.key is neither RSA, ECDSA nor Ed25519; use one of these"),
    ],
    ids=[
        *("text for the certificate", "no certificate", "text for the root", "text for the key"),
        *("no key", "a broken key", "an encrypted key", "a key of DSA"),
    ],
)
def test_what_is_no_authority_is_refused_without_a_word_of_what_it_holds(
    key: str, value: bytes, message: str
) -> None:
    assert message in refusal({**an_authority(), key: value})


def test_a_key_of_another_certificate_is_refused() -> None:
    values = {**an_authority(), "tls.key": an_authority()["tls.key"]}

    assert "whose tls.key is not the key of its tls.crt" in refusal(values)


def test_a_certificate_that_may_sign_no_other_is_refused() -> None:
    server = make(TLS, "tls.key", commonName="Shop", **FAST)

    assert "whose tls.crt is not that of an authority" in refusal(server)


@pytest.mark.parametrize("usages", [(), ("key_cert_sign",), ("key_cert_sign", "crl_sign")])
def test_an_authority_of_another_maker_is_taken(usages: tuple[str, ...]) -> None:
    authority = read(signed_by_itself("CN=Old CA", *usages))

    assert authority.certificate.subject.rfc4514_string() == "CN=Old CA"


def test_an_authority_of_another_maker_that_signs_no_certificates_is_refused() -> None:
    assert "whose tls.crt is not that of an authority" in refusal(
        signed_by_itself("CN=Old CA", "crl_sign")
    )


def test_an_authority_without_a_name_is_refused() -> None:
    assert "whose certificate has no subject" in refusal(signed_by_itself(""))


def test_it_is_asked_whether_it_is_valid_now() -> None:
    authority = read(an_authority(duration="1h"))

    authority.check_validity(NOW)
    authority.check_validity(NOW + timedelta(minutes=59))
    with pytest.raises(
        InvalidParameterError, match="whose certificate expired at 2030-01-01T13:00"
    ):
        authority.check_validity(NOW + timedelta(hours=1))
    with pytest.raises(InvalidParameterError, match="valid only from 2030-01-01T11:55"):
        authority.check_validity(NOW - timedelta(minutes=6))


@pytest.mark.parametrize(("path_length", "may"), [(None, True), (1, True), (0, False)])
def test_it_is_asked_whether_it_may_sign_authorities(path_length: int | None, may: bool) -> None:
    authority = read(signed_by_itself("CN=CA", path_length=path_length))

    if may:
        authority.check_may_sign_authorities()
    else:
        with pytest.raises(InvalidParameterError, match="its path length is 0"):
            authority.check_may_sign_authorities()


def test_it_is_valid_as_long_as_its_whole_chain() -> None:
    values = an_authority()
    shorter = an_authority("Above", duration="1h", now=NOW + timedelta(minutes=10))

    authority = read({**values, "tls.crt": values["tls.crt"] + shorter["tls.crt"]})

    assert authority.not_before == NOW + timedelta(minutes=5)
    assert authority.not_after == NOW + timedelta(minutes=70)
