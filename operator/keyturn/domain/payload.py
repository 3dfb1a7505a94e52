"""Plaintext: one value that cannot leak by accident, and the payload of a version."""

import hmac
import struct
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import NoReturn, Self

from keyturn.domain.errors import InvalidSpecError, TamperedError, ValueTooLargeError

MAX_PAYLOAD_BYTES = 64 * 1024
"""The default limit of a payload; AWS Secrets Manager has the same."""

MAX_KEY_BYTES = 253
"""The limit of a key in a Kubernetes Secret."""


class SecretValue:
    """Plaintext bytes in a buffer that is zeroed when its `with` ends.

    It has no text form, no pickle and no plain equality, so that a log line, a traceback or a
    cache cannot hold it by accident. `reveal` is the one way to the bytes; a test lists the files
    that may call it.

    >>> with SecretValue(b"hunter2") as value:
    ...     print(value, len(value.reveal()))
    SecretValue(***) 7
    """

    __slots__ = ("_buffer",)

    def __init__(self, plaintext: bytes | bytearray) -> None:
        # A bytearray is taken over, not copied: its owner gives it away to be zeroed here.
        self._buffer = plaintext if isinstance(plaintext, bytearray) else bytearray(plaintext)

    def reveal(self) -> memoryview:
        """Return a read-only view of the plaintext; it must not outlive this object's `with`."""
        return memoryview(self._buffer).toreadonly()

    def copy(self) -> "SecretValue":
        return SecretValue(bytearray(self._buffer))

    def zero(self) -> None:
        """Overwrite the plaintext with zeros."""
        self._buffer[:] = bytes(len(self._buffer))

    def matches(self, other: "SecretValue") -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.reveal(), other.reveal())

    def __len__(self) -> int:
        return len(self._buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.zero()

    def __repr__(self) -> str:
        return "SecretValue(***)"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("compare secret values with matches(), in constant time")

    def __hash__(self) -> NoReturn:
        raise TypeError("a secret value has no hash")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret value cannot be pickled or copied")


class Payload(Mapping[str, SecretValue]):
    """The plaintext of a version: one value for each key, in the order of the keys.

    Its encoded form is, for each key, the length of the key and of the value as two unsigned
    32-bit big-endian numbers, then both. A fixed binary form, and not JSON, keeps each value in
    one buffer that can be zeroed, and takes bytes as well as text.
    """

    __slots__ = ("_fields",)

    _LENGTHS = struct.Struct(">II")

    def __init__(self, fields: Mapping[str, SecretValue]) -> None:
        self._fields = dict(sorted(fields.items()))

    def __getitem__(self, key: str) -> SecretValue:
        return self._fields[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("compare the values of a payload with matches(), in constant time")

    def __hash__(self) -> NoReturn:
        raise TypeError("a payload has no hash")

    def __repr__(self) -> str:
        return f"Payload({', '.join(self._fields)})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.zero()

    def zero(self) -> None:
        """Overwrite every value with zeros."""
        for value in self._fields.values():
            value.zero()

    def encode(self, *, limit: int = MAX_PAYLOAD_BYTES) -> bytearray:
        """Return the encoded form; the caller zeroes it.

        Raises:
            ValueTooLargeError: keys and values together are longer than `limit` bytes.
        """
        size = sum(len(key.encode()) + len(value) for key, value in self._fields.items())
        if size > limit:
            raise ValueTooLargeError(
                f"the values are {size} bytes together; the limit is {limit} bytes"
            )
        names = [key.encode() for key in self._fields]
        if any(not 0 < len(name) <= MAX_KEY_BYTES for name in names):
            raise InvalidSpecError(f"a key must be 1 to {MAX_KEY_BYTES} bytes long")
        # Of its full size from the start: a buffer that grows leaves copies of itself behind.
        encoded, position = bytearray(size + self._LENGTHS.size * len(names)), 0
        for name, value in zip(names, self._fields.values(), strict=True):
            head = self._LENGTHS.pack(len(name), len(value)) + name
            for part in (head, value.reveal()):
                encoded[position : position + len(part)] = part
                position += len(part)
        return encoded

    @classmethod
    def decode(cls, encoded: bytes | bytearray) -> "Payload":
        """Read the encoded form.

        Raises:
            TamperedError: the bytes are not an encoded payload.
        """
        fields: dict[str, SecretValue] = {}
        view, position, head = memoryview(encoded), 0, cls._LENGTHS.size
        while position < len(view):
            if position + head > len(view):
                raise TamperedError("a payload ends inside a length")
            key_length, value_length = cls._LENGTHS.unpack_from(view, position)
            start = position + head + key_length
            position = start + value_length
            if position > len(view):
                raise TamperedError("a payload ends inside a value")
            try:
                key = str(view[start - key_length : start], "utf-8")
            except UnicodeDecodeError:
                raise TamperedError("a payload holds a key that is not text") from None
            fields[key] = SecretValue(bytearray(view[start:position]))
        return cls(fields)
