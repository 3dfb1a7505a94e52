"""What a user may do, and the statements that make two users equal. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from keyturn.rotators.oracle.names import quoted

SYSTEM_PRIVILEGES: Final = "SELECT privilege, admin_option FROM dba_sys_privs WHERE grantee = :1"
ROLES: Final = (
    "SELECT granted_role, admin_option, default_role FROM dba_role_privs WHERE grantee = :1"
)
OBJECT_PRIVILEGES: Final = (
    "SELECT type, owner, table_name, privilege, grantable FROM dba_tab_privs WHERE grantee = :1"
)
COLUMN_PRIVILEGES: Final = "SELECT COUNT(*) FROM dba_col_privs WHERE grantee = :1"
QUOTAS: Final = "SELECT tablespace_name, max_bytes FROM dba_ts_quotas WHERE username = :1"
SETTINGS: Final = (
    "SELECT default_tablespace, temporary_tablespace, profile FROM dba_users WHERE username = :1"
)
UNLIMITED: Final = -1

COPIED_TYPES: Final = frozenset(
    {
        "DIRECTORY",
        "FUNCTION",
        "MATERIALIZED VIEW",
        "PACKAGE",
        "PROCEDURE",
        "SEQUENCE",
        "TABLE",
        "TYPE",
        "VIEW",
    }
)


@dataclass(frozen=True, slots=True)
class Right:
    """A system privilege or a role (`on` is empty), or a privilege on an object, quoted."""

    name: str
    on: str
    passes_on: bool

    def granted_to(self, user: str) -> str:
        option = ("GRANT" if self.on else "ADMIN") if self.passes_on else ""
        return f"GRANT {self._what} TO {user}" + (f" WITH {option} OPTION" if option else "")

    def revoked_from(self, user: str) -> str:
        return f"REVOKE {self._what} FROM {user}"

    @property
    def _what(self) -> str:
        return f"{self.name} ON {self.on}" if self.on else self.name


@dataclass(frozen=True, slots=True)
class Rights:
    """All that makes two users the same but their names and passwords."""

    rights: frozenset[Right]
    default_roles: frozenset[str] = frozenset()
    quotas: frozenset[tuple[str, int]] = frozenset()
    settings: tuple[str, str, str] = field(default=("", "", ""))


def object_of(kind: str, owner: str, name: str) -> str:
    """Return what stands after ON for an object of the dictionary."""
    if kind == "DIRECTORY":
        return f"DIRECTORY {quoted(name)}"
    return f"{quoted(owner)}.{quoted(name)}"


def differences(wanted: Rights, had: Rights, user: str) -> list[str]:
    """Return the statements for a quoted user; giving comes before taking where it can.

    A right that may be passed on and should not is taken and given again: Oracle knows no way to
    take only that.
    """
    surplus = had.rights - wanted.rights
    kept = {(right.name, right.on) for right in wanted.rights}
    weakened = {right for right in surplus if (right.name, right.on) in kept and right.passes_on}
    return [
        *_settings(wanted, had, user),
        *(right.revoked_from(user) for right in _sorted(weakened)),
        *(right.granted_to(user) for right in _sorted(wanted.rights - had.rights)),
        *(
            right.revoked_from(user)
            for right in _sorted(surplus)
            if (right.name, right.on) not in kept
        ),
        *_default_roles(wanted, had, user),
    ]


def _settings(wanted: Rights, had: Rights, user: str) -> Iterable[str]:
    if wanted.settings != had.settings:
        default, temporary, profile = map(quoted, wanted.settings)
        yield (
            f"ALTER USER {user} DEFAULT TABLESPACE {default} "
            f"TEMPORARY TABLESPACE {temporary} PROFILE {profile}"
        )
    limits = dict(wanted.quotas)
    for tablespace in sorted(dict(wanted.quotas ^ had.quotas)):
        most = limits.get(tablespace, 0)
        limit = "UNLIMITED" if most == UNLIMITED else str(most)
        yield f"ALTER USER {user} QUOTA {limit} ON {quoted(tablespace)}"


def _default_roles(wanted: Rights, had: Rights, user: str) -> Iterable[str]:
    # A role that is granted becomes a default one by itself.
    if wanted.default_roles != had.default_roles or wanted.rights != had.rights:
        chosen = ", ".join(map(quoted, sorted(wanted.default_roles))) or "NONE"
        yield f"ALTER USER {user} DEFAULT ROLE {chosen}"


def _sorted(rights: Iterable[Right]) -> list[Right]:
    return sorted(rights, key=lambda right: (right.on, right.name))
