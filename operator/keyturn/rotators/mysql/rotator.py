"""The rotator of MariaDB and MySQL."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from keyturn.domain.errors import TargetUnavailableError
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Order, Session, Target, Traits
from keyturn.rotators.logins import Login
from keyturn.rotators.mysql.address import MARIADB, Address
from keyturn.rotators.mysql.connection import Server, connected
from keyturn.rotators.mysql.session import MySQLSession
from keyturn.rotators.sql import logged_in, tls_context

_USERNAME_LIMIT: Final = 32
_USERNAME_LIMIT_OF_MARIADB: Final = 80


class MySQLRotator:
    """Sets passwords by ALTER USER, as verifiers, and lets two users take turns."""

    def check(self, parameters: Mapping[str, Any]) -> None:
        Address.read(parameters)

    def traits(self, parameters: Mapping[str, Any]) -> Traits:
        is_mariadb = Address.read(parameters).dialect == MARIADB
        return Traits(
            strategies=frozenset({Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS}),
            values={"username": "username", "password": "password"},
            required=frozenset({"username", "password"}),
            rotated=frozenset({"password"}),
            has_lock=True,
            username_limit=_USERNAME_LIMIT_OF_MARIADB if is_mariadb else _USERNAME_LIMIT,
        )

    @asynccontextmanager
    async def session(self, target: Target, order: Order) -> AsyncIterator[Session]:
        address = Address.read(target.parameters)
        server = Server(
            address, tls_context(target.authority, has_tls=address.has_tls), target.timeout
        )
        connect = partial(connected, server)
        async with logged_in(target, order, connect, read=Login.of) as (connection, _):
            await connection.settle()
            if address.dialect and connection.dialect != address.dialect:
                raise TargetUnavailableError(
                    f"the server is {connection.dialect}; the parameter dialect says "
                    f"{address.dialect}"
                )
            session = MySQLSession(server, connection, order, is_admin=bool(target.admin))
            await session.lock()
            yield session
