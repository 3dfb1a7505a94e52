"""The user name and the password of a version, or of the administrator."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from keyturn.domain.errors import TargetRefusedError
from keyturn.domain.payload import SecretValue


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in. The user name is no secret: it may stand in messages."""

    username: str
    password: SecretValue

    @classmethod
    def of(cls, values: Mapping[str, SecretValue]) -> Self:
        """Read `username` and `password`.

        Raises:
            TargetRefusedError: one is missing, or the user name is no printable text.
        """
        try:
            name, password = values["username"], values["password"]
        except KeyError as missing:
            raise TargetRefusedError(f"the credential has no {missing.args[0]}") from None
        try:
            username = str(name.reveal(), "utf-8")
        except UnicodeDecodeError:
            username = ""
        if not username.isprintable() or not username:
            raise TargetRefusedError("the user name must be a text of printable characters")
        return cls(username, password)
