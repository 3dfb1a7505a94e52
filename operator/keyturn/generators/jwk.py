"""The public half of a key as JSON Web Key (RFC 7517) and its thumbprint (RFC 7638)."""

import base64
import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keyturn.generators.key_pairs import KeyKind, PublicKey

_RSA_SIGNATURES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = MappingProxyType({256: "P-256", 384: "P-384", 521: "P-521"})
_SIGNATURES: Mapping[KeyKind, str] = MappingProxyType(
    {
        KeyKind("ECDSA", 256): "ES256",
        KeyKind("ECDSA", 384): "ES384",
        KeyKind("ECDSA", 521): "ES512",
        KeyKind("Ed25519", 0): "EdDSA",
    }
)


def algorithms(kind: KeyKind) -> Mapping[str, tuple[str, ...]]:
    """Name the values of `alg` that fit such a key, for each value of `use`."""
    match kind.algorithm:
        case "RSA":
            return {"sig": _RSA_SIGNATURES, "enc": ("RSA-OAEP-256", "RSA-OAEP")}
        case "ECDSA":
            return {"sig": (_SIGNATURES[kind],), "enc": ("ECDH-ES",)}
        case _:
            return {"sig": (_SIGNATURES[kind],), "enc": ()}


def members(key: PublicKey) -> Mapping[str, str]:
    """Return the members that describe the key itself: those that its thumbprint is made of."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {
            "kty": "RSA",
            "n": _number(numbers.n, _octets(numbers.n.bit_length())),
            "e": _number(numbers.e, _octets(numbers.e.bit_length())),
        }
    if isinstance(key, ec.EllipticCurvePublicKey):
        point, width = key.public_numbers(), _octets(key.key_size)
        return {
            "kty": "EC",
            "crv": _CURVES[key.key_size],
            "x": _number(point.x, width),
            "y": _number(point.y, width),
        }
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": _base64url(key.public_bytes(Encoding.Raw, PublicFormat.Raw)),
    }


def thumbprint(key: PublicKey) -> str:
    """Return the thumbprint of the key by SHA-256, in base64url."""
    canonical = json.dumps(dict(members(key)), sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _octets(bits: int) -> int:
    return (bits + 7) // 8


def _number(value: int, width: int) -> str:
    return _base64url(value.to_bytes(width, "big"))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
