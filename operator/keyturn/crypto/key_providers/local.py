"""The local key provider: this process holds the key encryption keys itself."""

from keyturn.crypto import _aead
from keyturn.crypto._framing import frame
from keyturn.crypto.local_key import LocalKey
from keyturn.domain.errors import KeyProviderUnavailableError, WrongKeyError

_PURPOSE = b"keyturn local wrap v1"


class LocalKeyProvider:
    """Wraps data keys under keys in memory; the last one given wraps, all of them unwrap.

    It takes the keys over: `close` zeroes them.
    """

    def __init__(self, *keys: LocalKey) -> None:
        """Hold these keys, the newest last.

        Raises:
            ValueError: there is none, or two have one id.
        """
        self._keys = {key.id: key for key in keys}
        if not keys or len(self._keys) != len(keys):
            raise ValueError("a local key provider needs keys, each with an id of its own")
        self._key_id = keys[-1].id

    @property
    def key_id(self) -> str:
        return self._key_id

    async def wrap(self, data_key: bytes | bytearray, context: bytes) -> bytes:
        key = self._keys.get(self._key_id)
        if key is None:
            raise KeyProviderUnavailableError("the local key provider is closed")
        associated = frame(_PURPOSE, key.id.encode(), context)
        return _aead.encrypt_derived(key.material.reveal(), data_key, associated)

    async def unwrap(self, wrapped: bytes, context: bytes, *, key_id: str) -> bytearray:
        key = self._keys.get(key_id)
        if key is None:
            raise WrongKeyError(f"the key {key_id!r} is not held here; {self._key_id!r} is")
        associated = frame(_PURPOSE, key.id.encode(), context)
        return _aead.decrypt_derived(key.material.reveal(), wrapped, associated)

    def close(self) -> None:
        """Zero the keys; nothing is wrapped or unwrapped afterwards."""
        while self._keys:
            # Forgotten before it is zeroed: a key of zeros must never wrap anything.
            _, key = self._keys.popitem()
            key.close()

    def __repr__(self) -> str:
        return f"LocalKeyProvider({self._key_id})"
