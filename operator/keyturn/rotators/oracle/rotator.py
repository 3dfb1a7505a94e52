"""The rotator of Oracle databases."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Order, Session, Target, Traits
from keyturn.rotators.oracle.address import Address
from keyturn.rotators.oracle.connection import Server, connected
from keyturn.rotators.oracle.names import USERNAME_LIMIT, User
from keyturn.rotators.oracle.session import OracleSession
from keyturn.rotators.sql import logged_in, tls_context


class OracleRotator:
    """Sets passwords by ALTER USER, and lets two users take turns."""

    def check(self, parameters: Mapping[str, Any]) -> None:
        Address.read(parameters)

    def traits(self, parameters: Mapping[str, Any]) -> Traits:
        return Traits(
            strategies=frozenset({Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS}),
            values={"username": "username", "password": "password"},
            required=frozenset({"username", "password"}),
            rotated=frozenset({"password"}),
            has_lock=Address.read(parameters).has_lock,
            clone_suffix="_CLONE",
            username_limit=USERNAME_LIMIT,
        )

    @asynccontextmanager
    async def session(self, target: Target, order: Order) -> AsyncIterator[Session]:
        address = Address.read(target.parameters)
        server = Server(
            address, tls_context(target.authority, has_tls=address.has_tls), target.timeout
        )
        connect = partial(connected, server)
        opening = logged_in(target, order, connect, read=User.of_values, server="database")
        async with opening as (connection, user):
            own = None if target.admin else user
            session = OracleSession(server, connection, order, own)
            await session.lock()
            yield session
