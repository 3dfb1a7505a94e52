import base64
import hashlib
import json
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from keyturn.generators import jwk
from keyturn.generators.key_pairs import KeyKind, PublicKey

KINDS = (
    KeyKind("RSA", 2048),
    KeyKind("ECDSA", 256),
    KeyKind("ECDSA", 384),
    KeyKind("ECDSA", 521),
    KeyKind("Ed25519", 0),
)

RFC_7638 = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJE"
    "CPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Q"
    "vzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6"
    "WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
)
"""The modulus of the example in RFC 7638, 3.1."""


def octets(text: str) -> bytes:
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(text: str) -> int:
    return int.from_bytes(octets(text), "big")


def read(members: Mapping[str, str]) -> PublicKey:
    """Read a JWK as RFC 7518 and RFC 8037 say."""
    match members["kty"]:
        case "RSA":
            return rsa.RSAPublicNumbers(number(members["e"]), number(members["n"])).public_key()
        case "EC":
            curve: dict[str, ec.EllipticCurve] = {
                "P-256": ec.SECP256R1(),
                "P-384": ec.SECP384R1(),
                "P-521": ec.SECP521R1(),
            }
            x, y = number(members["x"]), number(members["y"])
            return ec.EllipticCurvePublicNumbers(x, y, curve[members["crv"]]).public_key()
        case _:
            assert (members["kty"], members["crv"]) == ("OKP", "Ed25519")
            return ed25519.Ed25519PublicKey.from_public_bytes(octets(members["x"]))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_members_give_the_key_again(kind: KeyKind) -> None:
    public = kind.make().public_key()

    assert read(jwk.members(public)) == public


@pytest.mark.parametrize(("size", "octets_each"), [(256, 32), (384, 48), (521, 66)])
def test_coordinates_are_of_the_full_width_of_the_curve(size: int, octets_each: int) -> None:
    """RFC 7518, 6.2.1.2: leading zero octets stay; one in 256 coordinates begins with one."""
    for _ in range(600 if size == 256 else 5):
        members = jwk.members(KeyKind("ECDSA", size).make().public_key())

        assert len(octets(members["x"])) == len(octets(members["y"])) == octets_each


def test_the_numbers_of_rsa_have_no_leading_zeros() -> None:
    members = jwk.members(KeyKind("RSA", 2048).make().public_key())

    assert members["e"] == "AQAB"
    assert len(octets(members["n"])) == 256


def test_the_thumbprint_is_that_of_the_example_in_rfc_7638() -> None:
    public = rsa.RSAPublicNumbers(65537, number(RFC_7638)).public_key()

    assert jwk.members(public) == {"kty": "RSA", "n": RFC_7638, "e": "AQAB"}
    assert jwk.thumbprint(public) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_thumbprint_of_ed25519_is_that_of_the_example_in_rfc_8037() -> None:
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    public = ed25519.Ed25519PublicKey.from_public_bytes(octets(x))

    assert jwk.members(public) == {"kty": "OKP", "crv": "Ed25519", "x": x}
    assert jwk.thumbprint(public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_thumbprint_is_of_the_required_members_in_the_order_of_their_names(
    kind: KeyKind,
) -> None:
    public = kind.make().public_key()
    members = jwk.members(public)
    text = "{" + ",".join(f'"{name}":"{members[name]}"' for name in sorted(members)) + "}"

    assert json.loads(text) == dict(members)
    assert octets(jwk.thumbprint(public)) == hashlib.sha256(text.encode()).digest()


@pytest.mark.parametrize(
    ("kind", "signing", "encrypting"),
    [
        (
            KeyKind("RSA", 2048),
            ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
            ("RSA-OAEP-256", "RSA-OAEP"),
        ),
        (KeyKind("ECDSA", 256), ("ES256",), ("ECDH-ES",)),
        (KeyKind("ECDSA", 384), ("ES384",), ("ECDH-ES",)),
        (KeyKind("ECDSA", 521), ("ES512",), ("ECDH-ES",)),
        (KeyKind("Ed25519", 0), ("EdDSA",), ()),
    ],
    ids=str,
)
def test_the_algorithms_are_those_that_fit_the_key(
    kind: KeyKind, signing: tuple[str, ...], encrypting: tuple[str, ...]
) -> None:
    assert jwk.algorithms(kind) == {"sig": signing, "enc": encrypting}
