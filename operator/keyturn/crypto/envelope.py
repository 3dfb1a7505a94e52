"""Envelope encryption of versions: each under a data key of its own.

A sealed version is::

    "KTV" 0x01 | key id | store id | namespace UID | secret id | version | wrapped data key | nonce
    ciphertext and tag

Each field stands behind its length. All of the first line is the associated data of the second,
and the wrap of the data key is bound to the same context and key id: bytes that were edited, or
moved to another row, secret, namespace or store, do not open.
"""

from dataclasses import dataclass
from uuid import UUID

from keyturn.crypto import _aead
from keyturn.crypto._framing import frame, parse_key_id, require_format, unframe
from keyturn.crypto.key_providers.interface import KeyProvider
from keyturn.domain.errors import KeyProviderUnavailableError, MisplacedError
from keyturn.domain.payload import MAX_PAYLOAD_BYTES, Payload

_FORMAT = b"KTV\x01"
_FIELDS = 7


@dataclass(frozen=True, slots=True)
class Context:
    """Where a version belongs; it opens nowhere else."""

    store_id: UUID
    namespace_uid: str
    secret_id: UUID
    version: int

    def fields(self) -> tuple[bytes, ...]:
        # Total for whatever a store may answer: any text, any 64-bit number.
        return (
            self.store_id.bytes,
            self.namespace_uid.encode(errors="surrogatepass"),
            self.secret_id.bytes,
            self.version.to_bytes(8, "big", signed=True),
        )


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A sealed version taken apart; nothing of it is proven yet."""

    header: bytes
    key_id: str
    context: tuple[bytes, ...]
    wrapped: bytes
    nonce: bytes
    ciphertext: bytes

    @classmethod
    def parse(cls, sealed: bytes) -> "_Sealed":
        require_format(sealed, _FORMAT)
        fields, end = unframe(sealed, _FIELDS, start=len(_FORMAT))
        key_id, *context, wrapped, nonce = fields
        return cls(
            header=sealed[:end],
            key_id=parse_key_id(key_id),
            context=tuple(context),
            wrapped=wrapped,
            nonce=nonce,
            ciphertext=sealed[end:],
        )


class Envelope:
    """Seals payloads and opens them: the only way into the ciphertext of a version, and out."""

    def __init__(self, key_provider: KeyProvider, *, limit: int = MAX_PAYLOAD_BYTES) -> None:
        self._key_provider = key_provider
        self._limit = limit

    async def seal(self, payload: Payload, context: Context) -> bytes:
        """Encrypt a payload under a new data key and nonce.

        Raises:
            ValueTooLargeError: the payload is over the limit.
            KeyProviderUnavailableError: no answer, or the key changed meanwhile; try later.
        """
        data_key = _aead.new_key()
        try:
            header = await self._header(data_key, context)
            # Encoded only now, so that no copy of the plaintext waits for a slow key provider.
            plaintext = payload.encode(limit=self._limit)
            try:
                nonce = header[-_aead.NONCE_BYTES :]
                return header + _aead.encrypt(data_key, nonce, plaintext, header)
            finally:
                _aead.zero(plaintext)
        finally:
            _aead.zero(data_key)

    async def open(self, sealed: bytes, context: Context) -> Payload:
        """Decrypt what `seal` returned for the same context.

        No key is tried but the one that the bytes name.

        Raises:
            UnknownFormatError: these are not the bytes of a version, or a newer release's.
            WrongKeyError: the key provider does not hold the key that the bytes name.
            MisplacedError: the bytes are whole, but belong to another context.
            TamperedError: anything else is wrong with them.
            KeyProviderUnavailableError: no answer; try later.
        """
        parsed = _Sealed.parse(sealed)
        # First by the context that the bytes state: only when that holds is it a misplaced row
        # and not a forged one.
        plaintext = await self._decrypt(parsed)
        try:
            if parsed.context != context.fields():
                raise MisplacedError("the bytes belong to another secret, version or store")
            return Payload.decode(plaintext)
        finally:
            _aead.zero(plaintext)

    async def _header(self, data_key: bytearray, context: Context) -> bytes:
        key_id, fields = self._key_provider.key_id, context.fields()
        wrapped = await self._key_provider.wrap(data_key, _wrap_context(key_id, fields))
        if self._key_provider.key_id != key_id:
            # Which of both keys has wrapped is unknown; a header that names the wrong one would
            # make the version unreadable for ever.
            raise KeyProviderUnavailableError("the key changed while a data key was wrapped")
        return _FORMAT + frame(key_id.encode("ascii"), *fields, wrapped, _aead.new_nonce())

    async def _decrypt(self, parsed: _Sealed) -> bytearray:
        data_key = await self._key_provider.unwrap(
            parsed.wrapped, _wrap_context(parsed.key_id, parsed.context), key_id=parsed.key_id
        )
        try:
            return _aead.decrypt(data_key, parsed.nonce, parsed.ciphertext, parsed.header)
        finally:
            _aead.zero(data_key)


def key_id_of(sealed: bytes) -> str:
    """Tell which key a sealed version names; nothing is proven by it.

    Raises:
        UnknownFormatError, TamperedError: it cannot be read.
    """
    return _Sealed.parse(sealed).key_id


def _wrap_context(key_id: str, fields: tuple[bytes, ...]) -> bytes:
    return frame(_FORMAT, *fields, key_id.encode("ascii"))
