"""One connection to the server: how it is opened, and what is said by it."""

import math
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from ssl import SSLContext
from typing import Any, Final

import pymysql
from pymysql.connections import Connection as Driver

from keyturn.domain.errors import TargetUnavailableError
from keyturn.rotators.blocking import BlockingConnection
from keyturn.rotators.logins import Login
from keyturn.rotators.mysql.address import MARIADB, MYSQL, Address
from keyturn.rotators.mysql.authentication import AllowedPlugins
from keyturn.rotators.mysql.errors import ConnectionLostError, translated

Row = tuple[Any, ...]

# Quotes are doubled and nothing else is special: neither the server's own mode nor ANSI_QUOTES.
SQL_MODE: Final = "NO_BACKSLASH_ESCAPES"

_GRACE: Final = 3.0
"""How many seconds the server has to report that its own deadline has passed."""

_IDLE_LIMIT: Final = 60
"""After so many idle seconds the server ends a session: an operator that hangs loses its lock."""

_MARIADB_MARK: Final = "MARIADB"


@dataclass(frozen=True, slots=True)
class Server:
    """Where connections go: `context` verifies the server, None without TLS; seconds."""

    address: Address
    context: SSLContext | None
    timeout: float

    @property
    def has_tls(self) -> bool:
        return self.context is not None


class Connection:
    """An open connection; its errors are those of `keyturn.rotators.mysql.errors.translated`."""

    def __init__(self, server: Server) -> None:
        """Prepare it; `connected` opens and closes it."""
        self._server = server
        self._thread = BlockingConnection("keyturn-mysql", self._cut)
        self._driver: Driver | None = None
        self._lever: socket.socket | None = None
        self._is_cut = False
        self.dialect = ""

    async def open(self, login: Login) -> None:
        """Connect and log in, once."""
        await self._thread.call(lambda: self._open(login), seconds=2 * self._patience)

    async def settle(self) -> None:
        """Learn the dialect, and give the session its own deadlines on the server's side."""
        version = await self.value("SELECT VERSION()")
        self.dialect = MARIADB if _MARIADB_MARK in str(version).upper() else MYSQL
        seconds = max(1, math.ceil(self._server.timeout))
        settings = {
            "sql_quote_show_create": 1,
            "lock_wait_timeout": seconds,
            "wait_timeout": max(_IDLE_LIMIT, 3 * seconds),
        }
        if self.dialect == MARIADB:
            settings["max_statement_time"] = seconds + 1
        assignments = ", ".join(f"SESSION {name} = {value}" for name, value in settings.items())
        await self.execute(f"SET {assignments}")

    async def rows(self, query: str, *values: object, login: bool = False) -> Sequence[Row]:
        """Ask; each `%s` of the query stands for one value, which the driver quotes.

        With `login` the query belongs to the login: the server may let somebody in and answer
        nothing, when the password has expired.
        """
        driver = self._opened()

        def asking() -> Sequence[Row]:
            with translated(login=login), driver.cursor() as cursor:
                cursor.execute(query, values or None)
                return list(cursor.fetchall())

        return await self._thread.call(asking, seconds=self._patience + 1)

    async def value(self, query: str, *values: object, login: bool = False) -> Any:
        """Ask for the one value that the query gives.

        Raises:
            TargetUnavailableError: it gives anything else, so it is no server of this kind.
        """
        found = await self.rows(query, *values, login=login)
        if len(found) != 1 or len(found[0]) != 1:
            raise TargetUnavailableError("the server's answer makes no sense")
        return found[0][0]

    async def execute(self, statement: str) -> None:
        """Say something as it stands; its parts were quoted before."""
        await self.rows(statement)

    async def places(self) -> frozenset[str]:
        """Return the names by which the server knows this client: as it tells, or also an address.

        It knows both where it looks up host names, and tells only the name then. The address is
        this side's own there; it is not where the server sees one if that is translated between.
        """
        told = str(await self.value("SELECT USER()")).rpartition("@")[2]
        if _is_address(told) or self._lever is None:
            return frozenset({told})
        return frozenset({told, self._lever.getsockname()[0]})

    async def cipher(self) -> str:
        """Name the encryption that was agreed on; empty without TLS."""
        found = await self.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        return str(found[0][1]) if found else ""

    def quoted(self, text: str) -> str:
        """Quote a text for a statement, by the driver."""
        return str(self._opened().escape(text))

    async def close(self) -> None:
        with suppress(TargetUnavailableError):
            await self._thread.call(self._close, seconds=self._patience)
        self._thread.release()

    @property
    def _patience(self) -> float:
        return self._server.timeout + _GRACE

    def _opened(self) -> Driver:
        if self._driver is None:
            raise ConnectionLostError("the connection is not open")
        return self._driver

    def _open(self, login: Login) -> None:
        address = self._server.address
        with translated(login=True):
            link = self._link()
            driver = Driver(
                host=address.host,
                port=address.port,
                user=login.username,
                password=bytes(login.password.reveal()),
                charset="utf8mb4",
                sql_mode=SQL_MODE,
                autocommit=True,
                local_infile=False,
                ssl=self._server.context,
                ssl_disabled=not self._server.has_tls,
                read_timeout=self._patience,
                write_timeout=self._patience,
                auth_plugin_map=AllowedPlugins(has_tls=self._server.has_tls),
                defer_connect=True,
            )
            try:
                driver.connect(link)
            finally:
                driver.password = b""
            self._driver = driver

    def _link(self) -> socket.socket:
        address = self._server.address
        try:
            link = socket.create_connection((address.host, address.port), self._server.timeout)
        except OSError:
            raise TargetUnavailableError("the server does not answer") from None
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # TLS takes the socket over: a second handle is what another thread can cut it by.
        self._lever = link.dup()
        if self._is_cut:
            link.close()
            self._lever.close()
            raise TargetUnavailableError("the connection is not wanted any more")
        return link

    def _cut(self) -> None:
        self._is_cut = True
        if self._lever is not None:
            with suppress(OSError):
                self._lever.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        with suppress(pymysql.err.Error, OSError):
            if self._driver is not None:
                self._driver.close()
        self._driver = None
        if self._lever is not None:
            self._lever.close()


def _is_address(place: str) -> bool:
    try:
        ip_address(place)
    except ValueError:
        return False
    return True


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
