"""Opening a connection: by keywords, to one server, with one login.

psycopg's own `connect` is not used, for two reasons. It tries the next address of a host after
any error, so that a refused password would be sent once for each address. And it tells why a
login failed in the server's language only, where the caller needs the SQLSTATE.
"""

import asyncio
import ctypes
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from psycopg import AsyncConnection, pq
from psycopg.conninfo import make_conninfo
from psycopg.pq.abc import PGconn

from keyturn.domain.errors import TargetUnavailableError
from keyturn.rotators.interface import Target
from keyturn.rotators.postgresql.authorities import authority_file
from keyturn.rotators.postgresql.failures import login_failure
from keyturn.rotators.postgresql.logins import Login
from keyturn.rotators.postgresql.settings import Dialect, Settings

Connection = AsyncConnection[tuple[object, ...]]

_GRACE = 2.0
"""Seconds that the server has to end a statement itself before the client gives it up."""

_IDLE_LIMIT = 60.0
"""After so many idle seconds the server ends a session: an operator that is gone loses its lock."""

_SQLSTATE_ONLY = 3  # PQERRORS_SQLSTATE of libpq-fe.h
_NOWHERE = "/dev/null"

_NEVER_EMPTY = frozenset({b"service", b"min_protocol_version", b"max_protocol_version"})

_BEFORE_THE_FIRST_BYTE = frozenset({pq.ConnStatus.BAD, pq.ConnStatus.STARTED})


class _NobodyListensError(Exception):
    """No connection came about, so nothing was sent."""


@dataclass(frozen=True, slots=True)
class Link:
    """The way to one server."""

    settings: Settings
    target: Target

    @property
    def deadline(self) -> float:
        """Seconds after which the client gives a statement up."""
        return self.target.timeout + _GRACE

    @contextmanager
    def limited(self, connection: Connection) -> Iterator[None]:
        """Cut a connection when what is done within does not end in time.

        A mere cancellation would not do: psycopg then waits for what the server says to it.
        """
        timer = asyncio.get_running_loop().call_later(self.deadline, _cut, connection)
        try:
            yield
        finally:
            timer.cancel()

    async def open(self, login: Login, database: str, *, as_user: bool = False) -> Connection:
        """Log in, once.

        Args:
            login: Who.
            database: Where.
            as_user: With the settings that the user has on the server, as an application.

        Raises:
            LoginRefusedError: the server refused.
            LoginBarredError: it lets this user in with no password at all, at least from here.
            TargetUnavailableError: it did not answer, or not as the one that was meant.
        """
        addresses = await _addresses(self.settings)
        with authority_file(self.target.authority) as authority:
            keywords = self.keywords(login, database, authority, as_user=as_user)
            for address in addresses:
                # Where nobody listens, no login was sent: the next address may be tried.
                with suppress(_NobodyListensError):
                    async with _within(self.target.timeout / len(addresses)):
                        conninfo = make_conninfo(**(keywords | {"hostaddr": address}))
                        pgconn = await _log_in(conninfo, self.settings.dialect)
                    return await _connection(pgconn)
        raise TargetUnavailableError("nothing listens at the host and port of the server")

    def keywords(
        self, login: Login, database: str, authority: str, *, as_user: bool
    ) -> dict[str, str]:
        """Name every keyword that libpq would else take from the environment or a file.

        Channel binding ties the login to the TLS connection with this very server: who ends TLS
        in between, with a certificate that is good, can neither take part nor listen.
        """
        settings, seconds = self.settings, self.target.timeout
        is_redshift, has_tls = settings.dialect is Dialect.REDSHIFT, settings.has_tls
        return _defaults() | {
            "host": settings.host,
            "port": str(settings.port),
            "dbname": database,
            "user": login.username,
            "password": login.password,
            "passfile": _NOWHERE,
            "require_auth": "md5,password" if is_redshift else "scram-sha-256",
            "channel_binding": "require" if has_tls and not is_redshift else "disable",
            "sslmode": "verify-full" if has_tls else "disable",
            "sslrootcert": authority,
            "sslcertmode": "disable",
            "sslcrl": _NOWHERE,
            "ssl_min_protocol_version": "TLSv1.2",
            "gssencmode": "disable",
            "client_encoding": "utf8",
            "application_name": "keyturn",
            "options": "" if is_redshift else _options(seconds, as_user=as_user),
            "keepalives": "1",
            "keepalives_idle": "5",
            "keepalives_interval": "2",
            "keepalives_count": "3",
            "tcp_user_timeout": str(round(self.deadline * 1000)),
            "target_session_attrs": "any" if is_redshift else "primary",
        }


@cache
def _defaults() -> dict[str, str]:
    """Give each keyword that has an environment variable the value that it has without it."""
    return {
        option.keyword.decode(): (option.compiled or b"").decode()
        for option in pq.Conninfo.get_defaults()
        if option.envvar is not None and option.keyword not in _NEVER_EMPTY
    }


def _options(seconds: float, *, as_user: bool) -> str:
    """Settings of the session, which go before those that a role or a database has."""
    statement = round(seconds * 1000)
    settings: dict[str, int | str] = {
        "statement_timeout": statement,
        # Shorter, so that a wait for a lock ends by its own code.
        "lock_timeout": round(statement * 0.9),
        "idle_in_transaction_session_timeout": statement,
        "idle_session_timeout": max(round(_IDLE_LIMIT * 1000), 3 * statement),
    }
    if not as_user:
        settings |= {
            # A user may have another role by default, which could not change the user's password.
            "role": "none",
            "search_path": "pg_catalog",
            "default_transaction_read_only": "off",
            # What was acknowledged has to be there after a crash of the server.
            "synchronous_commit": "on",
        }
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


async def _addresses(settings: Settings) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(
            settings.host, settings.port, proto=socket.IPPROTO_TCP, type=socket.SOCK_STREAM
        )
    except OSError:
        raise TargetUnavailableError("the name of the host has no address") from None
    return list(dict.fromkeys(str(address[4][0]) for address in found))


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Limit what is done within. Raises: TargetUnavailableError."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise TargetUnavailableError("the server did not answer in time") from None


async def _log_in(conninfo: str, dialect: Dialect) -> PGconn:
    # libpq reads this variable before all else, and no keyword says that there is no service.
    os.unsetenv("PGSERVICE")
    pgconn = pq.PGconn.connect_start(conninfo.encode())
    try:
        _report_codes_only(pgconn)
        await _poll(pgconn, dialect)
    except BaseException:
        pgconn.finish()
        raise
    pgconn.nonblocking = 1
    return pgconn


async def _poll(pgconn: PGconn, dialect: Dialect) -> None:
    """Drive the login to its end, as libpq's documentation of PQconnectPoll says.

    Raises:
        _NobodyListensError: no connection came about.
        LoginRefusedError, TargetUnavailableError: the server, or libpq, ended it.
    """
    state, is_to_read = pgconn.status, False
    while state != pq.ConnStatus.BAD:
        await _ready(pgconn.socket, is_to_read=is_to_read)
        polled = pgconn.connect_poll()
        if polled == pq.PollingStatus.OK:
            return
        if polled == pq.PollingStatus.FAILED:
            break
        state, is_to_read = pgconn.status, polled == pq.PollingStatus.READING
    if state in _BEFORE_THE_FIRST_BYTE:
        raise _NobodyListensError
    raise login_failure(pgconn.get_error_message(), dialect) from None


async def _ready(descriptor: int, *, is_to_read: bool) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    add, remove = (
        (loop.add_reader, loop.remove_reader)
        if is_to_read
        else (loop.add_writer, loop.remove_writer)
    )
    add(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        remove(descriptor)


async def _connection(pgconn: PGconn) -> Connection:
    connection: Connection = AsyncConnection(pgconn)
    await connection.set_autocommit(True)
    return connection


def _cut(connection: Connection) -> None:
    if not connection.closed:
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as line, suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)


def _report_codes_only(pgconn: PGconn) -> None:
    """Let libpq tell why a login failed by its SQLSTATE: the words are in the server's language.

    psycopg does not wrap this function; it gives the pointer for such calls.
    """
    pointer = cast("Any", pgconn).pgconn_ptr
    if pointer is not None:
        _libpq().PQsetErrorVerbosity(ctypes.c_void_p(pointer), _SQLSTATE_ONLY)


@cache
def _libpq() -> ctypes.CDLL:
    # What psycopg's own extension module is linked with, and no other libpq of the system.
    return ctypes.CDLL(sys.modules[pq.PGconn.__module__].__file__)
