"""One connection to the server: how it is opened, and what is said by it."""

import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, Final

import pytds

from keyturn.rotators.blocking import BlockingConnection
from keyturn.rotators.logins import Login
from keyturn.rotators.sqlserver.address import Address
from keyturn.rotators.sqlserver.encryption import EncryptedTransport, Transport
from keyturn.rotators.sqlserver.errors import translated
from keyturn.rotators.sqlserver.passwords import text_of

Row = tuple[Any, ...]

_GRACE: Final = 3.0
"""How many seconds the driver has to report that its own deadline has passed."""

_ONE_ATTEMPT: Final = 0.01
"""For so many seconds the driver would try again, or sleep, after most refusals of a login."""

# What it logs below that are the texts of the server's errors, with the times that it takes.
logging.getLogger("pytds").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Server:
    """Where connections go: `context` verifies the server, None without TLS; seconds."""

    address: Address
    context: SSLContext | None
    timeout: float


class Connection:
    """An open connection; its errors are those of `keyturn.rotators.sqlserver.errors`."""

    def __init__(self, server: Server) -> None:
        """Prepare it; `connected` opens and closes it."""
        self._server = server
        self._thread = BlockingConnection("keyturn-sqlserver", self._cut)
        self._driver: Any = None
        self._lever: socket.socket | None = None

    async def open(self, login: Login) -> None:
        """Connect and log in, once."""
        await self._thread.call(lambda: self._open(login), seconds=2 * self._patience)

    async def rows(self, query: str, *values: object, login: bool = False) -> Sequence[Row]:
        """Ask; each `%s` of the query stands for one value, which goes as a parameter."""

        def asking() -> Sequence[Row]:
            with translated(login=login), self._driver.cursor() as cursor:
                cursor.execute(query, values)
                return list(cursor.fetchall()) if cursor.description else []

        return await self._thread.call(asking, seconds=self._patience)

    async def execute(self, statement: str) -> None:
        """Say something as it stands; its parts were quoted before."""
        await self.rows(statement)

    async def close(self) -> None:
        await self._thread.call(self._close, seconds=self._patience)
        self._thread.release()

    @property
    def _patience(self) -> float:
        return self._server.timeout + _GRACE

    def _open(self, login: Login) -> None:
        address, context = self._server.address, self._server.context
        with translated(login=True):
            link = socket.create_connection((address.host, address.port), self._server.timeout)
            self._lever = link.dup()
            try:
                transport = (
                    EncryptedTransport(link, context, address.host) if context else Transport(link)
                )
                self._driver = pytds.connect(
                    dsn=address.host,
                    port=address.port,
                    database=address.database,
                    user=login.username,
                    password=text_of(login.password),
                    autocommit=True,
                    timeout=self._server.timeout,
                    login_timeout=_ONE_ATTEMPT,
                    disable_connect_retry=True,
                    sock=transport,
                )
                transport.is_logged_in = True
            except BaseException:
                link.close()
                raise

    def _cut(self) -> None:
        if self._lever is not None:
            with suppress(OSError):
                self._lever.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        with suppress(pytds.Error, OSError):
            if self._driver is not None:
                self._driver.close()
        if self._lever is not None:
            self._cut()
            self._lever.close()


@asynccontextmanager
async def connected(server: Server, login: Login) -> AsyncIterator[Connection]:
    """Log in once, and leave the server at the end.

    Raises:
        LoginRefusedError: the server refuses the credential.
        TargetUnavailableError: it does not answer, or not as one that can be trusted.
    """
    connection = Connection(server)
    try:
        await connection.open(login)
        yield connection
    finally:
        await connection.close()
