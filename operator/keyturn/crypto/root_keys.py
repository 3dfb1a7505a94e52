"""The store's own keys: for fingerprints and manifests, from one root that is made at its birth.

A sealed root is `"KTR" 0x01 | key id | store id | wrapped root`. It is also the check of the key
encryption key: whoever opens a store with a wrong one fails here, before anything is written.
"""

import hmac
from uuid import UUID

from keyturn.crypto import _aead
from keyturn.crypto._framing import Octets, frame, parse_key_id, require_format, unframe
from keyturn.crypto.key_providers.interface import KeyProvider
from keyturn.domain.errors import (
    IntegrityError,
    KeyMissingError,
    KeyProviderUnavailableError,
    MisplacedError,
    TamperedError,
)

_ROOT_FORMAT = b"KTR\x01"
_MANIFEST_FORMAT = b"KTM\x01"


class RootKeys:
    """Keyed digests and sealed manifests of one store."""

    __slots__ = ("_fingerprint_key", "_manifest_key", "_store_id")

    def __init__(self, root: bytearray, store_id: UUID) -> None:
        """Derive the keys; the root is zeroed, it is needed no more."""
        self._store_id = store_id
        self._fingerprint_key = _derive(root, b"fingerprint", store_id)
        self._manifest_key = _derive(root, b"manifest", store_id)
        _aead.zero(root)

    def fingerprint(self, purpose: str, *parts: Octets) -> str:
        """Digest the parts by HMAC-SHA256, in hex: no guess can be tried without the root.

        Different purposes give unrelated digests of the same parts.
        """
        self._require_open()
        digest = hmac.new(self._fingerprint_key, frame(purpose.encode()), "sha256")
        for part in parts:
            # The part itself is never joined to anything: that would copy plaintext.
            digest.update(len(part).to_bytes(4, "big"))
            digest.update(part)
        return digest.hexdigest()

    def seal_manifest(self, manifest: Octets, secret_id: UUID) -> bytes:
        """Encrypt the manifest of a secret, bound to the secret and the store."""
        self._require_open()
        header = _MANIFEST_FORMAT + frame(self._store_id.bytes, secret_id.bytes)
        return header + _aead.encrypt_derived(self._manifest_key, manifest, header)

    def open_manifest(self, sealed: bytes, secret_id: UUID) -> bytearray:
        """Decrypt what `seal_manifest` returned for the same secret.

        Raises:
            UnknownFormatError: these are not the bytes of a manifest, or a newer release's.
            MisplacedError: the bytes are whole, but belong to another secret.
            TamperedError: anything else is wrong with them; the manifest of another store too, as
                its root is another.
        """
        self._require_open()
        require_format(sealed, _MANIFEST_FORMAT)
        stated, end = unframe(sealed, 2, start=len(_MANIFEST_FORMAT))
        manifest = _aead.decrypt_derived(self._manifest_key, sealed[end:], sealed[:end])
        if stated != [self._store_id.bytes, secret_id.bytes]:
            _aead.zero(manifest)
            raise MisplacedError("the manifest belongs to another secret")
        return manifest

    def close(self) -> None:
        """Zero the keys; nothing can be done with them afterwards."""
        for key in (self._fingerprint_key, self._manifest_key):
            _aead.zero(key)
        # Forgotten as well: a key of zeros must never digest or seal anything.
        self._fingerprint_key = self._manifest_key = bytearray()

    def _require_open(self) -> None:
        if not self._manifest_key:
            raise KeyProviderUnavailableError("the keys of the store are closed")

    def __repr__(self) -> str:
        return f"RootKeys({self._store_id})"


async def make_sealed_root(store_id: UUID, key_provider: KeyProvider, *, holds_data: bool) -> bytes:
    """Make the root of a new store: 32 random bytes, wrapped, and unwrapped again as a proof.

    Raises:
        KeyMissingError: the store holds secrets: it had a root, and another would not fit them.
        KeyProviderUnavailableError: no answer; try later.
        IntegrityError: the key provider does not give back what it wrapped.
    """
    if holds_data:
        raise KeyMissingError(
            "the store holds secrets, but its root keys are gone: restore the store from a backup"
        )
    root = _aead.new_key()
    try:
        key_id = key_provider.key_id
        wrapped = await key_provider.wrap(root, _wrap_context(store_id.bytes, key_id))
        sealed = _ROOT_FORMAT + frame(key_id.encode("ascii"), store_id.bytes, wrapped)
        again = await _unwrap(sealed, store_id, key_provider)
        whole = hmac.compare_digest(root, again)
        _aead.zero(again)
    finally:
        _aead.zero(root)
    if not whole:
        raise IntegrityError(f"the key {key_id!r} does not give back what it wrapped")
    return sealed


async def open_root(sealed_root: bytes, store_id: UUID, key_provider: KeyProvider) -> RootKeys:
    """Open the root that `make_sealed_root` made for the same store.

    Raises:
        WrongKeyError: the key provider does not hold the key of this store.
        MisplacedError: it is the root of another store.
        UnknownFormatError, TamperedError: as for a version.
        KeyProviderUnavailableError: no answer; try later.
    """
    return RootKeys(await _unwrap(sealed_root, store_id, key_provider), store_id)


def root_key_id(sealed_root: bytes) -> str:
    """Tell which key a sealed root names, to say which one has to be restored.

    Raises:
        UnknownFormatError, TamperedError: it cannot be read.
    """
    return _parse(sealed_root)[0]


async def _unwrap(sealed_root: bytes, store_id: UUID, key_provider: KeyProvider) -> bytearray:
    key_id, stated, wrapped = _parse(sealed_root)
    root = await key_provider.unwrap(wrapped, _wrap_context(stated, key_id), key_id=key_id)
    if stated != store_id.bytes:
        _aead.zero(root)
        raise MisplacedError("the root keys belong to another store")
    if len(root) != _aead.KEY_BYTES:
        _aead.zero(root)
        raise TamperedError("the root has the wrong size")
    return root


def _parse(sealed_root: bytes) -> tuple[str, bytes, bytes]:
    require_format(sealed_root, _ROOT_FORMAT)
    (key_id, store_id, wrapped), end = unframe(sealed_root, 3, start=len(_ROOT_FORMAT))
    if end != len(sealed_root):
        raise TamperedError("there are bytes behind the root")
    return parse_key_id(key_id), store_id, wrapped


def _wrap_context(store_id: bytes, key_id: str) -> bytes:
    return frame(_ROOT_FORMAT, store_id, key_id.encode("ascii"))


def _derive(root: bytearray, purpose: bytes, store_id: UUID) -> bytearray:
    return _aead.derive(root, frame(b"keyturn v1", purpose, store_id.bytes), size=_aead.KEY_BYTES)
