"""The rotator of Microsoft SQL Server."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Order, Session, Target, Traits
from keyturn.rotators.logins import Login
from keyturn.rotators.sql import logged_in
from keyturn.rotators.sqlserver.address import Address, tls_context
from keyturn.rotators.sqlserver.connection import Server, connected
from keyturn.rotators.sqlserver.session import SQLServerSession

_USERNAME_LIMIT: Final = 128


class SQLServerRotator:
    """Sets the passwords of logins as hashes, and lets two logins or users take turns."""

    def check(self, parameters: Mapping[str, Any]) -> None:
        Address.read(parameters)

    def traits(self, parameters: Mapping[str, Any]) -> Traits:
        del parameters
        return Traits(
            strategies=frozenset({Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS}),
            values={"username": "username", "password": "password"},
            required=frozenset({"username", "password"}),
            rotated=frozenset({"password"}),
            has_lock=True,
            username_limit=_USERNAME_LIMIT,
        )

    @asynccontextmanager
    async def session(self, target: Target, order: Order) -> AsyncIterator[Session]:
        address = Address.read(target.parameters)
        server = Server(address, tls_context(address, target.authority), target.timeout)
        connect = partial(connected, server)
        async with logged_in(target, order, connect, read=Login.of) as (connection, login):
            own = None if target.admin else login
            session = SQLServerSession(server, connection, order, own)
            await session.lock()
            yield session
