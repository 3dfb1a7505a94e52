"""The rotator of Microsoft SQL Server."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from keyturn.domain.errors import TargetUnavailableError
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Order, Session, Target, Traits
from keyturn.rotators.logins import Login
from keyturn.rotators.sqlserver.address import Address, tls_context
from keyturn.rotators.sqlserver.connection import Connection, Server, connected
from keyturn.rotators.sqlserver.errors import LoginRefusedError
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
        if not target.admin and order.strategy is Strategy.ALTERNATING_USERS:
            raise TargetUnavailableError("two alternating users need an administrator: adminRef")
        async with AsyncExitStack() as stack:
            connection, login = await _connection(stack, server, target, order)
            own = None if target.admin else login
            session = SQLServerSession(server, connection, order, own)
            await session.lock()
            yield session


async def _connection(
    stack: AsyncExitStack, server: Server, target: Target, order: Order
) -> tuple[Connection, Login]:
    """Log in as the administrator, or as the user itself, by what it may have for a password."""
    own = (order.current, order.pending, order.previous)
    logins = [Login.of(one.values) for one in own if one is not None]
    for login in [Login.of(target.admin)] if target.admin else logins:
        try:
            return await stack.enter_async_context(connected(server, login)), login
        except LoginRefusedError:
            continue
    who = "the administrator" if target.admin else "the user"
    raise TargetUnavailableError(f"the server refuses the login of {who}")
