"""A key encryption key that this process holds itself, and its text form for export."""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

from keyturn.crypto import _aead
from keyturn.crypto._framing import Octets
from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import SecretValue

_TEXT_FORM = "keyturn-key-v1"
_LINE = re.compile(rb"keyturn-key-v1 (local-[0-9a-f]{8}) ([A-Za-z0-9+/]{43}=) ([0-9a-f]{8})")


@dataclass(frozen=True, slots=True, eq=False)
class LocalKey:
    """A key encryption key: 32 random bytes, and an id that is made from them.

    As the id follows from the bytes, a wrong key is told by its name before anything is tried.
    """

    id: str
    material: SecretValue

    @classmethod
    def generate(cls) -> "LocalKey":
        return cls.of(_aead.new_key())

    @classmethod
    def of(cls, material: bytes | bytearray) -> "LocalKey":
        """Make the key of these bytes; a bytearray is taken over, to be zeroed by `close`.

        Raises:
            InvalidParameterError: it is not 32 bytes long.
        """
        if len(material) != _aead.KEY_BYTES:
            raise InvalidParameterError(f"a local key is {_aead.KEY_BYTES} bytes long")
        digest = hmac.digest(material, b"key id", "sha256")
        return cls(f"local-{digest[:4].hex()}", SecretValue(material))

    def close(self) -> None:
        """Overwrite the key with zeros."""
        self.material.zero()


def to_text(key: LocalKey) -> SecretValue:
    """Write a key as one line: form, key id, the bytes in base64, a checksum against typing errors.

    It is the key itself: whoever has it and the store reads every secret.
    """
    encoded = base64.b64encode(key.material.reveal()).decode()
    line = f"{_TEXT_FORM} {key.id} {encoded}"
    return SecretValue(f"{line} {_checksum(line.encode())}".encode())


def from_text(text: Octets) -> LocalKey:
    """Read the line that `to_text` wrote; white space around it does not matter.

    Raises:
        InvalidParameterError: it is not such a line, or a character of it is wrong.
    """
    line = bytes(text).strip()
    match = _LINE.fullmatch(line)
    if match is None:
        raise InvalidParameterError(
            f"not an exported key: expected one line '{_TEXT_FORM} <key id> <key> <checksum>'"
        )
    if not hmac.compare_digest(_checksum(line[: match.end(2)]).encode(), match[3]):
        raise InvalidParameterError("an exported key with a wrong character: its checksum differs")
    return from_parts(match[1].decode(), _decode(match[2]))


def from_parts(key_id: str, material: bytes | bytearray) -> LocalKey:
    """Make a key of its bytes and the id that was kept beside them.

    Raises:
        InvalidParameterError: the id is not the one of these bytes.
    """
    key = LocalKey.of(material)
    if key.id != key_id:
        key.close()
        raise InvalidParameterError(f"the bytes are not those of the key {key_id!r}")
    return key


def _decode(encoded: bytes) -> bytearray:
    try:
        return bytearray(binascii.a2b_base64(encoded, strict_mode=True))
    except binascii.Error:
        raise InvalidParameterError("an exported key that is not base64") from None


def _checksum(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:8]
