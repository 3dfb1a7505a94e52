"""What the server's catalog says of a role: its attributes and its settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from keyturn.rotators.postgresql.connecting import Connection

ATTRIBUTES = ("SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS")
"""The attributes that are copied, in the order in which `_ROLE` reads them."""

Place = str | None
"""The database that a setting is for; None: all of them."""


@dataclass(frozen=True, slots=True)
class Role:
    """A role; `valid_until` is a time as the server writes it, None if its password stays valid."""

    oid: int
    name: str
    attributes: frozenset[str] = frozenset()
    inherits: bool = True
    connection_limit: int = -1
    valid_until: str | None = None

    @property
    def is_superuser(self) -> bool:
        return "SUPERUSER" in self.attributes


_ROLE = """
SELECT oid, rolname, rolinherit, rolconnlimit, nullif(rolvaliduntil, 'infinity')::text,
    rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls
FROM pg_roles WHERE rolname = coalesce(%s, current_user)
"""

_SETTINGS = """
SELECT datname, setting
FROM pg_db_role_setting
LEFT JOIN pg_database ON pg_database.oid = setdatabase
CROSS JOIN unnest(setconfig) AS setting
WHERE setrole = %s AND (setdatabase = 0 OR datname IS NOT NULL)
"""


async def find(connection: Connection, name: str | None) -> Role | None:
    """Read a role by its name; None: the one that is logged in."""
    row = await (await connection.execute(_ROLE, (name,))).fetchone()
    if row is None:
        return None
    oid, found, inherits, limit, until, *flags = row
    return Role(
        oid=int(str(oid)),
        name=str(found),
        attributes=frozenset(
            name for name, is_set in zip(ATTRIBUTES, flags, strict=True) if is_set
        ),
        inherits=bool(inherits),
        connection_limit=int(str(limit)),
        valid_until=None if until is None else str(until),
    )


async def may_log_in(connection: Connection, name: str) -> bool:
    """Tell whether there is a role that is not barred from all logins, by its own attribute."""
    found = await connection.execute(
        "SELECT FROM pg_roles WHERE rolname = %s AND rolcanlogin", (name,)
    )
    return await found.fetchone() is not None


async def settings_of(connection: Connection, role: Role) -> Mapping[tuple[Place, str], str]:
    """Read what `ALTER ROLE … [IN DATABASE …] SET` gave to a role."""
    rows = await (await connection.execute(_SETTINGS, (role.oid,))).fetchall()
    settings: dict[tuple[Place, str], str] = {}
    for database, setting in rows:
        name, _, value = str(setting).partition("=")
        settings[None if database is None else str(database), name] = value
    return settings


async def is_member(connection: Connection, role: Role, group: Role) -> bool:
    """Tell whether somebody made `role` itself a member of `group`."""
    found = await connection.execute(
        "SELECT FROM pg_auth_members WHERE roleid = %s AND member = %s", (group.oid, role.oid)
    )
    return await found.fetchone() is not None


async def is_full_member(connection: Connection, role: Role, group: Role) -> bool:
    """Tell whether `role` has the rights of `group`, and may act as it."""
    if connection.info.server_version < FIRST_WITH_OPTIONS:
        return await is_member(connection, role, group)
    found = await connection.execute(
        "SELECT FROM pg_auth_members WHERE roleid = %s AND member = %s"
        " AND inherit_option AND set_option",
        (group.oid, role.oid),
    )
    return await found.fetchone() is not None


FIRST_WITH_OPTIONS = 160000
"""The first version of the server whose memberships have options of their own."""
