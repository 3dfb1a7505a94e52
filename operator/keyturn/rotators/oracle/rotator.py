"""The rotator of Oracle databases."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from keyturn.domain.errors import TargetUnavailableError
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Order, Session, Target, Traits
from keyturn.rotators.logins import Login
from keyturn.rotators.oracle.address import Address, tls_context
from keyturn.rotators.oracle.connection import Connection, Server, connected
from keyturn.rotators.oracle.errors import LoginRefusedError
from keyturn.rotators.oracle.names import USERNAME_LIMIT, User
from keyturn.rotators.oracle.session import OracleSession


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
        server = Server(address, tls_context(address, target.authority), target.timeout)
        if not target.admin and order.strategy is Strategy.ALTERNATING_USERS:
            raise TargetUnavailableError("two alternating users need an administrator: adminRef")
        async with AsyncExitStack() as stack:
            connection, user = await _connection(stack, server, target, order)
            own = None if target.admin else user
            session = OracleSession(server, connection, order, own)
            await session.lock()
            yield session


async def _connection(
    stack: AsyncExitStack, server: Server, target: Target, order: Order
) -> tuple[Connection, User]:
    """Log in as the administrator, or as the user itself, by what it may have for a password."""
    own = (order.current, order.pending, order.previous)
    users = [User.of_version(one) for one in own if one is not None]
    for user in [User.of(Login.of(target.admin))] if target.admin else users:
        try:
            return await stack.enter_async_context(connected(server, user)), user
        except LoginRefusedError:
            continue
    who = "the administrator" if target.admin else "the user"
    raise TargetUnavailableError(f"the database refuses the login of {who}")
