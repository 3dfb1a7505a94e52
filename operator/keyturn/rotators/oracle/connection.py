"""One connection to the database: how it is opened, and what is said by it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, Final

import oracledb

from keyturn.domain.errors import KeyturnError
from keyturn.rotators.oracle.address import Address
from keyturn.rotators.oracle.errors import translated
from keyturn.rotators.oracle.names import User

Row = tuple[Any, ...]

_EXCLUSIVE: Final = 6  # DBMS_LOCK.X_MODE

_GRACE: Final = 3.0
"""How many seconds the driver has to report that its own deadline has passed."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where connections go: `context` verifies the server, None without TLS; seconds."""

    address: Address
    context: SSLContext | None
    timeout: float


class Connection:
    """An open connection; its errors are those of `keyturn.rotators.oracle.errors.translated`."""

    def __init__(self, driver: oracledb.AsyncConnection, timeout: float) -> None:
        self._driver = driver
        self._timeout = timeout

    async def rows(self, query: str, *values: object, login: bool = False) -> Sequence[Row]:
        """Ask; `:1`, `:2` … of the query stand for the values, which go as parameters."""
        with translated(login=login):
            async with asyncio.timeout(self._timeout + _GRACE):
                return await self._driver.fetchall(query, list(values))

    async def execute(self, statement: str) -> None:
        """Say something as it stands; its parts were quoted before."""
        with translated():
            async with asyncio.timeout(self._timeout + _GRACE):
                await self._driver.execute(statement)

    async def request_lock(self, number: int, seconds: int) -> int:
        """Ask for an exclusive lock until the session ends; return what DBMS_LOCK answers."""
        arguments = [number, _EXCLUSIVE, seconds]
        with translated():
            async with asyncio.timeout(self._timeout + _GRACE):
                return int(await self._driver.callfunc("SYS.DBMS_LOCK.REQUEST", int, arguments))

    async def change_password(self, old: str, new: str) -> None:
        """Change the password of the connection's own user, encrypted by the protocol itself."""
        with translated():
            async with asyncio.timeout(self._timeout + _GRACE):
                await self._driver.changepassword(old, new)


@asynccontextmanager
async def connected(server: Server, user: User) -> AsyncIterator[Connection]:
    """Log in once, and leave the database at the end.

    Raises:
        LoginRefusedError: the database refuses the credential.
        TargetUnavailableError: it does not answer, or not as one that can be trusted.
    """
    driver = await _log_in(server, user)
    try:
        driver.call_timeout = int((server.timeout + 1) * 1000)
        yield Connection(driver, server.timeout)
    finally:
        with suppress(KeyturnError), translated():
            async with asyncio.timeout(_GRACE):
                await driver.close()


async def _log_in(server: Server, user: User) -> oracledb.AsyncConnection:
    address = server.address
    with translated(login=True):
        async with asyncio.timeout(2 * server.timeout + _GRACE):
            driver: oracledb.AsyncConnection = await oracledb.connect_async(
                user=user.name,
                password=user.plaintext(),
                host=address.host,
                port=address.port,
                service_name=address.service_name,
                protocol="tcps" if server.context else "tcp",
                ssl_context=server.context,
                ssl_server_dn_match=True,
                tcp_connect_timeout=server.timeout,
                retry_count=0,
            )
            return driver
