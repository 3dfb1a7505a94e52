"""What the tests of the PostgreSQL rotator know to do in a server without it."""

import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from psycopg import sql

from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Target
from servers.postgresql import PostgreSQLServer

_NUMBERS = itertools.count()

FIRST_WITH_ADMIN_OPTION = 16
"""The first version in which CREATEROLE alone gives no power over roles that others made."""


def credential(version: int, username: str, password: str) -> Credential:
    values = {"username": username, "password": password}
    return Credential(version, {key: SecretValue(text.encode()) for key, text in values.items()})


def username_of(credential: Credential) -> str:
    return bytes(credential.values["username"].reveal()).decode()


def password_of(credential: Credential) -> str:
    return bytes(credential.values["password"].reveal()).decode()


def make_password() -> str:
    return secrets.token_urlsafe(24)


def order(
    strategy: Strategy,
    base: str,
    pending: Credential | None,
    current: Credential | None = None,
    previous: Credential | None = None,
) -> Order:
    return Order(uuid4(), uuid4(), strategy, base, pending, current, previous)


@dataclass
class PostgreSQLSite:
    """A server, and an admin on it that has the least rights that the document asks for."""

    server: PostgreSQLServer
    admin: str = field(default_factory=lambda: f"admin{next(_NUMBERS)}")
    admin_password: str = field(default_factory=make_password)

    def __post_init__(self) -> None:
        self.make_role(self.admin, self.admin_password, "CREATEROLE")

    def make_role(self, name: str, password: str, options: str = "") -> None:
        self.server.run(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} {}").format(
                sql.Identifier(name), sql.Literal(password), sql.SQL(options)
            )
        )

    def entrust(self, name: str) -> None:
        """Give the admin the right over a role, where CREATEROLE does not."""
        if self.server.version >= FIRST_WITH_ADMIN_OPTION:
            self.server.run(
                sql.SQL("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE").format(
                    sql.Identifier(name), sql.Identifier(self.admin)
                )
            )

    def user(self, options: str = "") -> Credential:
        """Make a user of a new name, version 1."""
        name, password = f"app{next(_NUMBERS)}", make_password()
        self.make_role(name, password, options)
        self.entrust(name)
        return credential(1, name, password)

    async def born(self, strategy: Strategy) -> Credential:
        return self.user()

    def renewed(self, credential_: Credential, version: int) -> Credential:
        return credential(version, username_of(credential_), make_password())

    def base_username(self, credential_: Credential) -> str:
        return username_of(credential_)

    def parameters(self, **changed: Any) -> Mapping[str, Any]:
        mode = "verifyFull" if self.server.has_tls else "disable"
        # Both addresses of localhost are tried, and the server has only one of them.
        whole = {"host": "localhost", "port": self.server.port, "tls": {"mode": mode}}
        return whole | changed

    def target(self, *, has_admin: bool = True, timeout: float = 10.0, **changed: Any) -> Target:
        admin = credential(0, self.admin, self.admin_password).values if has_admin else {}
        return Target(self.parameters(**changed), admin, self.server.authority.pem, timeout)
