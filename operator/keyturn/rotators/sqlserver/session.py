"""A session with the server: one connection that holds the lock and says what is to be said."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from keyturn.domain.errors import TargetLockedError, TargetRefusedError, TargetUnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order
from keyturn.rotators.logins import Login
from keyturn.rotators.sql import LoginBarredError, LoginRefusedError
from keyturn.rotators.sqlserver.connection import Connection, Server, connected
from keyturn.rotators.sqlserver.errors import DatabaseClosedError
from keyturn.rotators.sqlserver.principals import ContainedUsers, Logins

_TAKE: Final = (
    "DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = %s, @LockMode = 'Exclusive', "
    "@LockOwner = 'Session', @LockTimeout = %s, @DbPrincipal = 'public'; SELECT @taken"
)
_HELD: Final = "SELECT APPLOCK_MODE('public', %s, 'Session')"


class SQLServerSession:
    """Does single acts for one order; `own` is the user's login where there is no administrator."""

    def __init__(
        self, server: Server, connection: Connection, order: Order, own: Login | None
    ) -> None:
        self._server = server
        self._connection = connection
        self._order = order
        self._own = own
        self._unlocked = ""
        kind = ContainedUsers if server.address.is_contained else Logins
        self._principals: ContainedUsers | Logins = kind(connection)
        digest = hashlib.sha256(order.base_username.casefold().encode()).hexdigest()
        self._lock = f"keyturn:{digest}"

    async def lock(self) -> None:
        """Take the lock of the user, in the database of the parameters.

        Raises:
            TargetLockedError: another session holds it for longer than the timeout.
        """
        milliseconds = int(self._server.timeout * 1000)
        found = await self._connection.rows(_TAKE, self._lock, milliseconds)
        if not found or found[0][0] is None or found[0][0] < 0:
            raise TargetLockedError("another session holds the lock of this user")

    async def holds_lock(self) -> bool:
        try:
            found = await self._connection.rows(_HELD, self._lock)
        except TargetUnavailableError:
            return False  # a lock does not outlive its connection
        return bool(found) and found[0][0] == "Exclusive"

    async def accepts(self, credential: Credential) -> bool:
        login = Login.of(credential.values)
        try:
            async with connected(self._server, login) as connection:
                await connection.rows("SELECT 1", login=True)
        except LoginRefusedError:
            return False
        except LoginBarredError:
            # `set` unlocks the other login; who is barred again after that is waited for.
            original = Login.of(self._order.original_of(credential).values)
            if login.username in (original.username, self._unlocked):
                raise
            return False
        except DatabaseClosedError:
            # A contained user is shut out by just this.
            if not self._server.address.is_contained:
                raise
            return False
        return True

    async def set(self, pending: Credential) -> None:
        login = Login.of(pending.values)
        if self._own is not None:
            await self._set_own(login, self._own)
        elif self._order.strategy is Strategy.ALTERNATING_USERS:
            await self._set_alternating(login)
        else:
            await self._expect(login.username)
            await self._principals.set_password(login.username, login.password)

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        """Shut out the user of `old`, where no kept credential is of the same user."""
        username = Login.of(old.values).username
        if username in {Login.of(other.values).username for other in kept}:
            return
        if self._order.strategy is not Strategy.ALTERNATING_USERS or self._own is not None:
            raise TargetRefusedError("only one of two alternating users can be retired")
        if await self._principals.exists(username):
            await self._principals.shut(username)

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:
        """Refuse: this rotator issues no values."""
        del current
        raise TargetRefusedError("SQL Server issues no passwords")

    async def _set_own(self, login: Login, own: Login) -> None:
        """Give the old password that this session logged in by, whichever version that was."""
        if login.username != own.username:
            raise TargetRefusedError(f"without an administrator {own.username!r} sets itself only")
        if not self._server.address.has_tls:
            raise TargetRefusedError("without TLS and without an administrator no password is sent")
        await self._principals.set_own_password(own.username, own.password, login.password)
        self._own = login

    async def _set_alternating(self, login: Login) -> None:
        """Bring the other user in line, then let it in; the password comes last."""
        source = self._source(login.username)
        await self._expect(source)
        if source != login.username:
            if not await self._principals.exists(login.username):
                await self._principals.create(login.username)
            await self._principals.align(source, login.username)
        await self._principals.set_password(login.username, login.password, unlock=True)
        await self._principals.enable(login.username)
        self._unlocked = login.username

    async def _expect(self, username: str) -> None:
        if not await self._principals.exists(username):
            raise TargetRefusedError(f"there is no login or user {username!r} with a password")

    def _source(self, username: str) -> str:
        if self._order.current is not None:
            return Login.of(self._order.current.values).username
        if username != self._order.base_username:
            raise TargetRefusedError("the first of two alternating users must be there already")
        return username
