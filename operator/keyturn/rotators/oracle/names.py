"""User names and passwords as the database takes them, and their quoting.

No identifier of Oracle can hold a quote character, and neither can a password in a statement: who
writes one is refused, and nothing is taken out of it. User names are written in capitals, in each
statement and comparison alike, as the database writes those that nobody quoted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from keyturn.domain.errors import TargetRefusedError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.interface import Credential
from keyturn.rotators.logins import Login

USERNAME_LIMIT: Final = 30
PASSWORD_LIMIT: Final = 30
"""In bytes: all releases before 23ai take no more."""

_USERNAME: Final = re.compile(r"[A-Z][A-Z0-9_$#]{0,29}")


@dataclass(frozen=True, slots=True)
class User:
    """Who logs in, its name in capitals."""

    name: str
    password: SecretValue

    @classmethod
    def of(cls, login: Login) -> Self:
        """Read a login.

        Raises:
            TargetRefusedError: the name is none that needs no quotes.
        """
        name = login.username.upper()
        if not _USERNAME.fullmatch(name):
            raise TargetRefusedError(
                f"the user name must have 1 to {USERNAME_LIMIT} letters, digits, _, $ and #, "
                "and begin with a letter"
            )
        return cls(name, login.password)

    @classmethod
    def of_version(cls, credential: Credential) -> Self:
        """Read the user of a version. Raises: TargetRefusedError."""
        return cls.of_values(credential.values)

    @classmethod
    def of_values(cls, values: Mapping[str, SecretValue]) -> Self:
        """Read the user of a version, or the administrator. Raises: TargetRefusedError."""
        return cls.of(Login.of(values))

    def plaintext(self) -> str:
        """Return the password as text.

        Raises:
            TargetRefusedError: the database would not take it as it is.
        """
        try:
            text = str(self.password.reveal(), "utf-8")
        except UnicodeDecodeError:
            raise TargetRefusedError("the password is no text") from None
        if '"' in text or "\0" in text or not 0 < len(self.password) <= PASSWORD_LIMIT:
            raise TargetRefusedError(
                f"the password must have 1 to {PASSWORD_LIMIT} bytes, and no quote character"
            )
        return text


def quoted(name: str) -> str:
    """Quote an identifier.

    Raises:
        TargetRefusedError: it holds a quote character.
    """
    if '"' in name or "\0" in name:
        raise TargetRefusedError("a name with a quote character is none of the database")
    return f'"{name}"'
