"""SSH key pairs: the private key in OpenSSH's own format, the public key as one line."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from keyturn.domain.payload import SecretValue
from keyturn.generators.key_pairs import KeyKind, read_size
from keyturn.generators.parameters import Parameters, distinct
from keyturn.generators.standalone import StandaloneGenerator

_ALGORITHMS = MappingProxyType({"ed25519": "Ed25519", "rsa": "RSA", "ecdsa": "ECDSA"})
_DEFAULT_SIZES = MappingProxyType({"RSA": 3072, "ECDSA": 256})
_MAX_COMMENT = 255


class _Request(NamedTuple):
    kind: KeyKind
    comment: bytes
    outputs: Mapping[str, str]


class SSHKeyGenerator(StandaloneGenerator):
    """Makes an SSH key pair; neither key file has a passphrase."""

    is_quick = False

    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        return self._read(key, parameters).outputs

    def make(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, SecretValue]:
        request = self._read(key, parameters)
        pair = request.kind.make()
        private = pair.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        public = pair.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        line = public + b" " + request.comment if request.comment else public
        return {
            request.outputs["privateKey"]: SecretValue(private),
            request.outputs["publicKey"]: SecretValue(line),
        }

    def _read(self, key: str, parameters: Mapping[str, Any]) -> _Request:
        fields = Parameters(parameters, "keyType", "keySize", "comment", "outputs")
        algorithm = _ALGORITHMS[fields.choice("keyType", tuple(_ALGORITHMS), default="ed25519")]
        size = read_size(fields, "keySize", algorithm, defaults=_DEFAULT_SIZES)
        public = fields.inner("outputs", "publicKey").key("publicKey", default=f"{key}.pub")
        return _Request(
            KeyKind(algorithm, size),
            fields.text("comment", most=_MAX_COMMENT).encode(),
            distinct({"privateKey": key, "publicKey": public}),
        )
