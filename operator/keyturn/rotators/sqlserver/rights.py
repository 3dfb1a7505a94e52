"""What a principal may do, and the statements that make two principals equal. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pytds.tds_base import tds_quote_id

PASSED_ON: Final = "GRANT_WITH_GRANT_OPTION"

# Names of things are quoted by the server itself. What is null is on a thing of another class.
PERMISSIONS_IN_DATABASE: Final = """
SELECT p.state_desc, p.permission_name, CASE p.class
  WHEN 0 THEN N''
  WHEN 1 THEN N' ON OBJECT::' + QUOTENAME(OBJECT_SCHEMA_NAME(p.major_id)) + N'.'
    + QUOTENAME(OBJECT_NAME(p.major_id))
    + CASE p.minor_id WHEN 0 THEN N''
        ELSE N' (' + QUOTENAME(COL_NAME(p.major_id, p.minor_id)) + N')' END
  WHEN 3 THEN N' ON SCHEMA::' + QUOTENAME(SCHEMA_NAME(p.major_id))
  WHEN 6 THEN N' ON TYPE::' + (SELECT QUOTENAME(SCHEMA_NAME(t.schema_id)) + N'.'
    + QUOTENAME(t.name) FROM sys.types t WHERE t.user_type_id = p.major_id)
  END
FROM sys.database_permissions p
JOIN sys.database_principals u ON u.principal_id = p.grantee_principal_id
WHERE u.name = %s"""
PERMISSIONS_ON_SERVER: Final = """
SELECT p.state_desc, p.permission_name, CASE p.class WHEN 100 THEN N'' END
FROM sys.server_permissions p
JOIN sys.server_principals u ON u.principal_id = p.grantee_principal_id
WHERE u.name = %s"""
ROLES_IN_DATABASE: Final = """
SELECT r.name FROM sys.database_role_members m
JOIN sys.database_principals r ON r.principal_id = m.role_principal_id
JOIN sys.database_principals u ON u.principal_id = m.member_principal_id
WHERE u.name = %s"""
ROLES_ON_SERVER: Final = """
SELECT r.name FROM sys.server_role_members m
JOIN sys.server_principals r ON r.principal_id = m.role_principal_id
JOIN sys.server_principals u ON u.principal_id = m.member_principal_id
WHERE u.name = %s"""


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission: `state` as the catalogue writes it, `on` with its ` ON `, empty for all."""

    state: str
    name: str
    on: str


@dataclass(frozen=True, slots=True)
class Rights:
    """The permissions and the roles of a principal, in one scope: the server, or a database."""

    permissions: frozenset[Permission]
    roles: frozenset[str]


def quoted(name: str) -> str:
    """Quote an identifier, by the driver."""
    return str(tds_quote_id(name))


def text(value: str) -> str:
    """Quote a text."""
    return "N'" + value.replace("'", "''") + "'"


def differences(wanted: Rights, had: Rights, principal: str, *, on_server: bool) -> list[str]:
    """Return the statements that make what somebody had what is wanted; giving comes first."""
    to = quoted(principal)
    kind = "SERVER ROLE" if on_server else "ROLE"
    return [
        *(
            f"ALTER {kind} {quoted(role)} ADD MEMBER {to}"
            for role in sorted(wanted.roles - had.roles)
        ),
        *(_giving(permission, to) for permission in _sorted(wanted.permissions - had.permissions)),
        *_taking(wanted.permissions, had.permissions, to),
        *(
            f"ALTER {kind} {quoted(role)} DROP MEMBER {to}"
            for role in sorted(had.roles - wanted.roles)
        ),
    ]


def _sorted(permissions: Iterable[Permission]) -> list[Permission]:
    return sorted(permissions, key=lambda one: (one.on, one.name, one.state))


def _giving(permission: Permission, to: str) -> str:
    verb = "DENY" if permission.state == "DENY" else "GRANT"
    option = " WITH GRANT OPTION" if permission.state == PASSED_ON else ""
    return f"{verb} {permission.name}{permission.on} TO {to}{option}"


def _taking(wanted: frozenset[Permission], had: frozenset[Permission], to: str) -> Iterable[str]:
    kept = {(one.name, one.on): one.state for one in wanted}
    for one in _sorted(had - wanted):
        state = kept.get((one.name, one.on))
        if state is None:
            yield f"REVOKE {one.name}{one.on} FROM {to} CASCADE"
        elif one.state == PASSED_ON and state == "GRANT":
            yield f"REVOKE GRANT OPTION FOR {one.name}{one.on} FROM {to} CASCADE"
        # A GRANT takes the place of a DENY of the same, and the other way round.
