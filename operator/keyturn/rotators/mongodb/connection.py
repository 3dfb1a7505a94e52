"""A login to a MongoDB server and the commands sent by it; its errors become ours here."""

import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.saslprep import saslprep

from keyturn.domain.errors import KeyturnError, TargetRefusedError, TargetUnavailableError
from keyturn.rotators.authenticating import Login
from keyturn.rotators.mongodb.parameters import Dialect, MongoDBParameters

Document = dict[str, Any]

USER_NOT_FOUND, USER_EXISTS = 11, 51003
_AUTHENTICATION_FAILED = 18
_MILLISECONDS = 1000
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"

_REFUSALS = frozenset({2, 9, 11, 13, 14, 20, 31, 59, 72, 115, 303, 40415})
"""The codes of errors that say that a command was not done, and would not be if sent again.

BadValue, FailedToParse, UserNotFound, Unauthorized, TypeMismatch, IllegalOperation, RoleNotFound,
CommandNotFound, InvalidOptions, CommandNotSupported, FeatureNotSupported, an unknown field:
https://www.mongodb.com/docs/manual/reference/error-codes/
"""


class LoginRefusedError(Exception):
    """The server refuses a user name and password."""


class CommandError(Exception):
    """The server answered a command with an error, of which only the code is kept."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code

    def as_ours(self, what: str) -> KeyturnError:
        """Make the error that says that the server would not do `what`."""
        said = f"the MongoDB server refuses {what} (code {self.code})"
        if self.code in _REFUSALS:
            return TargetRefusedError(said)
        return TargetUnavailableError(said)


@dataclass(frozen=True, slots=True)
class Place:
    """A server, the certificates (PEM) trusted there, and the deadline in seconds."""

    parameters: MongoDBParameters
    authority: bytes
    timeout: float


class Server:
    """Sends commands as one user."""

    def __init__(self, client: AsyncMongoClient[Document], place: Place) -> None:
        self._client = client
        self._place = place

    async def ask(self, database: str, command: Mapping[str, Any]) -> Document:
        """Send one command; it ends on the server's side, too, when its time is over.

        Raises:
            CommandError: the answer is an error.
            TargetUnavailableError: there is no answer, or the change is not on most members yet.
        """
        limited = {**command, "maxTimeMS": int(self._place.timeout * _MILLISECONDS)}
        try:
            answer: Document = await self._client[database].command(limited)
        except OperationFailure as error:
            if error.code is None:
                raise self._unavailable() from None
            raise CommandError(error.code) from None
        except (PyMongoError, OSError, TimeoutError):
            raise self._unavailable() from None
        if "writeConcernError" in answer:
            raise TargetUnavailableError("most members of the replica set do not have the change")
        return answer

    def _unavailable(self) -> TargetUnavailableError:
        endpoint = self._place.parameters.endpoint
        if _is_untrusted(self._client):
            return TargetUnavailableError(
                f"the certificate of {endpoint} is not trusted, or is that of another host"
            )
        return TargetUnavailableError(f"{endpoint} does not answer, or not in time")


def password_text(login: Login, dialect: Dialect) -> str | None:
    """Return the password as the driver takes it; None: no user can have it.

    With SCRAM-SHA-256, RFC 7677 forbids control characters in it, and the server refuses them.
    """
    try:
        text = login.password.decode()
        if dialect is Dialect.MONGODB:
            saslprep(text)
    except ValueError:
        return None
    return text


@asynccontextmanager
async def connected(place: Place, login: Login, source: str) -> AsyncIterator[Server]:
    """Log in once, with a user of the database `source`.

    Raises:
        LoginRefusedError: the server refuses the login.
        TargetUnavailableError: it does not answer, or cannot tell.
    """
    password = password_text(login, place.parameters.dialect)
    if password is None:
        raise LoginRefusedError
    with _authority_file(place.authority) as authority_file:
        client = _client(
            place, authority_file, username=login.username, password=password, authSource=source
        )
        try:
            server = Server(client, place)
            try:
                await server.ask(source, {"ping": 1})
            except CommandError as error:
                if error.code == _AUTHENTICATION_FAILED:
                    raise LoginRefusedError from None
                raise TargetUnavailableError(
                    f"the MongoDB server cannot tell whether it takes a login (code {error.code})"
                ) from None
            yield server
        finally:
            await client.close()


@asynccontextmanager
async def logged_in(place: Place, logins: Sequence[Login], source: str) -> AsyncIterator[Server]:
    """Log in as the first that the server takes.

    Raises:
        TargetUnavailableError: it does not answer, or takes none of them.
    """
    async with AsyncExitStack() as stack:
        for login in logins:
            with suppress(LoginRefusedError):
                server = await stack.enter_async_context(connected(place, login, source))
                break
        else:
            endpoint = place.parameters.endpoint
            raise TargetUnavailableError(f"{endpoint} lets nobody in who may rotate here")
        yield server


def _client(place: Place, authority_file: str | None, **login: Any) -> AsyncMongoClient[Document]:
    parameters, limit = place.parameters, int(place.timeout * _MILLISECONDS)
    topology: Document = (
        {"replicaSet": parameters.replica_set}
        if parameters.replica_set
        else {"directConnection": True}
    )
    if parameters.endpoint.tls:
        topology |= {"tls": True, "tlsCAFile": authority_file}
    return AsyncMongoClient(
        parameters.endpoint.host,
        parameters.endpoint.port,
        authMechanism=parameters.dialect.mechanism,
        appname="keyturn",
        maxPoolSize=1,
        connect=False,
        # Nothing is sent twice on the driver's own decision, a login least of all.
        retryReads=False,
        retryWrites=False,
        serverSelectionTimeoutMS=limit,
        connectTimeoutMS=limit,
        socketTimeoutMS=limit,
        waitQueueTimeoutMS=limit,
        **topology,
        **login,
    )


@contextmanager
def _authority_file(authority: bytes) -> Iterator[str | None]:
    """Give certificates the path that the driver wants, without a file on any disk."""
    if not authority:
        yield None
        return
    descriptor = os.memfd_create("authority")
    try:
        os.write(descriptor, authority)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _is_untrusted(client: AsyncMongoClient[Document]) -> bool:
    """Look for the reason that OpenSSL gave: of the error itself the driver keeps the text only."""
    found = client.topology_description.server_descriptions().values()
    return any(_UNTRUSTED in str(server.error) for server in found)
