"""What every key provider promises."""

from typing import Protocol


class KeyProvider(Protocol):
    """Wraps and unwraps data keys under a key encryption key that it never gives away."""

    @property
    def key_id(self) -> str:
        """Name the key that wraps now: 1 to 255 ASCII characters, kept with each version."""

    async def wrap(self, data_key: bytes | bytearray, context: bytes) -> bytes:
        """Encrypt a data key, bound to `context`.

        Raises:
            KeyProviderUnavailableError: no answer; try later.
        """

    async def unwrap(self, wrapped: bytes, context: bytes, *, key_id: str) -> bytearray:
        """Decrypt a data key; the caller zeroes it.

        Raises:
            WrongKeyError: the provider does not hold `key_id`.
            TamperedError: the bytes or the context are not those that were wrapped.
            KeyProviderUnavailableError: no answer; try later.
        """
