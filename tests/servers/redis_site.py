"""What the tests of the Redis rotator know to do in a server without it."""

import hashlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import redis

from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Session, Target
from keyturn.rotators.redis.rotator import RedisRotator
from keyturn.testing.rotators import alternate, order_of
from servers import redis as servers
from servers.redis import RedisServer

RULES = (
    "~app:*",
    "%R~catalogue:*",
    "&orders.*",
    "+@all",
    "-@dangerous",
    "+info",
    "-config",
    "+config|get",
    "(~stock:* +get)",
    "(%W~journal:* &journal +set +publish)",
)


BOTH = pytest.mark.parametrize("strategy", [Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS])


def credential(username: str, password: str | bytes, version: int) -> Credential:
    text = password.encode() if isinstance(password, str) else password
    values = {"username": SecretValue(username.encode()), "password": SecretValue(text)}
    return Credential(version, values)


def password_of(one: Credential) -> bytes:
    return bytes(one.values["password"].reveal())


def username_of(one: Credential) -> str:
    return bytes(one.values["username"].reveal()).decode()


class RedisSite:
    """Makes users by the administrator's own connection."""

    numbers = itertools.count(1)

    def __init__(self, server: RedisServer) -> None:
        self.server = server

    async def born(self, strategy: Strategy) -> Credential:
        number = next(self.numbers)
        made = credential(f"orders{number}", f"first of {number}, éß", 1)
        self.make(username_of(made), password_of(made))
        return made

    def make(self, username: str, password: bytes, *rules: str) -> None:
        hashed = hashlib.sha256(password).hexdigest()
        self.server.ask("ACL", "SETUSER", username, "on", f"#{hashed}", *(rules or RULES))

    def renewed(self, credential_: Credential, version: int) -> Credential:
        return credential(username_of(credential_), f"value {next(self.numbers)} of it", version)

    def base_username(self, credential_: Credential) -> str:
        return username_of(credential_)

    def rules(self, username: str) -> dict[bytes, Any]:
        """Read the rules of a user as the server tells them, without its passwords."""
        reply = self.server.ask("ACL", "GETUSER", username)
        told = dict(zip(reply[::2], reply[1::2], strict=True))
        del told[b"passwords"]
        # A user without this flag is as one with it; only the other one makes a difference.
        told[b"flags"] = sorted(set(told[b"flags"]) - {b"sanitize-payload"})
        # Redis lists commands in the order of a table that changes while it grows; what must be in
        # order is asked of the server by what a user may do.
        told[b"commands"] = sorted(told[b"commands"].split())
        for selector in told[b"selectors"]:
            place = selector.index(b"commands") + 1
            selector[place] = sorted(selector[place].split())
        return told

    def may_log_in(self, one: Credential) -> bool:
        try:
            with self.server.client(username_of(one), password_of(one)) as client:
                return bool(client.execute_command("PING"))
        except redis.AuthenticationError:
            return False


def target_of(server: RedisServer, **parameters: Any) -> Target:
    admin = credential(servers.ADMIN, servers.ADMIN_PASSWORD, 0).values
    tls = {} if server.authority else {"tls": {"mode": "disable"}}
    written = {"host": "localhost", "port": server.port, **tls, **parameters}
    authority = server.authority.pem if server.authority else b""
    return Target(written, admin, authority, timeout=10.0)


@asynccontextmanager
async def opened(target: Target, order: Order) -> AsyncIterator[Session]:
    async with RedisRotator().session(target, order) as session:
        yield session


async def turn(target: Target, site: RedisSite, strategy: Strategy, order: Order) -> Order:
    """Do a whole rotation, and make the order of the next."""
    assert order.pending is not None
    async with opened(target, order) as session:
        await session.set(order.pending)
        assert await session.accepts(order.pending)
    if order.previous is not None:
        kept = [order.pending, *([order.current] if order.current else [])]
        async with opened(target, replace(order, pending=None)) as session:
            await session.retire(order.previous, kept)
    following = site.renewed(order.pending, order.pending.version + 1)
    if strategy is Strategy.ALTERNATING_USERS:
        following = alternate(following, order.base_username, "_clone")
    return order_of(strategy, order.base_username, following, order.pending, order.current)


async def begun(site: RedisSite, strategy: Strategy) -> Order:
    current = await site.born(strategy)
    pending = site.renewed(current, 2)
    if strategy is Strategy.ALTERNATING_USERS:
        pending = alternate(pending, username_of(current), "_clone")
    return order_of(strategy, username_of(current), pending, current)
