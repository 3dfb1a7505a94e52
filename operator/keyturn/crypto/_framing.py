"""Join byte strings so that they come apart in one way only.

Whatever is authenticated or hashed here is joined by `frame`, so that a byte cannot move from one
field to its neighbour unnoticed: ("ab", "c") and ("a", "bc") are different frames.
"""

import struct

from keyturn.domain.errors import TamperedError, UnknownFormatError

Octets = bytes | bytearray | memoryview

MAX_KEY_ID = 255
"""The longest name of a key, in characters."""

_LENGTH = struct.Struct(">I")


def frame(*parts: Octets) -> bytes:
    r"""Join parts, each behind its length as an unsigned 32-bit big-endian number.

    >>> frame(b"ab", b"")
    b'\x00\x00\x00\x02ab\x00\x00\x00\x00'
    """
    return b"".join(piece for part in parts for piece in (_LENGTH.pack(len(part)), part))


def unframe(data: bytes, count: int, *, start: int = 0) -> tuple[list[bytes], int]:
    """Take `count` parts apart; return them and the position behind the last one.

    Raises:
        TamperedError: the data ends inside a part.
    """
    parts: list[bytes] = []
    position = start
    for _ in range(count):
        body = position + _LENGTH.size
        if body > len(data):
            raise TamperedError("the sealed bytes end inside a length")
        position = body + _LENGTH.unpack_from(data, position)[0]
        if position > len(data):
            raise TamperedError("the sealed bytes end inside a field")
        parts.append(data[body:position])
    return parts, position


def require_format(data: bytes, expected: bytes) -> None:
    """Check the first bytes: three letters for what it is, one byte for the format's number.

    Raises:
        UnknownFormatError: this release does not read such bytes.
    """
    if data[: len(expected)] != expected:
        raise UnknownFormatError("the sealed bytes are in a format that this release does not read")


def parse_key_id(field: bytes) -> str:
    """Read a key id that may be forged and will stand in messages.

    Raises:
        TamperedError: it is not 1 to 255 printable ASCII characters.
    """
    text = field.decode("latin-1")
    if not 1 <= len(text) <= MAX_KEY_ID or not text.isascii() or not text.isprintable():
        raise TamperedError("the sealed bytes name no possible key")
    return text
