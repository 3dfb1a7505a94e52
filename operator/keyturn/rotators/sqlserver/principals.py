"""Logins and users: the statements that make and change them, and what they may do."""

from dataclasses import dataclass
from typing import Final

from keyturn.domain.errors import TargetRefusedError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.sqlserver import rights
from keyturn.rotators.sqlserver.connection import Connection
from keyturn.rotators.sqlserver.passwords import hashed, text_of, unknown
from keyturn.rotators.sqlserver.rights import Permission, Rights, differences, quoted, text

_UNKNOWN: Final = "there are permissions on things of a kind that is not copied"

_LOGIN: Final = "SELECT default_database_name FROM sys.sql_logins WHERE name = %s"
_IS_LOCKED: Final = "SELECT LOGINPROPERTY(%s, 'IsLocked')"
_USER_OF_LOGIN: Final = """
SELECT u.name, u.default_schema_name FROM sys.database_principals u
JOIN sys.server_principals l ON l.sid = u.sid WHERE l.name = %s"""
_CONTAINED_USER: Final = (
    "SELECT name, default_schema_name FROM sys.database_principals "
    "WHERE name = %s AND authentication_type = 2"
)


@dataclass(frozen=True, slots=True)
class User:
    """A user of the database, with the schema that its names are looked up in; may be none."""

    name: str
    default_schema: str | None


class Logins:
    """Logins of the server, whose passwords it takes as hashes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def exists(self, name: str) -> bool:
        return bool(await self._connection.rows(_LOGIN, name))

    async def set_password(self, name: str, password: SecretValue, *, unlock: bool = False) -> None:
        """Set it; with `unlock` a login that is locked since logins failed is let in again."""
        option = " UNLOCK" if unlock and await self._is_locked(name) else ""
        await self._connection.execute(
            f"ALTER LOGIN {quoted(name)} WITH PASSWORD = {hashed(password)} HASHED{option}"
        )

    async def _is_locked(self, name: str) -> bool:
        found = await self._connection.rows(_IS_LOCKED, name)
        return bool(found) and found[0][0] == 1

    async def set_own_password(self, name: str, old: SecretValue, new: SecretValue) -> None:
        """Change the password of the connection's own login; it takes no hash for this."""
        await self._connection.execute(
            f"ALTER LOGIN {quoted(name)} WITH PASSWORD = {text(text_of(new))} "
            f"OLD_PASSWORD = {text(text_of(old))}"
        )

    async def create(self, name: str) -> None:
        """Make a login that nobody can use yet, with a password that nobody knows."""
        await self._connection.execute(
            f"CREATE LOGIN {quoted(name)} WITH PASSWORD = {hashed(unknown())} HASHED; "
            f"ALTER LOGIN {quoted(name)} DISABLE"
        )

    async def enable(self, name: str) -> None:
        await self._connection.execute(f"ALTER LOGIN {quoted(name)} ENABLE")

    async def shut(self, name: str) -> None:
        """Refuse new logins; open connections stay."""
        await self._connection.execute(f"ALTER LOGIN {quoted(name)} DISABLE")

    async def user(self, name: str) -> User | None:
        """Find the user of the database that a login is; it may have another name."""
        found = await self._connection.rows(_USER_OF_LOGIN, name)
        return User(*found[0]) if found else None

    async def align(self, source: str, other: str) -> None:
        """Give a login and its user what another login and its user have, and nothing else."""
        ((database,),) = await self._connection.rows(_LOGIN, source)
        await self._connection.execute(
            f"ALTER LOGIN {quoted(other)} WITH DEFAULT_DATABASE = {quoted(database)}"
        )
        await _align_rights(self._connection, source, other, on_server=True)
        user, twin = await self.user(source), await self.user(other)
        if user is None:
            return
        if twin is None:
            twin = User(other, None)
            await self._connection.execute(f"CREATE USER {quoted(other)} FOR LOGIN {quoted(other)}")
        await _align_users(self._connection, user, twin.name)


class ContainedUsers:
    """Users with passwords of a contained database, which takes no hashes and locks nobody."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def exists(self, name: str) -> bool:
        return await self._user(name) is not None

    async def set_password(self, name: str, password: SecretValue, *, unlock: bool = False) -> None:
        """Set it; `unlock` is nothing here, as users are not locked."""
        del unlock
        await self._connection.execute(
            f"ALTER USER {quoted(name)} WITH PASSWORD = {text(text_of(password))}"
        )

    async def set_own_password(self, name: str, old: SecretValue, new: SecretValue) -> None:
        """Change the password of the connection's own user."""
        await self._connection.execute(
            f"ALTER USER {quoted(name)} WITH PASSWORD = {text(text_of(new))} "
            f"OLD_PASSWORD = {text(text_of(old))}"
        )

    async def create(self, name: str) -> None:
        """Make a user that nobody can use yet, with a password that nobody knows."""
        await self._connection.execute(
            f"CREATE USER {quoted(name)} WITH PASSWORD = {text(text_of(unknown()))}; "
            f"DENY CONNECT TO {quoted(name)}"
        )

    async def enable(self, name: str) -> None:
        await self._connection.execute(f"GRANT CONNECT TO {quoted(name)}")

    async def shut(self, name: str) -> None:
        """Refuse new logins; open connections stay."""
        await self._connection.execute(f"DENY CONNECT TO {quoted(name)}")

    async def align(self, source: str, other: str) -> None:
        """Give a user what another one has, and nothing else."""
        user = await self._user(source)
        if user is None:
            raise TargetRefusedError(f"there is no user {source!r}")
        await _align_users(self._connection, user, other)

    async def _user(self, name: str) -> User | None:
        found = await self._connection.rows(_CONTAINED_USER, name)
        return User(*found[0]) if found else None


async def _align_users(connection: Connection, user: User, other: str) -> None:
    if user.default_schema is not None:
        await connection.execute(
            f"ALTER USER {quoted(other)} WITH DEFAULT_SCHEMA = {quoted(user.default_schema)}"
        )
    await _align_rights(connection, user.name, other, on_server=False)


async def _align_rights(
    connection: Connection, source: str, other: str, *, on_server: bool
) -> None:
    wanted = await _rights(connection, source, on_server=on_server)
    had = await _rights(connection, other, on_server=on_server)
    for statement in differences(wanted, had, other, on_server=on_server):
        await connection.execute(statement)


async def _rights(connection: Connection, name: str, *, on_server: bool) -> Rights:
    permissions = rights.PERMISSIONS_ON_SERVER if on_server else rights.PERMISSIONS_IN_DATABASE
    roles = rights.ROLES_ON_SERVER if on_server else rights.ROLES_IN_DATABASE
    found = await connection.rows(permissions, name)
    if any(on is None for _, _, on in found):
        raise TargetRefusedError(f"{name!r} cannot be copied: {_UNKNOWN}")
    # Who may connect at all is not copied: it is what locks a user out.
    return Rights(
        frozenset(Permission(*row) for row in found if row[1:] != ("CONNECT", "")),
        frozenset(role for (role,) in await connection.rows(roles, name)),
    )
