from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from generating import NOW
from keyturn.domain.errors import InvalidParameterError
from keyturn.generators.certificate_usages import CertificateUsages
from keyturn.generators.parameters import Parameters

BITS = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign"),
)


def read(*usages: str, is_ca: bool = False) -> CertificateUsages:
    written: dict[str, Any] = {"usages": list(usages)} if usages else {}
    return CertificateUsages.read(Parameters(written, "usages"), is_ca=is_ca)


def extensions(usages: CertificateUsages) -> x509.Extensions:
    """Put the usages into a certificate."""
    key = ed25519.Ed25519PrivateKey.generate()
    builder = x509.CertificateBuilder(x509.Name([]), x509.Name([]), key.public_key(), 1, NOW, NOW)
    return usages.add_to(builder).sign(key, None).extensions


def bits(usages: CertificateUsages) -> set[str]:
    found = extensions(usages).get_extension_for_class(x509.KeyUsage)
    assert found.critical
    return {bit for bit in BITS if getattr(found.value, bit)}


def test_a_certificate_that_names_none_is_for_a_server() -> None:
    usages = read()

    assert bits(usages) == {"digital_signature", "key_encipherment"}
    extended = extensions(usages).get_extension_for_class(x509.ExtendedKeyUsage)
    assert list(extended.value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not extended.critical


def test_an_authority_that_names_none_signs_certificates_and_lists_of_revoked_ones() -> None:
    usages = read(is_ca=True)

    assert bits(usages) == {"digital_signature", "key_cert_sign", "crl_sign"}
    assert usages.extended == ()


def test_an_authority_may_sign_whatever_else_it_names() -> None:
    assert bits(read("crl sign", is_ca=True)) == {"crl_sign", "key_cert_sign"}


@pytest.mark.parametrize(
    ("usage", "bit"),
    [
        ("signing", "digital_signature"),
        ("digital signature", "digital_signature"),
        ("content commitment", "content_commitment"),
        ("key encipherment", "key_encipherment"),
        ("key agreement", "key_agreement"),
        ("data encipherment", "data_encipherment"),
        ("crl sign", "crl_sign"),
    ],
)
def test_a_key_usage_sets_its_bit(usage: str, bit: str) -> None:
    assert bits(read(usage)) == {bit}


@pytest.mark.parametrize(
    ("usage", "number"),
    [
        ("any", "2.5.29.37.0"),
        ("server auth", "1.3.6.1.5.5.7.3.1"),
        ("client auth", "1.3.6.1.5.5.7.3.2"),
        ("code signing", "1.3.6.1.5.5.7.3.3"),
        ("email protection", "1.3.6.1.5.5.7.3.4"),
        ("s/mime", "1.3.6.1.5.5.7.3.4"),
        ("ipsec end system", "1.3.6.1.5.5.7.3.5"),
        ("ipsec tunnel", "1.3.6.1.5.5.7.3.6"),
        ("ipsec user", "1.3.6.1.5.5.7.3.7"),
        ("timestamping", "1.3.6.1.5.5.7.3.8"),
        ("ocsp signing", "1.3.6.1.5.5.7.3.9"),
    ],
)
def test_an_extended_usage_is_written_by_its_identifier(usage: str, number: str) -> None:
    found = extensions(read(usage))

    extended = found.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [identifier.dotted_string for identifier in extended] == [number]
    with pytest.raises(x509.ExtensionNotFound):
        found.get_extension_for_class(x509.KeyUsage)


@pytest.mark.parametrize("bit", ["encipher_only", "decipher_only"])
def test_key_agreement_may_be_narrowed(bit: str) -> None:
    usages = read("key agreement", bit.replace("_", " "))

    found = extensions(usages).get_extension_for_class(x509.KeyUsage).value
    assert getattr(found, bit)


@pytest.mark.parametrize(
    ("usages", "message"),
    [
        (["server"], "usages holds 'server'; write some of signing, digital signature, "),
        (["cert sign"], "usages holds 'cert sign'; write also isCA: true"),
        (["encipher only"], "usages holds 'encipher only' or 'decipher only'; write also 'key ag"),
        (["decipher only"], "usages holds 'encipher only' or 'decipher only'; write also 'key ag"),
        (["a" * 33], "usages must be a list of at most 20 texts, each of 1 to 32 characters"),
        ([f"u{number}" for number in range(21)], "usages must be a list of at most 20 texts"),
    ],
)
def test_a_usage_that_says_nothing_is_refused(usages: list[str], message: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        read(*usages)

    assert str(caught.value).startswith(message)
