"""The users of one database, read and changed by MongoDB's user management commands.

The commands are those of https://www.mongodb.com/docs/manual/reference/command/nav-user-management/
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyturn.domain.errors import TargetRefusedError, TargetUnavailableError
from keyturn.rotators.mongodb.connection import USER_EXISTS, CommandError, Server
from keyturn.rotators.mongodb.parameters import Dialect
from keyturn.rotators.mongodb.restrictions import admit

_PATIENCE_MILLISECONDS = 5000


@dataclass(frozen=True, slots=True)
class User:
    """What a user is beside its name and password, each part as the server tells it.

    `restrictions` say where it may log in from, `inherited` those of its roles, and `mechanisms`
    by which ways.
    """

    roles: tuple[Mapping[str, Any], ...]
    custom_data: Mapping[str, Any]
    restrictions: tuple[Mapping[str, Any], ...]
    mechanisms: tuple[str, ...]
    inherited: tuple[Any, ...] = ()

    def is_as(self, other: "User") -> bool:
        """Tell whether two users may do the same; the order of roles does not count."""
        return (
            sorted(map(_role, self.roles)) == sorted(map(_role, other.roles))
            and self.custom_data == other.custom_data
            and self.restrictions == other.restrictions
            and set(self.mechanisms) == set(other.mechanisms)
        )


class Users:
    """The users of the database `source`, seen by a connection that may change them."""

    def __init__(self, server: Server, source: str, dialect: Dialect) -> None:
        self._server = server
        self._source = source
        self._dialect = dialect

    async def find(self, name: str) -> User | None:
        """Read a user; None: there is none of that name.

        Raises:
            TargetRefusedError: it may not be read.
            TargetUnavailableError: no answer.
        """
        told = await self._told(name)
        if told is None:
            return None
        restrictions: tuple[Mapping[str, Any], ...] = ()
        inherited: tuple[Any, ...] = ()
        if self._dialect is Dialect.MONGODB:
            # A question of its own: asked for them, the server leaves other parts out.
            more = await self._told(name, showAuthenticationRestrictions=True) or {}
            restrictions = tuple(more.get("authenticationRestrictions") or ())
            inherited = tuple(more.get("inheritedAuthenticationRestrictions") or ())
        return User(
            roles=tuple(told.get("roles") or ()),
            custom_data=told.get("customData") or {},
            restrictions=restrictions,
            mechanisms=tuple(told.get("mechanisms") or ()),
            inherited=inherited,
        )

    async def require_admission(self, name: str) -> None:
        """Pass if a user may log in from Keyturn's address, or does not exist.

        The server has one code for a wrong password and for a login from elsewhere.

        Raises:
            TargetUnavailableError: it may not, so a refusal says nothing of its password.
            TargetRefusedError: it may not be read.
        """
        user = await self.find(name)
        if user is None or not (user.restrictions or user.inherited):
            return
        address = await self._own_address()
        if not (admit(user.restrictions, address) and admit(user.inherited, address)):
            raise TargetUnavailableError(
                f"nothing is known of the password: the authenticationRestrictions of {name!r}, or "
                "those of its roles, let nobody in from Keyturn's address"
            )

    async def _own_address(self) -> str:
        """Ask from where the server sees this connection come."""
        try:
            told = await self._server.ask(self._source, {"whatsmyuri": 1})
        except CommandError as error:
            raise error.as_ours("whatsmyuri") from None
        return str(told.get("you")).rpartition(":")[0].strip("[]")

    async def set_password(self, name: str, password: str, user: User) -> None:
        """Give a user a password, by the mechanisms that it has; connections stay open.

        Raises:
            TargetRefusedError: nothing was changed.
            TargetUnavailableError: it may have been.
        """
        # Without its mechanisms said, the server would add those that the user does not have.
        await self._change({"updateUser": name, "pwd": password, **self._mechanisms(user)})

    async def make_alike(
        self, name: str, password: str, original: User, found: User | None
    ) -> None:
        """Make a user, or change it, to be as another and have this password, all at once.

        It is never dropped and made anew: that would end its connections.

        Raises:
            As `set_password`.
        """
        parts: dict[str, Any] = {"pwd": password, "roles": list(original.roles)}
        parts |= self._mechanisms(original)
        if original.custom_data or (found is not None and found.custom_data):
            parts["customData"] = original.custom_data
        if original.restrictions or (found is not None and found.restrictions):
            parts["authenticationRestrictions"] = list(original.restrictions)
        await self._change({"createUser" if found is None else "updateUser": name, **parts})

    def _mechanisms(self, user: User) -> dict[str, Any]:
        """Say the mechanisms, where the server knows them. Raises: TargetRefusedError."""
        if self._dialect is Dialect.DOCUMENTDB:
            return {}
        if self._dialect.mechanism not in user.mechanisms:
            raise TargetRefusedError(
                f"the user has no {self._dialect.mechanism}, by which alone Keyturn logs in; add "
                "it by updateUser with mechanisms and a password"
            )
        return {"mechanisms": list(user.mechanisms)}

    async def _change(self, command: Mapping[str, Any]) -> None:
        # Without most members a failover would take the password back.
        concern = {"w": "majority", "wtimeout": _PATIENCE_MILLISECONDS}
        try:
            await self._server.ask(self._source, {**command, "writeConcern": concern})
        except CommandError as error:
            if error.code == USER_EXISTS:
                raise TargetUnavailableError("the user was made by somebody meanwhile") from None
            raise error.as_ours(next(iter(command))) from None

    async def _told(self, name: str, **options: bool) -> Mapping[str, Any] | None:
        command = {"usersInfo": {"user": name, "db": self._source}, **options}
        try:
            answer = await self._server.ask(self._source, command)
        except CommandError as error:
            raise error.as_ours("usersInfo") from None
        found = answer.get("users") or []
        return found[0] if found else None


def _role(role: Mapping[str, Any]) -> tuple[str, str]:
    return str(role.get("db")), str(role.get("role"))
