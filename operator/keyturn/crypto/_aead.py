"""The cipher: AES-256-GCM, in the only two ways that Keyturn uses it.

`encrypt` is for a key that is used once. `encrypt_derived` is for a key that lives long: each
message gets a key and a nonce of its own, derived by HKDF-SHA256 from 32 random bytes, so that the
limit of AES-GCM (2^32 random nonces under one key) is out of reach however much is encrypted.

Plaintext and keys come out in buffers that the caller zeroes.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keyturn.crypto._framing import Octets
from keyturn.domain.errors import TamperedError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
SALT_BYTES = 32

_ONE_MESSAGE = b"keyturn one message v1"


def new_key() -> bytearray:
    return bytearray(secrets.token_bytes(KEY_BYTES))


def new_nonce() -> bytes:
    return secrets.token_bytes(NONCE_BYTES)


def zero(buffer: bytearray) -> None:
    """Overwrite a buffer with zeros."""
    buffer[:] = bytes(len(buffer))


def derive(key: Octets, info: bytes, *, salt: bytes | None = None, size: int) -> bytearray:
    """Derive `size` bytes for one purpose by HKDF-SHA256."""
    derived = bytearray(size)
    HKDF(SHA256(), size, salt, info).derive_into(key, derived)
    return derived


def encrypt(key: Octets, nonce: Octets, plaintext: Octets, associated: bytes) -> bytes:
    """Encrypt under a key that encrypts nothing else; return the ciphertext and its tag."""
    _require_sizes(key, nonce)
    return AESGCM(key).encrypt(nonce, plaintext, associated)


def decrypt(key: Octets, nonce: Octets, ciphertext: Octets, associated: bytes) -> bytearray:
    """Decrypt what `encrypt` returned.

    Raises:
        TamperedError: a byte of the ciphertext, nonce or associated data, or the key, is not the
            one of the encryption.
    """
    _require_sizes(key, nonce)
    if len(ciphertext) < TAG_BYTES:
        raise TamperedError("the ciphertext is shorter than its tag")
    plaintext = bytearray(len(ciphertext) - TAG_BYTES)
    try:
        AESGCM(key).decrypt_into(nonce, ciphertext, associated, plaintext)
    except InvalidTag:
        # OpenSSL decrypts before it checks: what is in the buffer now is nobody's to see.
        zero(plaintext)
        raise TamperedError("the bytes are not those that were encrypted") from None
    return plaintext


def encrypt_derived(key: Octets, plaintext: Octets, associated: bytes) -> bytes:
    """Encrypt under a key that encrypts much else; return salt, ciphertext and tag."""
    salt = secrets.token_bytes(SALT_BYTES)
    once = _derive_once(key, salt)
    try:
        with memoryview(once) as view:
            box = encrypt(view[:KEY_BYTES], view[KEY_BYTES:], plaintext, associated)
    finally:
        zero(once)
    return salt + box


def decrypt_derived(key: Octets, sealed: bytes, associated: bytes) -> bytearray:
    """Decrypt what `encrypt_derived` returned.

    Raises:
        TamperedError: as `decrypt`.
    """
    once = _derive_once(key, sealed[:SALT_BYTES])
    try:
        with memoryview(once) as view:
            return decrypt(view[:KEY_BYTES], view[KEY_BYTES:], sealed[SALT_BYTES:], associated)
    finally:
        zero(once)


def _derive_once(key: Octets, salt: bytes) -> bytearray:
    return derive(key, _ONE_MESSAGE, salt=salt, size=KEY_BYTES + NONCE_BYTES)


def _require_sizes(key: Octets, nonce: Octets) -> None:
    # The library would take a key of 16 bytes and a nonce of 8 as well: a downgrade.
    if len(key) != KEY_BYTES or len(nonce) != NONCE_BYTES:
        raise TamperedError("the key or the nonce has the wrong size")
