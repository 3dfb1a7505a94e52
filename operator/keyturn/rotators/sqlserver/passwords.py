"""Passwords as the server stores them, and as text where it takes nothing else."""

import hashlib
import secrets
from typing import Final

from keyturn.domain.errors import TargetRefusedError
from keyturn.domain.payload import SecretValue

_LONGEST: Final = 128
_VERSION: Final = b"\x02\x00"
_SALT_LENGTH: Final = 4


def text_of(password: SecretValue) -> str:
    """Return a password as text.

    Raises:
        TargetRefusedError: it is empty, too long for the server, or no text.
    """
    try:
        text = str(password.reveal(), "utf-8")
    except UnicodeDecodeError:
        raise TargetRefusedError("the password is no text") from None
    if not 0 < len(text) <= _LONGEST or "\0" in text:
        raise TargetRefusedError(f"the password must have 1 to {_LONGEST} characters, none of 0")
    return text


def unknown() -> SecretValue:
    """Make a password that nobody knows, of all kinds of characters that a policy may ask for."""
    return SecretValue(f"aA1!{secrets.token_urlsafe(32)}".encode())


def hashed(password: SecretValue, salt: bytes | None = None) -> str:
    """Return what stands in `sys.sql_logins.password_hash` since SQL Server 2012, as a literal.

    It is a version, a salt of 4 bytes, and SHA-512 of the password in UTF-16 and the salt; that
    so little hashing is done is the server's choice.
    """
    salt = secrets.token_bytes(_SALT_LENGTH) if salt is None else salt
    digest = hashlib.sha512(text_of(password).encode("utf-16-le") + salt).digest()
    return "0x" + (_VERSION + salt + digest).hex().upper()
