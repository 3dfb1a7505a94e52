"""Rotates the passwords of users of MongoDB and DocumentDB."""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from keyturn.domain.errors import TargetRefusedError, TargetUnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.authenticating import (
    PASSWORD,
    USERNAME,
    login_of,
    logins,
    username_of,
)
from keyturn.rotators.endpoint import trust
from keyturn.rotators.interface import Credential, Order, Target, Traits
from keyturn.rotators.mongodb.connection import (
    LoginRefusedError,
    Place,
    connected,
    logged_in,
    password_text,
)
from keyturn.rotators.mongodb.parameters import MongoDBParameters
from keyturn.rotators.mongodb.users import User, Users

USERNAME_LIMIT = 128

_UNKNOWN_BYTES = 32


class MongoDBRotator:
    """Changes users by createUser and updateUser.

    There is no lock: MongoDB has none that ends with its session. A user has one password, so a
    statement that arrives late could take a newer one away; each has a deadline on the server, and
    the driver cuts the connection of one that is not answered, which ends it there.
    """

    def check(self, parameters: Mapping[str, Any]) -> None:
        MongoDBParameters.read(parameters)

    def traits(self, parameters: Mapping[str, Any]) -> Traits:  # noqa: ARG002 - all alike
        return Traits(
            strategies=frozenset({Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS}),
            values={USERNAME: USERNAME, PASSWORD: PASSWORD},
            required=frozenset({USERNAME, PASSWORD}),
            rotated=frozenset({PASSWORD}),
            has_lock=False,
            username_limit=USERNAME_LIMIT,
        )

    @asynccontextmanager
    async def session(self, target: Target, order: Order) -> AsyncIterator["MongoDBSession"]:
        parameters = MongoDBParameters.read(target.parameters)
        if parameters.endpoint.tls:
            trust(target.authority)
        place = Place(parameters, target.authority, target.timeout)
        source = parameters.admin_source if target.admin else parameters.source
        async with logged_in(place, logins(target, order), source) as server:
            users = Users(server, parameters.source, parameters.dialect)
            yield MongoDBSession(place, users, order)


class MongoDBSession:
    """Works on the users of one order, by one login."""

    def __init__(self, place: Place, users: Users, order: Order) -> None:
        self._place = place
        self._users = users
        self._order = order

    async def accepts(self, credential: Credential) -> bool:
        return await self._accepts(credential, self._order.original_of(credential))

    async def _accepts(self, credential: Credential, original: Credential) -> bool:
        """Log in once; a refusal counts where the user of `original` may come from here."""
        try:
            async with connected(self._place, login_of(credential), self._place.parameters.source):
                return True
        except LoginRefusedError:
            await self._users.require_admission(username_of(original))
            return False

    async def set(self, pending: Credential) -> None:
        name, password = username_of(pending), self._password(pending)
        if self._order.strategy is Strategy.SINGLE_USER or self._order.current is None:
            await self._users.set_password(name, password, await self._existing(name))
            return
        original = await self._existing(username_of(self._order.current))
        found = await self._users.find(name)
        await self._users.make_alike(name, password, original, found)
        if not (await self._existing(name)).is_as(original):
            raise TargetUnavailableError(
                f"the user {name!r} is not as {username_of(self._order.current)!r} after the change"
            )

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        """Replace the password by one that nobody knows.

        MongoDB cannot disable a user, and dropUser would end its connections. A password that is
        refused is gone already, and whichever stands there now is left alone. Nothing is mended
        here, so it is the user itself that has to be let in from here, else nobody can tell.
        """
        name = username_of(old)
        if any(username_of(each) == name and _are_equal(each, old) for each in kept):
            return
        if not await self._accepts(old, old):
            return
        unknown = secrets.token_urlsafe(_UNKNOWN_BYTES)
        await self._users.set_password(name, unknown, await self._existing(name))

    async def holds_lock(self) -> bool:
        return True

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:  # noqa: ARG002
        raise TargetRefusedError("MongoDB issues no passwords")

    def _password(self, credential: Credential) -> str:
        text = password_text(login_of(credential), self._place.parameters.dialect)
        if text is None:
            raise TargetRefusedError(
                "the password has characters that MongoDB does not take in one; give it text "
                "without control characters"
            )
        return text

    async def _existing(self, name: str) -> User:
        user = await self._users.find(name)
        if user is None:
            raise TargetRefusedError(f"the MongoDB server has no user {name!r}; make it first")
        return user


def _are_equal(one: Credential, other: Credential) -> bool:
    return one.values[PASSWORD].matches(other.values[PASSWORD])
