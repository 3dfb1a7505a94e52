"""A session with a PostgreSQL server: all that changes something is done by the lock's connection.

A statement that was sent ends with the backend that holds the lock, or before. So nobody else can
hold the lock while a statement of an older session may still come to be.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from keyturn.domain.errors import TargetRefusedError, TargetUnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Target
from keyturn.rotators.postgresql import clones, roles
from keyturn.rotators.postgresql.connecting import Connection, Link
from keyturn.rotators.postgresql.failures import (
    LoginBarredError,
    LoginRefusedError,
    replaced,
)
from keyturn.rotators.postgresql.locking import AdvisoryLock
from keyturn.rotators.postgresql.logins import Login, is_name
from keyturn.rotators.postgresql.settings import Settings

CLONE_SUFFIX: Final = "_clone"

LONGEST_NAME: Final = 63
"""Bytes of a name; a longer one is cut by the server, and is then another's."""

_VERIFIER = re.compile(r"SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+")


@dataclass(frozen=True, slots=True)
class Names:
    """The user names that a rotation is about; no other role is ever changed."""

    base: str
    clone: str
    longest: int

    @classmethod
    def of(cls, order: Order, longest: int) -> "Names":
        """Read the names from an order.

        Raises:
            TargetRefusedError: the server could not keep one of them as it is.
        """
        alternates = order.strategy is Strategy.ALTERNATING_USERS
        clone = order.base_username + CLONE_SUFFIX if alternates else order.base_username
        if not is_name(order.base_username, longest) or not is_name(clone, longest):
            raise TargetRefusedError(
                f"a user name, {CLONE_SUFFIX} included where two users alternate, must have 1 to "
                f"{longest} bytes and no zero byte"
            )
        return cls(order.base_username, clone, longest)

    @property
    def alternate(self) -> bool:
        return self.base != self.clone

    def read(self, credential: Credential) -> Login:
        """Read a credential that is to be set or retired.

        Raises:
            TargetRefusedError: it is none of these users', or no server can have it.
        """
        login = Login.read(credential.values)
        if login.username not in (self.base, self.clone):
            raise TargetRefusedError("the version is for a user that this rotation is not about")
        if not login.is_possible(self.longest):
            raise TargetRefusedError(
                "the server takes no password that is empty, holds a zero byte or is no UTF-8"
            )
        return login


class PostgreSQLSession:
    """Sets and retires the passwords of one user, or of two that alternate."""

    def __init__(
        self, link: Link, names: Names, connection: Connection, lock: AdvisoryLock
    ) -> None:
        self._link = link
        self._names = names
        self._connection = connection
        self._lock = lock

    async def accepts(self, credential: Credential) -> bool:
        try:
            return await accepts(self._link, credential, self._names.longest)
        except LoginBarredError:
            if await self._may_log_in(Login.read(credential.values).username):
                raise
            return False

    async def set(self, pending: Credential) -> None:
        login = self._names.read(pending)
        self._refuse_without_admin()
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
            sql.Identifier(login.username), self._verifier(login)
        )
        async with self._transaction("setting the password"):
            if self._names.alternate:
                names, create = self._names, login.username == self._names.clone
                await clones.align(self._connection, names.base, names.clone, create=create)
            await self._connection.execute(statement)

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        username = Login.read(old.values).username
        if not self._names.alternate or username in {
            Login.read(credential.values).username for credential in kept
        }:
            return
        if username not in (self._names.base, self._names.clone):
            raise TargetRefusedError("the version is for a user that this rotation is not about")
        self._refuse_without_admin()
        async with self._transaction("retiring the password"):
            if await roles.find(self._connection, username) is not None:
                await self._connection.execute(
                    sql.SQL("ALTER ROLE {} PASSWORD NULL").format(sql.Identifier(username))
                )

    async def holds_lock(self) -> bool:
        with self._link.limited(self._connection):
            return await self._lock.is_held(self._connection)

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:  # noqa: ARG002
        raise TargetRefusedError("PostgreSQL issues no passwords")

    async def _may_log_in(self, username: str) -> bool:
        with replaced("looking for the user"), self._link.limited(self._connection):
            return await roles.may_log_in(self._connection, username)

    def _refuse_without_admin(self) -> None:
        if self._names.alternate and not self._link.target.admin:
            raise TargetRefusedError(
                "AlternatingUsers needs a user that may make roles; name it by adminRef in the "
                "Rotator"
            )

    def _verifier(self, login: Login) -> sql.Literal:
        """Compute here what the server keeps instead of the password: it logs its statements."""
        verifier = self._connection.pgconn.encrypt_password(
            login.password.encode(), login.username.encode(), b"scram-sha-256"
        ).decode()
        if _VERIFIER.fullmatch(verifier) is None:
            raise TargetRefusedError("no SCRAM verifier can be made from this password")
        return sql.Literal(verifier)

    @asynccontextmanager
    async def _transaction(self, doing: str) -> AsyncIterator[None]:
        """Do something wholly or not at all, within the deadline."""
        with replaced(doing), self._link.limited(self._connection):
            async with self._connection.transaction():
                yield


async def accepts(link: Link, credential: Credential, longest_name: int) -> bool:
    """Log in anew with a credential.

    Raises:
        TargetUnavailableError: whether it is accepted cannot be told.
    """
    login = Login.read(credential.values)
    if not login.is_possible(longest_name):
        return False
    try:
        connection = await link.open(login, link.settings.database, as_user=True)
    except LoginRefusedError:
        return False
    async with closing(connection):
        with replaced("trying a credential"), link.limited(connection):
            await connection.execute("SELECT 1")
    return True


@asynccontextmanager
async def open_session(
    settings: Settings, target: Target, order: Order
) -> AsyncIterator[PostgreSQLSession]:
    """Log in and wait for the lock, which ends with the connection.

    Raises:
        TargetUnavailableError: the server does not answer, or nobody may log in.
        TargetLockedError: another session holds the lock.
        TargetRefusedError: the server could not keep the user names as they are.
    """
    link, names = Link(settings, target), Names.of(order, LONGEST_NAME)
    connection = await log_in(link, order, names, settings.lock_database)
    async with closing(connection):
        with link.limited(connection):
            lock = await AdvisoryLock.take(connection, order.base_username)
        yield PostgreSQLSession(link, names, connection, lock)


async def log_in(link: Link, order: Order, names: Names, database: str) -> Connection:
    """Log in as the admin; without one, as the first user of the rotation that may.

    The admin's own password may be what is rotated: after a crash the admin credential is then
    older than the server's, and those of the rotation are tried, too.

    Raises:
        TargetUnavailableError: the server does not answer, or nobody may log in.
    """
    own = [
        Login.read(credential.values)
        for credential in (order.pending, order.current, order.previous)
        if credential is not None
    ]
    candidates = own
    if link.target.admin:
        admin = Login.read(link.target.admin)
        candidates = [admin, *(own if admin.username == names.base else [])]
    for login in candidates:
        if login.is_possible(names.longest):
            try:
                return await link.open(login, database)
            except LoginRefusedError:
                continue
    raise TargetUnavailableError(
        "the server refuses the admin credential; correct what adminRef of the Rotator names"
        if link.target.admin
        else "the server refuses every credential of this secret; name an adminRef in the Rotator,"
        " or set the password by hand"
    )


@asynccontextmanager
async def closing(connection: Connection) -> AsyncIterator[Connection]:
    """Close the connection at the end, whatever happened."""
    try:
        yield connection
    finally:
        await connection.close()
