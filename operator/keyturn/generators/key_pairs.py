"""Key pairs, with the algorithms, sizes and forms that cert-manager names."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from keyturn.domain.payload import SecretValue
from keyturn.generators.parameters import Bounds, Parameters

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

FIELDS = ("algorithm", "size", "encoding")

RSA_SIZES = Bounds(2048, 8192)
_PUBLIC_EXPONENT = 65537
_CURVES: Mapping[int, type[ec.EllipticCurve]] = MappingProxyType(
    {256: ec.SECP256R1, 384: ec.SECP384R1, 521: ec.SECP521R1}
)
_ENCODINGS = MappingProxyType(
    {"PKCS8": PrivateFormat.PKCS8, "PKCS1": PrivateFormat.TraditionalOpenSSL}
)
_DEFAULT_SIZES = MappingProxyType({"RSA": 2048, "ECDSA": 256})


@dataclass(frozen=True, slots=True)
class KeyKind:
    """What kind of key pair is made; `size` is 0 where the algorithm has only one."""

    algorithm: str
    size: int

    def make(self) -> PrivateKey:
        """Make a key pair; with RSA that takes seconds at the largest sizes."""
        match self.algorithm:
            case "RSA":
                return rsa.generate_private_key(_PUBLIC_EXPONENT, self.size)
            case "ECDSA":
                return ec.generate_private_key(_CURVES[self.size]())
            case _:
                return ed25519.Ed25519PrivateKey.generate()


@dataclass(frozen=True, slots=True)
class KeySpec:
    """What kind of key pair is made, and the form that its private key is written in."""

    kind: KeyKind
    encoding: PrivateFormat

    @classmethod
    def read(cls, fields: Parameters) -> Self:
        """Read `algorithm`, `size` and `encoding`.

        Raises:
            InvalidParameterError: one of them is unknown, or does not fit the algorithm.
        """
        algorithm = fields.choice("algorithm", ("RSA", "ECDSA", "Ed25519"), default="RSA")
        encoding = fields.choice("encoding", tuple(_ENCODINGS), default="PKCS8")
        if algorithm == "Ed25519" and encoding == "PKCS1":
            raise fields.refusal("encoding", "has no form PKCS1 for Ed25519; write PKCS8")
        size = read_size(fields, "size", algorithm, defaults=_DEFAULT_SIZES)
        return cls(KeyKind(algorithm, size), _ENCODINGS[encoding])

    def pem(self, key: PrivateKey) -> SecretValue:
        """Write the private key in PEM."""
        return SecretValue(key.private_bytes(Encoding.PEM, self.encoding, NoEncryption()))


def read_size(fields: Parameters, name: str, algorithm: str, *, defaults: Mapping[str, int]) -> int:
    """Read the size in bits of a key; 0 for an algorithm that has only one.

    Raises:
        InvalidParameterError: the algorithm has no keys of that size.
    """
    if algorithm not in defaults:
        if fields.has(name):
            raise fields.refusal(name, f"has no meaning with {algorithm}; leave it out")
        return 0
    default = defaults[algorithm]
    if algorithm == "RSA":
        return fields.integer(name, RSA_SIZES, default=default)
    size = fields.integer(name, Bounds(min(_CURVES), max(_CURVES)), default=default)
    if size not in _CURVES:
        raise fields.refusal(name, f"is no size of {algorithm}; write 256, 384 or 521")
    return size


def public_pem(key: PublicKey) -> bytes:
    """Write the public key in PEM (SubjectPublicKeyInfo)."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
