"""A session with the database: one connection that holds the lock and says what is to be said."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Final

from keyturn.domain.errors import TargetLockedError, TargetRefusedError, TargetUnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order
from keyturn.rotators.oracle import rights
from keyturn.rotators.oracle.connection import Connection, Server, connected
from keyturn.rotators.oracle.errors import AccountLockedError
from keyturn.rotators.oracle.names import User, quoted
from keyturn.rotators.oracle.rights import Right, Rights, differences, object_of
from keyturn.rotators.sql import LoginRefusedError

_LOCK_NUMBERS: Final = 1 << 30  # those that DBMS_LOCK leaves to its users
_TAKEN, _TIMED_OUT, _OWNED = 0, 1, 4
_STATUS: Final = "SELECT account_status FROM dba_users WHERE username = :1"
_OWN_STATUS: Final = "SELECT account_status FROM user_users WHERE username = :1"
_TIMED: Final = "LOCKED(TIMED)"  # DBA_USERS.ACCOUNT_STATUS, alone or after "EXPIRED & "


class OracleSession:
    """Does single acts for one order; `own` is the user itself where there is no administrator."""

    def __init__(
        self, server: Server, connection: Connection, order: Order, own: User | None
    ) -> None:
        self._server = server
        self._connection = connection
        self._order = order
        self._own = own
        self._unlocked = ""
        digest = hashlib.sha256(f"keyturn:{order.base_username.upper()}".encode()).digest()
        self._lock = int.from_bytes(digest[:4], "big") % _LOCK_NUMBERS

    async def lock(self) -> None:
        """Take the lock of the user, if there are locks.

        Raises:
            TargetLockedError: another session holds it for longer than the timeout.
        """
        if not self._server.address.has_lock:
            return
        try:
            answer = await self._connection.request_lock(self._lock, int(self._server.timeout))
        except TargetRefusedError as refused:
            raise TargetUnavailableError(
                f"no lock can be taken: {refused.message}; grant EXECUTE on DBMS_LOCK, or write "
                "lock: false"
            ) from None
        if answer not in (_TAKEN, _OWNED):
            raise TargetLockedError("another session holds the lock of this user")

    async def holds_lock(self) -> bool:
        """Ask for the lock again: whoever holds it is told so, and only then it is held."""
        if not self._server.address.has_lock:
            return True
        try:
            return await self._connection.request_lock(self._lock, 0) == _OWNED
        except (TargetUnavailableError, TargetRefusedError):
            return False

    async def accepts(self, credential: Credential) -> bool:
        user = User.of_version(credential)
        try:
            async with connected(self._server, user) as connection:
                await connection.rows("SELECT 1 FROM dual", login=True)
        except AccountLockedError:
            if not self._will_be_unlocked(credential):
                await self._require_lasting_lock(user)
            return False
        except LoginRefusedError:
            return False
        return True

    def _will_be_unlocked(self, credential: Credential) -> bool:
        """Tell whether `set` unlocks the user, and has not done so in this session."""
        name = User.of_version(credential).name
        original = User.of_version(self._order.original_of(credential)).name
        return name not in (original, self._unlocked)

    async def _require_lasting_lock(self, user: User) -> None:
        """Pass if somebody locked the account.

        Raises:
            TargetUnavailableError: the database did, since logins failed: later it may let the
                same password in.
        """
        found = await self._connection.rows(
            _STATUS if self._own is None else _OWN_STATUS, user.name
        )
        if any(_TIMED in str(status) for (status,) in found):
            raise TargetUnavailableError(
                f"the account {user.name} is locked since logins failed, and not for ever; let "
                "the time of its profile pass, or unlock it"
            )

    async def set(self, pending: Credential) -> None:
        user = User.of_version(pending)
        if self._own is not None:
            await self._set_own(user, self._own)
        elif self._order.strategy is Strategy.ALTERNATING_USERS:
            await self._set_alternating(user)
        else:
            await self._alter(user.name, f'IDENTIFIED BY "{user.plaintext()}"')

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        """Lock the user of `old`, where no kept credential is of the same user."""
        name = User.of_version(old).name
        if name in {User.of_version(other).name for other in kept}:
            return
        if self._order.strategy is not Strategy.ALTERNATING_USERS or self._own is not None:
            raise TargetRefusedError("only one of two alternating users can be retired")
        if await self._exists(name):
            await self._alter(name, "ACCOUNT LOCK")

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:
        """Refuse: this rotator issues no values."""
        del current
        raise TargetRefusedError("Oracle issues no passwords")

    async def _set_own(self, user: User, own: User) -> None:
        if user.name != own.name:
            raise TargetRefusedError(f"without an administrator {own.name} sets itself only")
        await self._connection.change_password(own.plaintext(), user.plaintext())
        self._own = user

    async def _set_alternating(self, user: User) -> None:
        """Bring the other user in line, then let it in; the password comes last."""
        source = self._source(user.name)
        wanted = await self._rights(source)
        if source != user.name:
            if not await self._exists(user.name):
                await self._connection.execute(
                    f'CREATE USER {quoted(user.name)} IDENTIFIED BY "{_unknown()}" ACCOUNT LOCK'
                )
            had = await self._rights(user.name)
            for statement in differences(wanted, had, quoted(user.name)):
                await self._connection.execute(statement)
        await self._alter(user.name, f'IDENTIFIED BY "{user.plaintext()}" ACCOUNT UNLOCK')
        self._unlocked = user.name

    def _source(self, name: str) -> str:
        if self._order.current is not None:
            return User.of_version(self._order.current).name
        if name != self._order.base_username.upper():
            raise TargetRefusedError("the first of two alternating users must be there already")
        return name

    async def _alter(self, name: str, clauses: str) -> None:
        await self._connection.execute(f"ALTER USER {quoted(name)} {clauses}")

    async def _exists(self, name: str) -> bool:
        return bool(await self._connection.rows(rights.SETTINGS, name))

    async def _rights(self, name: str) -> Rights:
        settings = await self._connection.rows(rights.SETTINGS, name)
        if not settings:
            raise TargetRefusedError(f"there is no user {name}")
        system = await self._connection.rows(rights.SYSTEM_PRIVILEGES, name)
        roles = await self._connection.rows(rights.ROLES, name)
        return Rights(
            frozenset(Right(privilege, "", option == "YES") for privilege, option in system)
            | frozenset(Right(quoted(role), "", option == "YES") for role, option, _ in roles)
            | await self._object_rights(name),
            frozenset(role for role, _, default in roles if default == "YES"),
            frozenset(
                (tablespace, int(most))
                for tablespace, most in await self._connection.rows(rights.QUOTAS, name)
            ),
            settings[0],
        )

    async def _object_rights(self, name: str) -> frozenset[Right]:
        found = await self._connection.rows(rights.OBJECT_PRIVILEGES, name)
        ((on_columns,),) = await self._connection.rows(rights.COLUMN_PRIVILEGES, name)
        if on_columns or any(kind not in rights.COPIED_TYPES for kind, *_ in found):
            raise TargetRefusedError(
                f"{name} cannot be copied: it has privileges on columns, or on objects of a kind "
                "that is not copied"
            )
        return frozenset(
            Right(privilege, object_of(kind, owner, table), option == "YES")
            for kind, owner, table, privilege, option in found
        )


def _unknown() -> str:
    """Make a password that nobody knows, of all kinds of characters that a profile may ask for."""
    return f"aA1#{secrets.token_urlsafe(18)}"[:28]
