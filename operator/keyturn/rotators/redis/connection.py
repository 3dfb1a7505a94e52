"""One connection with a Redis server; its errors become ours here."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from keyturn.domain.errors import KeyturnError, TargetRefusedError, TargetUnavailableError
from keyturn.rotators.authenticating import Login
from keyturn.rotators.endpoint import Endpoint
from keyturn.rotators.redis.acl import Reply

NO_FILE = "noFile"
"""The code given to an error that says that the server has no file to keep its users in."""

_REFUSALS = frozenset({"ERR", "NOPERM"})
"""The codes of errors that say: not done. Others say: not now (LOADING, READONLY, MISCONF, …)."""

_WRONG_PASSWORD = "WRONGPASS"  # noqa: S105 - a code
_NO_FILE_TEXTS = ("not configured to use an ACL file", "without a config file")


@dataclass(frozen=True, slots=True)
class Place:
    """A server, the certificates trusted there (None: no TLS), and the deadline in seconds."""

    endpoint: Endpoint
    trusted: ssl.SSLContext | None
    timeout: float


class ReplyError(Exception):
    """The server replied with an error, of which only the code is kept."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

    def as_ours(self, what: str) -> KeyturnError:
        """Make the error that says that the server would not do `what`."""
        said = f"the Redis server refuses {what} ({self.code})"
        if self.code in _REFUSALS:
            return TargetRefusedError(said)
        return TargetUnavailableError(said)


class Server:
    """Sends commands and reads replies, until one of them fails to come: then never again.

    The driver would connect anew for the next command, and log in on nobody's order.
    """

    def __init__(self, connection: Connection, place: Place) -> None:
        self._connection = connection
        self._place = place
        self._broken = False

    async def log_in(self, login: Login) -> bool:
        """Send AUTH; False: the server refused this user name and password.

        Raises:
            TargetUnavailableError: it cannot be told.
        """
        try:
            await self.ask("AUTH", login.username.encode(), login.password)
        except ReplyError as error:
            if error.code == _WRONG_PASSWORD:
                return False
            raise TargetUnavailableError(
                f"{self._place.endpoint} cannot tell whether it takes a login ({error.code})"
            ) from None
        return True

    async def ask(self, *command: str | bytes) -> Reply | None:
        """Send one command and return its reply.

        Raises:
            ReplyError: the reply is an error.
            TargetUnavailableError: there is none; the command may have been done or not.
        """
        if self._broken:
            raise TargetUnavailableError(f"the connection with {self._place.endpoint} is broken")
        words = [
            word.encode("utf-8", "surrogateescape") if isinstance(word, str) else word
            for word in command
        ]
        try:
            await self._connection.send_command(*words, check_health=False)
            reply: Reply | None = await self._connection.read_response()
        except (ResponseError, AuthenticationError) as error:
            raise ReplyError(_code(error)) from None
        except (RedisError, OSError, TimeoutError) as error:
            self._broken = True
            raise _unavailable(self._place.endpoint, error) from None
        return reply


@asynccontextmanager
async def connected(place: Place) -> AsyncIterator[Server]:
    """Connect, without a login. Raises: TargetUnavailableError."""
    connection = _connection(place)
    try:
        try:
            await connection.connect()
        except (RedisError, OSError, TimeoutError) as error:
            raise _unavailable(place.endpoint, error) from None
        yield Server(connection, place)
    finally:
        with suppress(RedisError, OSError, TimeoutError):
            await connection.disconnect()
        # asyncio closes the socket of a TLS handshake that failed in its next turn.
        await asyncio.sleep(0)


@asynccontextmanager
async def logged_in(place: Place, logins: Sequence[Login]) -> AsyncIterator[Server]:
    """Connect as the first that the server takes.

    Raises:
        TargetUnavailableError: it does not answer, or takes none of them.
    """
    for login in logins:
        async with connected(place) as server:
            if await server.log_in(login):
                yield server
                return
    raise TargetUnavailableError(f"{place.endpoint} lets nobody in who may rotate here")


def _connection(place: Place) -> Connection:
    settings: dict[str, Any] = {
        "host": place.endpoint.host,
        "port": place.endpoint.port,
        "socket_timeout": place.timeout,
        "socket_connect_timeout": place.timeout,
        # Version 3 of the protocol begins with a HELLO that an old server or a proxy may not know.
        "protocol": 2,
        # A user may have no right to tell the name of its driver, and ACL LOG would show that.
        "driver_info": None,
        "retry": Retry(NoBackoff(), 0),
    }
    if place.trusted is None:
        return Connection(**settings)
    connection = SSLConnection(**settings)
    # The driver's own context trusts the system's certificates beside those that it is given.
    connection.ssl_context.context = place.trusted
    return connection


def _code(error: RedisError) -> str:
    """Return the code of an error; its text may quote what was sent."""
    text = str(error)
    if any(known in text for known in _NO_FILE_TEXTS):
        return NO_FILE
    first = error.status_code or text.partition(" ")[0]
    return first if first.isalpha() and first.isupper() else "ERR"


def _unavailable(endpoint: Endpoint, error: BaseException) -> TargetUnavailableError:
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return TargetUnavailableError(
            f"the certificate of {endpoint} is not trusted, or is that of another host"
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return TargetUnavailableError(f"no TLS can be agreed on with {endpoint}")
    return TargetUnavailableError(f"{endpoint} does not answer, or not in time")
