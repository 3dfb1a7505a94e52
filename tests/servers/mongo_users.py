"""The users of the peer of the MongoDB tests, and the commands that manage them.

Each command, its fields and the codes of its errors are those that the manual documents:
https://www.mongodb.com/docs/manual/reference/command/nav-user-management/
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Final

from pymongo.saslprep import saslprep

from servers.scram import Verifier

Document = dict[str, Any]

BAD_VALUE, USER_NOT_FOUND, UNAUTHORIZED, ROLE_NOT_FOUND = 2, 11, 13, 31
UNKNOWN_FIELD, USER_EXISTS = 40415, 51003

MECHANISMS: Final = ("SCRAM-SHA-1", "SCRAM-SHA-256")

_GENERIC: Final = frozenset(
    {"$db", "lsid", "maxTimeMS", "writeConcern", "$clusterTime", "$readPreference", "comment"}
)
CHANGE_OWN: Final = "changeOwnPasswordCustomDataRole"
"""The role that the manual makes in its chapter on changing one's own password."""

_ROLES: Final = frozenset(
    {"read", "readWrite", "dbAdmin", "root", "userAdminAnyDatabase", CHANGE_OWN}
)
_CHANGES: Final = frozenset(
    {"pwd", "customData", "roles", "digestPassword", "authenticationRestrictions", "mechanisms"}
)
_SHOWS: Final = frozenset({"showCredentials", "showPrivileges", "showAuthenticationRestrictions"})


class CommandError(Exception):
    """A command failed, with a code that the manual documents."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class User:
    """A user document; `id` is what an authenticated connection is held to."""

    name: str
    database: str
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    verifiers: dict[str, Verifier] = field(default_factory=dict)
    roles: list[Document] = field(default_factory=list)
    custom_data: Document | None = None
    restrictions: list[Document] = field(default_factory=list)

    def may_come_from(self, client: str) -> bool:
        """Tell whether one restriction lets in who comes from an address and port."""
        address = ip_address(client.rpartition(":")[0])
        return not self.restrictions or any(
            any(address in ip_network(source) for source in one.get("clientSource", ["0.0.0.0/0"]))
            for one in self.restrictions
        )

    def may(self, role: str, database: str) -> bool:
        return any(
            each["role"] == "root" or (each["role"] == role and each["db"] == database)
            for each in self.roles
        )


class UserStore:
    """All users, by database and name."""

    def __init__(self, *, knows_sha256: bool = True) -> None:
        self._users: dict[tuple[str, str], User] = {}
        self._knows_sha256 = knows_sha256
        self.commands: Mapping[str, Callable[[str, Document], Document]] = {
            "createUser": self.create,
            "updateUser": self.update,
            "dropUser": self.drop,
            "usersInfo": self.info,
            "grantRolesToUser": self.grant,
            "revokeRolesFromUser": self.revoke,
        }

    def find(self, database: str, name: str) -> User | None:
        return self._users.get((database, name))

    def create(self, database: str, command: Document) -> Document:
        name = self._taken(command, "createUser", _CHANGES)
        if (database, name) in self._users:
            raise CommandError(USER_EXISTS, f'User "{name}@{database}" already exists')
        if "pwd" not in command or "roles" not in command:
            raise CommandError(40414, "a required field is missing")
        user = User(name, database)
        self._apply(user, database, command)
        self._users[database, name] = user
        return {}

    def update(self, database: str, command: Document) -> Document:
        name = self._taken(command, "updateUser", _CHANGES)
        if not _CHANGES & command.keys():
            raise CommandError(BAD_VALUE, "Must specify at least one field to update in updateUser")
        self._apply(self._existing(database, name), database, command)
        return {}

    def drop(self, database: str, command: Document) -> Document:
        name = self._taken(command, "dropUser", frozenset())
        self._existing(database, name)
        del self._users[database, name]
        return {}

    def grant(self, database: str, command: Document) -> Document:
        name = self._taken(command, "grantRolesToUser", frozenset({"roles"}))
        user = self._existing(database, name)
        for role in _roles(command["roles"], database):
            if role not in user.roles:
                user.roles.append(role)
        return {}

    def revoke(self, database: str, command: Document) -> Document:
        name = self._taken(command, "revokeRolesFromUser", frozenset({"roles"}))
        user, revoked = self._existing(database, name), _roles(command["roles"], database)
        user.roles = [role for role in user.roles if role not in revoked]
        return {}

    def info(self, database: str, command: Document) -> Document:
        asked = command["usersInfo"]
        _refuse_unknown(command, "usersInfo", _SHOWS)
        if isinstance(asked, str):
            asked = {"user": asked, "db": database}
        user = self.find(asked["db"], asked["user"])
        restricted = bool(command.get("showAuthenticationRestrictions"))
        return {"users": [self._told(user, restricted=restricted)] if user else []}

    def _told(self, user: User, *, restricted: bool) -> Document:
        told: Document = {
            "_id": f"{user.database}.{user.name}",
            "userId": user.id.bytes,
            "user": user.name,
            "db": user.database,
            "roles": user.roles,
        }
        if user.custom_data is not None:
            told["customData"] = user.custom_data
        if self._knows_sha256:
            told["mechanisms"] = list(user.verifiers)
            if restricted:
                told["authenticationRestrictions"] = user.restrictions
        return told

    def _taken(self, command: Document, verb: str, fields: frozenset[str]) -> str:
        if not self._knows_sha256:
            fields -= {"mechanisms", "authenticationRestrictions", "digestPassword"}
        _refuse_unknown(command, verb, fields)
        name: str = command[verb]
        return name

    def _existing(self, database: str, name: str) -> User:
        user = self.find(database, name)
        if user is None:
            raise CommandError(USER_NOT_FOUND, f"User {name}@{database} not found")
        return user

    def _apply(self, user: User, database: str, command: Document) -> None:
        """Do all that a command asks for, or nothing."""
        roles = _roles(command["roles"], database) if "roles" in command else user.roles
        verifiers = self._verifiers(user, command) if "pwd" in command else user.verifiers
        user.roles, user.verifiers = roles, verifiers
        user.custom_data = command.get("customData", user.custom_data)
        user.restrictions = command.get("authenticationRestrictions", user.restrictions)

    def _verifiers(self, user: User, command: Document) -> dict[str, Verifier]:
        known = MECHANISMS if self._knows_sha256 else MECHANISMS[:1]
        mechanisms = command.get("mechanisms") or known
        password, digested = command["pwd"], command.get("digestPassword", True) is False
        if not password or not set(mechanisms) <= set(known):
            raise CommandError(BAD_VALUE, "a password or a mechanism is wrong")
        if digested and "SCRAM-SHA-256" in mechanisms:
            raise CommandError(BAD_VALUE, "Use of SCRAM-SHA-256 requires undigested passwords")
        return {
            each: Verifier.of(each, _prepared(each, user.name, password)) for each in mechanisms
        }


def _prepared(mechanism: str, name: str, password: str) -> str:
    """Prepare a password as the specification of drivers' authentication says."""
    if mechanism == "SCRAM-SHA-1":
        text = f"{name}:mongo:{password}".encode()
        return hashlib.md5(text, usedforsecurity=False).hexdigest()
    try:
        return str(saslprep(password))
    except ValueError:
        raise CommandError(BAD_VALUE, "Error preflighting normalization") from None


def _roles(written: list[Any], database: str) -> list[Document]:
    roles = [
        {"role": each, "db": database} if isinstance(each, str) else dict(each) for each in written
    ]
    for role in roles:
        if role["role"] not in _ROLES:
            raise CommandError(ROLE_NOT_FOUND, f"Could not find role: {role['role']}")
    return roles


def _refuse_unknown(command: Document, verb: str, fields: frozenset[str]) -> None:
    for unknown in command.keys() - fields - _GENERIC - {verb}:
        raise CommandError(UNKNOWN_FIELD, f"BSON field '{verb}.{unknown}' is an unknown field.")
