"""Makes the clone of a role, and keeps its rights equal to those of the base.

The clone is a member of the base and acts as the base from its login on (`ALTER ROLE clone SET
role = base`). So there is one set of rights, the base's: what is granted to the base, or taken
from it, holds for the clone at once; what the clone makes belongs to the base; policies, default
privileges and memberships are those of the base. A copy of each grant would have none of that.

What the server takes from the role that logged in is copied at each rotation: attributes, the
limit of connections, the end of validity, and the settings of the role.
"""

import re
from collections.abc import Iterator, Mapping

from psycopg import errors, sql

from keyturn.domain.errors import TargetRefusedError
from keyturn.rotators.postgresql import roles
from keyturn.rotators.postgresql.connecting import Connection
from keyturn.rotators.postgresql.roles import Place, Role

_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
"""Settings that are lists of names, as pg_dump knows them (`variable_is_guc_list_quote`)."""

_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",]*))\s*(?:,|\Z)')

_MAY_BE_GIVEN_BEFORE_16 = frozenset({"CREATEROLE", "CREATEDB"})


async def align(connection: Connection, base_name: str, clone_name: str, *, create: bool) -> None:
    """Bring a clone in line with its base, inside the transaction of the caller.

    Args:
        connection: That of the admin.
        base_name: The role whose rights count.
        clone_name: The role that gets them.
        create: Make the clone if it is missing; else there is nothing to do then.

    Raises:
        TargetRefusedError: the base is missing, or the clone is somebody else's role.
    """
    base = await roles.find(connection, base_name)
    admin = await roles.find(connection, None)
    if base is None or admin is None:
        raise TargetRefusedError(
            "the user does not exist; create it first, as the clone gets its rights from it"
        )
    clone = await roles.find(connection, clone_name)
    if clone is None and not create:
        return
    if clone is None:
        await connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(_name(clone_name)))
        clone = await roles.find(connection, clone_name)
    elif not await roles.is_member(connection, clone, base):
        # Whoever may grant the base decides whether an older role is taken for its clone.
        raise TargetRefusedError(
            "a role with the clone's name exists and is no member of the user's role; drop or "
            "rename it, or GRANT the user's role to it if it is the clone"
        )
    if clone is not None:
        await _align(connection, base, clone, admin)


async def _align(connection: Connection, base: Role, clone: Role, admin: Role) -> None:
    version = connection.info.server_version
    for options in _attribute_changes(base, clone, _givable(admin, version)):
        statement = sql.SQL("ALTER ROLE {} {}")
        await connection.execute(statement.format(_name(clone.name), options))
    if not await roles.is_full_member(connection, clone, base):
        options = (
            sql.SQL(" WITH INHERIT TRUE, SET TRUE")
            if version >= roles.FIRST_WITH_OPTIONS
            else sql.SQL("")
        )
        await connection.execute(
            sql.SQL("GRANT {} TO {}{}").format(_name(base.name), _name(clone.name), options)
        )
    wanted = {(None, "role"): base.name} | dict(await roles.settings_of(connection, base))
    found = await roles.settings_of(connection, clone)
    for name, change in _setting_changes(clone.name, wanted, found):
        try:
            await connection.execute(change)
        except errors.InsufficientPrivilege:
            raise TargetRefusedError(
                f"the admin may not give the user's setting {name} to its clone; GRANT SET ON "
                "PARAMETER to the admin, or set it on both by hand"
            ) from None


def _givable(admin: Role, version: int) -> frozenset[str]:
    """Tell which attributes the admin may give and take."""
    if admin.is_superuser:
        return frozenset(roles.ATTRIBUTES)
    if version < roles.FIRST_WITH_OPTIONS:
        return _MAY_BE_GIVEN_BEFORE_16
    return admin.attributes - {"SUPERUSER"}


def _attribute_changes(
    base: Role, clone: Role, givable: frozenset[str]
) -> Iterator[sql.Composable]:
    """List the options of ALTER ROLE; an attribute that the admin may not give is left out.

    All but REPLICATION are asked of the role that one acts as, which is the base anyway.
    """
    for attribute in sorted((base.attributes ^ clone.attributes) & givable):
        yield sql.SQL(attribute if attribute in base.attributes else f"NO{attribute}")
    if not clone.inherits:
        # Whether it may connect to a database is asked before it acts as the base.
        yield sql.SQL("INHERIT")
    if base.connection_limit != clone.connection_limit:
        yield sql.SQL("CONNECTION LIMIT {}").format(base.connection_limit)
    if base.valid_until != clone.valid_until:
        yield sql.SQL("VALID UNTIL {}").format(base.valid_until or "infinity")


def _setting_changes(
    clone: str, wanted: Mapping[tuple[Place, str], str], found: Mapping[tuple[Place, str], str]
) -> Iterator[tuple[str, sql.Composed]]:
    """List the names of the settings that differ, and what brings them in line."""
    for place, name in sorted(wanted.keys() | found.keys(), key=str):
        value = wanted.get((place, name))
        if value == found.get((place, name)):
            continue
        where = sql.SQL("") if place is None else sql.SQL(" IN DATABASE {}").format(_name(place))
        # The name of an extension's setting has a dot in it.
        setting = sql.Identifier(*name.split("."))
        what: sql.Composed = sql.SQL("RESET {}").format(setting)
        if value is not None:
            what = sql.SQL("SET {} TO {}").format(setting, _value(name, value))
        yield name, sql.SQL("ALTER ROLE {}{} {}").format(_name(clone), where, what)


def _value(name: str, value: str) -> sql.Composable:
    if name.lower() not in _LISTS or not value:
        return sql.Literal(value)
    return sql.SQL(", ").join(sql.Literal(item) for item in list_items(value))


def list_items(value: str) -> list[str]:
    """Split a list of names as the catalog holds it.

    >>> list_items('"$user", public, "a, b"')
    ['$user', 'public', 'a, b']
    """
    items, position = [], 0
    while position < len(value):
        found = _ITEM.match(value, position)
        if found is None:
            raise TargetRefusedError("a setting of the user's role is a list that cannot be read")
        quoted, bare = found.groups()
        items.append(bare.strip() if quoted is None else quoted.replace('""', '"'))
        position = found.end()
    return items


def _name(name: str) -> sql.Identifier:
    return sql.Identifier(name)
