"""Rotates the passwords of users of Redis 7 and Valkey."""

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
from keyturn.rotators.redis.acl import User, are_same, digest, modifiers_of, passwords_of
from keyturn.rotators.redis.connection import Place, ReplyError, connected, logged_in
from keyturn.rotators.redis.parameters import RedisParameters
from keyturn.rotators.redis.users import Users

USERNAME_LIMIT = 128


class RedisRotator:
    """Changes users by ACL SETUSER; a user can hold several passwords side by side.

    There is no lock. Redis has none that ends with its session, and a key with an expiry is none:
    whoever was stopped for longer than that goes on as if it still held it. None is needed, as
    each change names the hashes that it adds and removes: a statement that arrives late adds a
    password that was valid once, or is refused as a whole, since what it removes is gone; it never
    removes a newer password.
    """

    def check(self, parameters: Mapping[str, Any]) -> None:
        RedisParameters.read(parameters)

    def traits(self, parameters: Mapping[str, Any]) -> Traits:  # noqa: ARG002 - all alike
        return Traits(
            strategies=frozenset({Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS}),
            values={USERNAME: USERNAME, PASSWORD: PASSWORD},
            required=frozenset({USERNAME, PASSWORD}),
            rotated=frozenset({PASSWORD}),
            has_lock=False,
            coexists=True,
            username_limit=USERNAME_LIMIT,
        )

    @asynccontextmanager
    async def session(self, target: Target, order: Order) -> AsyncIterator["RedisSession"]:
        parameters = RedisParameters.read(target.parameters)
        trusted = trust(target.authority) if parameters.endpoint.tls else None
        place = Place(parameters.endpoint, trusted, target.timeout)
        async with logged_in(place, logins(target, order)) as server:
            users = Users(server, parameters.persist)
            # What a run before changed and did not live to keep would be taken for done; and a
            # server that cannot keep anything has to say so before the first change.
            await users.keep()
            await _refuse_open_users(users, order)
            yield RedisSession(place, users, order)


class RedisSession:
    """Works on the users of one order, by one connection."""

    def __init__(self, place: Place, users: Users, order: Order) -> None:
        self._place = place
        self._users = users
        self._order = order

    async def accepts(self, credential: Credential) -> bool:
        async with connected(self._place) as server:
            if not await server.log_in(login_of(credential)):
                return False
            try:
                await server.ask("PING")
            except ReplyError as error:
                # A user without the right to PING is a user nevertheless.
                if error.code != "NOPERM":
                    raise TargetUnavailableError(
                        f"the Redis server takes a login and then fails ({error.code})"
                    ) from None
            return True

    async def set(self, pending: Credential) -> None:
        if self._order.strategy is Strategy.SINGLE_USER or self._order.current is None:
            name = username_of(pending)
            await self._existing(name)
            await self._users.change(name, passwords_of(_digest(pending)))
        else:
            await self._set_in_turn(pending, self._order.current)

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        name, password = username_of(old), _digest(old)
        user = await self._users.find(name)
        if user is None or password not in user.passwords or password in _passwords(name, kept):
            return
        # Only this hash: connections stay, as ACL SETUSER ends none for a password.
        await self._users.change(name, [f"!{password}"])

    async def holds_lock(self) -> bool:
        return True

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:  # noqa: ARG002
        raise TargetRefusedError("Redis issues no passwords")

    async def _set_in_turn(self, pending: Credential, current: Credential) -> None:
        """Give the other user the rules of the current one, and the pending password.

        Of the passwords that it has, those of the order's versions stay until they are retired;
        others are from two rotations ago, or a stranger's, and must not get these rights.
        """
        name = username_of(pending)
        original = await self._existing(username_of(current))
        found = await self._users.find(name)
        versions = [each for each in (pending, current, self._order.previous) if each is not None]
        stale = found.passwords - _passwords(name, versions) if found is not None else ()
        await self._users.change(
            name, [*modifiers_of(original.rules), *passwords_of(_digest(pending), stale)]
        )
        made = await self._existing(name)
        if not are_same(made.rules, original.rules):
            raise TargetUnavailableError(
                f"the rules of the user {name!r} are not those of {username_of(current)!r}"
            )

    async def _existing(self, name: str) -> User:
        user = await self._users.find(name)
        if user is None:
            raise TargetRefusedError(f"the Redis server has no user {name!r}; make it first")
        return user


async def _refuse_open_users(users: Users, order: Order) -> None:
    """Refuse a user that takes any password: nothing could be tested, nor retired."""
    names = {username_of(each) for each in (order.pending, order.current) if each is not None}
    for name in sorted(names):
        user = await users.find(name)
        if user is not None and user.open:
            raise TargetRefusedError(
                f"the user {name!r} takes any password (nopass); give it one first, by "
                "ACL SETUSER with resetpass"
            )


def _digest(credential: Credential) -> str:
    return digest(login_of(credential).password)


def _passwords(name: str, credentials: Sequence[Credential]) -> frozenset[str]:
    """Return the hashes of those credentials that are of the user."""
    return frozenset(_digest(each) for each in credentials if username_of(each) == name)
