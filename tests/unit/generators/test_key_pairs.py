from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from keyturn.domain.errors import InvalidParameterError
from keyturn.generators.key_pairs import FIELDS, KeyKind, KeySpec, public_pem
from keyturn.generators.parameters import Parameters


def read(**written: Any) -> KeySpec:
    return KeySpec.read(Parameters(written, *FIELDS))


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ({}, KeyKind("RSA", 2048)),
        ({"size": 8192}, KeyKind("RSA", 8192)),
        ({"algorithm": "RSA", "size": 2048}, KeyKind("RSA", 2048)),
        ({"algorithm": "ECDSA"}, KeyKind("ECDSA", 256)),
        ({"algorithm": "ECDSA", "size": 384}, KeyKind("ECDSA", 384)),
        ({"algorithm": "ECDSA", "size": 521}, KeyKind("ECDSA", 521)),
        ({"algorithm": "Ed25519"}, KeyKind("Ed25519", 0)),
    ],
)
def test_algorithms_and_sizes_are_those_of_cert_manager(
    written: dict[str, Any], kind: KeyKind
) -> None:
    assert read(**written).kind == kind


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"algorithm": "DSA"}, "algorithm is not one of those known; write RSA, ECDSA or Ed25519"),
        ({"size": 2047}, "size must be a whole number from 2048 to 8192"),
        ({"size": 8193}, "size must be a whole number from 2048 to 8192"),
        ({"algorithm": "ECDSA", "size": 255}, "size must be a whole number from 256 to 521"),
        ({"algorithm": "ECDSA", "size": 512}, "size is no size of ECDSA; write 256, 384 or 521"),
        ({"algorithm": "Ed25519", "size": 256}, "size has no meaning with Ed25519; leave it out"),
        ({"encoding": "DER"}, "encoding is not one of those known; write PKCS8 or PKCS1"),
        (
            {"algorithm": "Ed25519", "encoding": "PKCS1"},
            "encoding has no form PKCS1 for Ed25519; write PKCS8",
        ),
    ],
)
def test_what_there_is_not_is_refused_with_what_to_write(
    written: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        read(**written)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("written", "heading"),
    [
        ({"algorithm": "ECDSA"}, b"PRIVATE KEY"),
        ({"algorithm": "ECDSA", "encoding": "PKCS8"}, b"PRIVATE KEY"),
        ({"algorithm": "ECDSA", "encoding": "PKCS1"}, b"EC PRIVATE KEY"),
        ({"algorithm": "Ed25519"}, b"PRIVATE KEY"),
        ({"encoding": "PKCS1"}, b"RSA PRIVATE KEY"),
    ],
)
def test_the_private_key_is_written_in_the_form_that_is_asked_for(
    written: dict[str, Any], heading: bytes
) -> None:
    spec = read(**written)
    pair = spec.kind.make()

    pem = bytes(spec.pem(pair).reveal())

    assert pem.startswith(b"-----BEGIN " + heading + b"-----\n")
    loaded = load_pem_private_key(pem, password=None)
    assert loaded.public_key() == pair.public_key()


@pytest.mark.parametrize("kind", [KeyKind("ECDSA", 384), KeyKind("Ed25519", 0)], ids=str)
def test_the_public_key_loads_again(kind: KeyKind) -> None:
    public = kind.make().public_key()

    assert load_pem_public_key(public_pem(public)) == public


def test_a_key_is_of_the_size_that_is_asked_for() -> None:
    of_rsa, of_ecdsa = KeyKind("RSA", 2056).make(), KeyKind("ECDSA", 521).make()

    assert isinstance(of_rsa, rsa.RSAPrivateKey)
    assert (of_rsa.key_size, of_rsa.public_key().public_numbers().e) == (2056, 65537)
    assert isinstance(of_ecdsa, ec.EllipticCurvePrivateKey)
    assert of_ecdsa.key_size == 521
