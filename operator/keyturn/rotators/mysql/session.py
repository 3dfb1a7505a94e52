"""A session with the server: one connection that holds the lock and says what is to be said."""

import hashlib
import math
from collections.abc import Sequence
from typing import Final

from keyturn.domain.errors import (
    TargetLockedError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order
from keyturn.rotators.logins import Login
from keyturn.rotators.mysql.accounts import Accounts
from keyturn.rotators.mysql.alignment import align
from keyturn.rotators.mysql.connection import Connection, Server, connected
from keyturn.rotators.mysql.own_password import set_own_password
from keyturn.rotators.mysql.verifiers import verifier
from keyturn.rotators.sql import LoginBarredError, LoginRefusedError

_LOCK_PREFIX: Final = "keyturn:"
_LOCK_DIGITS: Final = 40  # the name of a lock has at most 64 characters


class MySQLSession:
    """Does single acts for one order; with `is_admin` the connection is the administrator's."""

    def __init__(
        self, server: Server, connection: Connection, order: Order, *, is_admin: bool
    ) -> None:
        self._server = server
        self._connection = connection
        self._order = order
        self._is_admin = is_admin
        self._unlocked = ""
        self._accounts = Accounts(connection, server.address.user_host)
        self._lock = lock_name(order.base_username, server.address.user_host)

    async def lock(self) -> None:
        """Take the lock of the user.

        Raises:
            TargetLockedError: another session holds it for longer than the timeout.
        """
        seconds = max(1, math.floor(self._server.timeout))
        taken = await self._connection.value("SELECT GET_LOCK(%s, %s)", self._lock, seconds)
        if taken != 1:
            raise TargetLockedError("another session holds the lock of this user")

    async def holds_lock(self) -> bool:
        try:
            held = await self._connection.value(
                "SELECT IS_USED_LOCK(%s) = CONNECTION_ID()", self._lock
            )
        except TargetUnavailableError:
            return False  # a lock does not outlive its connection
        return bool(held)

    async def accepts(self, credential: Credential) -> bool:
        """Log in once with a credential, and ask as whom.

        A login may be that of another account of the same user name, for another host or for
        anybody: it proves nothing about the account that is rotated, nor does its refusal.
        """
        login = login_of(credential)
        try:
            async with connected(self._server, login) as connection:
                account = await connection.value("SELECT CURRENT_USER()", login=True)
        except (LoginRefusedError, LoginBarredError) as error:
            original = login_of(self._order.original_of(credential))
            is_barred = isinstance(error, LoginBarredError)
            # `set` unlocks the other user; who is barred again after that is waited for.
            if is_barred and login.username in (original.username, self._unlocked):
                raise
            await self._require_reach(login.username, original.username)
            return False
        self._require_own(login.username, account)
        return True

    async def _require_reach(self, username: str, original: str) -> None:
        """Pass if a login by the right password would have been one of the account.

        It is taken to ask for what that of `original` does.

        Raises:
            TargetUnavailableError: it would not, so nothing is known of the password.
        """
        if not self._is_admin:
            account = await self._connection.value("SELECT CURRENT_USER()")
            if account.rpartition("@")[0] == username:
                self._require_own(username, account)
        elif obstacle := await self._accounts.obstacle(username, original):
            raise TargetUnavailableError(f"nothing is known of the password: {obstacle}")

    def _require_own(self, username: str, account: str) -> None:
        if not self._is_of(username, account):
            raise TargetUnavailableError(
                f"the server takes Keyturn for {account!r}, which is not the account of userHost "
                f"({self._server.address.user_host!r})"
            )

    def _is_of(self, username: str, account: str) -> bool:
        name, _, host = account.rpartition("@")
        own = self._server.address.user_host
        return name == username and host.casefold() == own.casefold()

    async def set(self, pending: Credential) -> None:
        login = login_of(pending)
        if not self._is_admin:
            account = await self._connection.value("SELECT CURRENT_USER()")
            if not self._is_of(login.username, account):
                raise TargetRefusedError(f"without an administrator {account!r} sets itself only")
            await set_own_password(self._connection, login, has_tls=self._server.has_tls)
        elif self._order.strategy is Strategy.ALTERNATING_USERS:
            await self._set_alternating(login)
        else:
            account = await self._accounts.existing(login.username)
            hashed = verifier(account.plugin, login.password)
            await self._accounts.set_password(login.username, account.plugin, hashed, unlock=False)

    async def _set_alternating(self, login: Login) -> None:
        """Bring the other user in line, then let it in.

        The password comes last: whoever finds it accepted may be sure of the privileges.
        """
        source = self._source(login.username)
        original = await self._accounts.existing(source)
        hashed = verifier(original.plugin, login.password)
        if source != login.username:
            if await self._accounts.find(login.username) is None:
                await self._accounts.create_locked(login.username, original.plugin, hashed)
            await align(self._accounts, source, original, login.username)
        await self._accounts.set_password(login.username, original.plugin, hashed, unlock=True)
        self._unlocked = login.username

    def _source(self, username: str) -> str:
        """Name the user whose privileges count: the current one, and in the first turn itself."""
        current = self._order.current
        if current is not None:
            return login_of(current).username
        if username != self._order.base_username:
            raise TargetRefusedError("the first of two alternating users must be there already")
        return username

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        """Lock the account of `old`, where no kept credential is of the same user."""
        username = login_of(old).username
        if username in {login_of(other).username for other in kept}:
            return
        if self._order.strategy is not Strategy.ALTERNATING_USERS or not self._is_admin:
            raise TargetRefusedError("only one of two alternating users can be retired")
        if await self._accounts.find(username) is not None:
            await self._accounts.lock(username)

    async def issue(self, current: Credential) -> dict[str, SecretValue]:
        """Refuse: this rotator issues no values."""
        del current
        raise TargetRefusedError("MySQL issues no passwords")


def lock_name(username: str, host: str) -> str:
    """Name the lock of an account, the same in every operator."""
    digest = hashlib.sha256(f"{username}\0{host.casefold()}".encode()).hexdigest()
    return _LOCK_PREFIX + digest[:_LOCK_DIGITS]


def login_of(credential: Credential) -> Login:
    """Read the user name and the password of a version.

    Raises:
        TargetRefusedError: one is missing, or the server would take the name for another one: it
            drops blanks at the end, and at a login the apostrophes around a name.
    """
    login = Login.of(credential.values)
    name = login.username
    if name.endswith(" ") or (name.startswith("'") and name.endswith("'")):
        raise TargetRefusedError(f"the server takes {name!r} for the name of another user")
    return login
