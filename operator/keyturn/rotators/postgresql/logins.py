"""User names and passwords, as they are given to the driver."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from keyturn.domain.payload import SecretValue


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and a password; the password is in no text form of it."""

    username: str
    password: str = field(repr=False)

    @classmethod
    def read(cls, values: Mapping[str, SecretValue]) -> Self:
        """Read the values `username` and `password`; what is no UTF-8 becomes empty."""
        return cls(_text(values.get("username")), _text(values.get("password")))

    def is_possible(self, longest_name: int) -> bool:
        """Tell whether a server can have such a user, with such a password.

        A longer name would be cut by the server, and be the name of somebody else. A password
        that is empty or holds a zero byte is never accepted, and libpq would look for another.
        """
        return (
            is_name(self.username, longest_name)
            and self.password != ""
            and "\0" not in self.password
        )

    def md5(self) -> str:
        """Return the password as Redshift takes it hashed: `md5`, then the digest in hex."""
        # The algorithm is Redshift's choice; what it is computed from is random.
        digest = hashlib.md5((self.password + self.username).encode(), usedforsecurity=False)
        return f"md5{digest.hexdigest()}"


def is_name(name: str, longest: int) -> bool:
    """Tell whether a name is one that the server keeps as it is; `longest` is in bytes."""
    return 0 < len(name.encode()) <= longest and "\0" not in name


def _text(value: SecretValue | None) -> str:
    if value is None:
        return ""
    try:
        return str(value.reveal(), "utf-8")
    except UnicodeDecodeError:
        return ""
