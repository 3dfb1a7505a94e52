"""Random bytes, written as text: hexadecimal or base64."""

import base64
import binascii
import secrets
from collections.abc import Mapping
from typing import Any

from keyturn.domain.payload import SecretValue
from keyturn.generators.parameters import Bounds, Parameters
from keyturn.generators.standalone import StandaloneGenerator

_BYTES = Bounds(1, 4096)
_DEFAULT_BYTES = 32


class HexGenerator(StandaloneGenerator):
    """Makes random bytes and writes each as two lower case hexadecimal digits."""

    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        self._count(parameters)
        return {"hex": key}

    def make(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, SecretValue]:
        random = secrets.token_bytes(self._count(parameters))
        return {key: SecretValue(binascii.hexlify(random))}

    def _count(self, parameters: Mapping[str, Any]) -> int:
        return Parameters(parameters, "bytes").integer("bytes", _BYTES, default=_DEFAULT_BYTES)


class Base64Generator(StandaloneGenerator):
    """Makes random bytes and writes them in base64."""

    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        self._read(parameters)
        return {"base64": key}

    def make(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, SecretValue]:
        count, url_safe, no_padding = self._read(parameters)
        encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
        encoded = encode(secrets.token_bytes(count))
        return {key: SecretValue(encoded.rstrip(b"=") if no_padding else encoded)}

    def _read(self, parameters: Mapping[str, Any]) -> tuple[int, bool, bool]:
        fields = Parameters(parameters, "bytes", "urlSafe", "noPadding")
        return (
            fields.integer("bytes", _BYTES, default=_DEFAULT_BYTES),
            fields.flag("urlSafe", default=False),
            fields.flag("noPadding", default=False),
        )
