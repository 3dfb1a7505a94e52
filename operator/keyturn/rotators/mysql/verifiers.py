"""What the server stores of a password, made here so that no statement holds the password.

Each is the form that the account's own plugin writes:

- `mysql_native_password`: `*` and the hexadecimal digits of SHA-1 of SHA-1.
- `ed25519` (MariaDB): the public key in base64, without its `=`.
- `caching_sha2_password` (MySQL): `$A$005$`, a salt of 20 bytes, and 43 characters of the SHA-256
  crypt of U. Drepper's specification with 5 times 1000 rounds; only the salt is longer there.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping

from keyturn.domain.errors import TargetRefusedError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.mysql import ed25519

NATIVE = "mysql_native_password"

_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SALT_LENGTH = 20
_THOUSANDS_OF_ROUNDS = 5
# SHA-256 crypt writes three bytes of its digest as four characters, in this order; two remain.
_TRIPLES = (
    (0, 10, 20), (21, 1, 11), (12, 22, 2), (3, 13, 23), (24, 4, 14),
    (15, 25, 5), (6, 16, 26), (27, 7, 17), (18, 28, 8), (9, 19, 29),
)  # fmt: skip


def verifier(plugin: str, password: SecretValue) -> bytes:
    """Return what the plugin stores of a password.

    Raises:
        TargetRefusedError: the password is empty or has a byte 0, or the plugin is another one.
    """
    make = _VERIFIERS.get(plugin)
    if make is None:
        raise TargetRefusedError(
            f"the user logs in by the plugin {plugin[:64]!r}; only {', '.join(_VERIFIERS)} can be "
            "rotated"
        )
    plaintext = bytes(password.reveal())
    if not plaintext or b"\0" in plaintext:
        raise TargetRefusedError("the password is empty, or has a byte 0 in it")
    return make(plaintext)


def native(password: bytes) -> bytes:
    """Return what `mysql_native_password` stores."""
    once = hashlib.sha1(password, usedforsecurity=False).digest()
    twice = hashlib.sha1(once, usedforsecurity=False)
    return f"*{twice.hexdigest().upper()}".encode()


def signature_key(password: bytes) -> bytes:
    """Return what MariaDB's `ed25519` stores."""
    return base64.b64encode(ed25519.public_key(password)).rstrip(b"=")


def caching_sha2(password: bytes, salt: bytes | None = None) -> bytes:
    """Return what `caching_sha2_password` stores; the salt is new unless it is given."""
    if salt is None:
        salt = "".join(secrets.choice(_ALPHABET) for _ in range(_SALT_LENGTH)).encode()
    digest = sha256_crypt(password, salt, _THOUSANDS_OF_ROUNDS * 1000)
    return b"$A$%03d$%b%b" % (_THOUSANDS_OF_ROUNDS, salt, digest)


def sha256_crypt(password: bytes, salt: bytes, rounds: int) -> bytes:
    """Return the 43 characters of the SHA-256 crypt of a password."""
    digest = _first_digest(password, salt)
    by_password = _stretched(hashlib.sha256(password * len(password)).digest(), len(password))
    by_salt = _stretched(hashlib.sha256(salt * (16 + digest[0])).digest(), len(salt))
    for turn in range(rounds):
        content = by_password if turn % 2 else digest
        content += by_salt if turn % 3 else b""
        content += by_password if turn % 7 else b""
        content += digest if turn % 2 else by_password
        digest = hashlib.sha256(content).digest()
    return _characters(digest)


def _first_digest(password: bytes, salt: bytes) -> bytes:
    other = hashlib.sha256(password + salt + password).digest()
    content = password + salt + _stretched(other, len(password))
    length = len(password)
    while length:
        content += other if length & 1 else password
        length >>= 1
    return hashlib.sha256(content).digest()


def _stretched(digest: bytes, length: int) -> bytes:
    return (digest * (length // len(digest) + 1))[:length]


def _characters(digest: bytes) -> bytes:
    triples = [digest[a : a + 1] + digest[b : b + 1] + digest[c : c + 1] for a, b, c in _TRIPLES]
    written = "".join(_written(int.from_bytes(triple, "big"), 4) for triple in triples)
    return (written + _written(digest[31] << 8 | digest[30], 3)).encode()


def _written(number: int, count: int) -> str:
    return "".join(_ALPHABET[number >> 6 * place & 63] for place in range(count))


_VERIFIERS: Mapping[str, Callable[[bytes], bytes]] = {
    NATIVE: native,
    "ed25519": signature_key,
    "caching_sha2_password": caching_sha2,
}
