"""Which passwords a user takes after each act, and that nobody sees one."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest
import redis

from keyturn.domain.errors import (
    TargetRefusedError,
)
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Order, Target
from keyturn.testing.rotators import alternate, order_of
from servers.redis_site import (
    BOTH,
    RedisSite,
    begun,
    credential,
    opened,
    password_of,
    turn,
    username_of,
)

HOSTILE = [
    pytest.param("\"' >< # ! ~* +@all", id="looks like rules"),
    pytest.param(">plain", id="looks like a password modifier"),
    pytest.param("nopass", id="looks like nopass"),
    pytest.param(":/@\"'\\;%s{}$(x)`y`", id="symbols"),
    pytest.param("line\r\nACL SETUSER x on nopass\r\n", id="lines"),
    pytest.param("zero\0byte", id="zero byte"),
    pytest.param(b"\xff\xfe no text", id="no text"),
    pytest.param("x" * 4096, id="long"),
]


@BOTH
@pytest.mark.parametrize("password", HOSTILE)
async def test_a_hostile_password_is_nothing_but_a_password(
    target: Target, site: RedisSite, strategy: Strategy, password: str | bytes
) -> None:
    order = await begun(site, strategy)
    assert order.pending is not None
    pending = credential(username_of(order.pending), password, 2)

    async with opened(target, order) as session:
        await session.set(pending)
        assert await session.accepts(pending)
        assert not await session.accepts(site.renewed(pending, 3))

    assert site.may_log_in(pending)
    assert site.rules(username_of(pending)) == site.rules(order.base_username)


@BOTH
async def test_no_password_is_seen_by_the_server_but_in_a_login(
    target: Target, site: RedisSite, strategy: Strategy
) -> None:
    order = await begun(site, strategy)
    seen: list[bytes] = [password_of(each) for each in (order.pending, order.current) if each]
    with site.server.client() as client, client.monitor() as monitor:
        for _ in range(3):
            order = await turn(target, site, strategy, order)
            assert order.pending is not None
            seen.append(password_of(order.pending))
        site.server.ask("ECHO", "the end")
        lines = []
        for line in monitor.listen():
            lines.append(line["command"])
            if "the end" in line["command"]:
                break
    told = "\n".join(lines).encode()
    written = [
        told,
        repr(site.server.ask("SLOWLOG", "GET", "-1")).encode(),
        repr(site.server.ask("ACL", "LOG")).encode(),
        site.server.log,
        *(each.read_bytes() for each in site.server.folder.glob("users.acl")),
    ]

    # MONITOR and the slow log leave such commands out; nothing rests on that, as passwords go as
    # hashes but in AUTH.
    assert b"PING" in told
    for password in seen:
        for text in written:
            assert password not in text
            assert repr(password.decode())[1:-1].encode() not in text


@BOTH
async def test_a_user_that_takes_any_password_is_refused(
    target: Target, site: RedisSite, strategy: Strategy
) -> None:
    order = await begun(site, strategy)
    site.server.ask("ACL", "SETUSER", order.base_username, "nopass")

    with pytest.raises(TargetRefusedError, match="takes any password"):
        async with opened(target, order):
            pass


@BOTH
async def test_a_user_that_does_not_exist_is_not_made(
    target: Target, site: RedisSite, strategy: Strategy
) -> None:
    pending = credential(f"nobody{next(site.numbers)}", "x", 1)
    name = username_of(pending)

    async with opened(target, order_of(strategy, name, pending)) as session:
        with pytest.raises(TargetRefusedError, match="make it first"):
            await session.set(pending)

    assert site.server.ask("ACL", "GETUSER", name) is None


@BOTH
async def test_a_seed_is_set_for_a_user_that_exists(
    target: Target, site: RedisSite, strategy: Strategy
) -> None:
    known = await site.born(strategy)
    seed = site.renewed(known, 1)
    before = site.rules(username_of(known))

    async with opened(target, order_of(strategy, username_of(known), seed)) as session:
        await session.set(seed)
        assert await session.accepts(seed)

    assert site.rules(username_of(known)) == before


async def test_other_passwords_of_a_single_user_stay(target: Target, site: RedisSite) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    other = credential(order.base_username, "of a person", 0)
    site.make(order.base_username, password_of(other))

    for _ in range(3):
        order = await turn(target, site, Strategy.SINGLE_USER, order)

    assert site.may_log_in(other)


async def turn_without_retiring(target: Target, site: RedisSite, order: Order) -> Order:
    assert order.pending is not None
    async with opened(target, order) as session:
        await session.set(order.pending)
    following = site.renewed(order.pending, order.pending.version + 1)
    following = alternate(following, order.base_username, "_clone")
    return order_of(order.strategy, order.base_username, following, order.pending, order.current)


async def test_alternating_users_hold_no_password_of_two_rotations_ago(
    target: Target, site: RedisSite
) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    held = [order.current]
    for _ in range(5):
        held.append(order.pending)
        order = await turn_without_retiring(target, site, order)

    # The previous credential of the user that is set stays until it is retired.
    assert [site.may_log_in(each) for each in held if each] == [False] * 2 + [True] * 4


async def test_a_statement_that_arrives_late_takes_no_newer_password_away(
    target: Target, site: RedisSite
) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    late: list[list[str]] = []
    for _ in range(6):
        assert order.pending is not None
        before = site.server.ask("ACL", "GETUSER", username_of(order.pending))
        late.append(_statement(order, before))
        order = await turn_without_retiring(target, site, order)
    assert any(word.startswith("!") for statement in late for word in statement)

    refused = 0
    for statement in late:
        try:
            site.server.ask("ACL", "SETUSER", *statement)
        except redis.ResponseError:
            refused += 1

    assert refused
    for newest in (order.current, order.previous):
        assert newest is not None
        assert site.may_log_in(newest)


def _statement(order: Order, before: Any) -> list[str]:
    """Write the passwords' part of what `set` sends, from what the server told before it."""
    assert order.pending is not None
    versions = [each for each in (order.pending, order.current, order.previous) if each]
    sha = hashlib.sha256
    kept = {sha(password_of(each)).hexdigest() for each in versions}
    told = dict(zip(before[::2], before[1::2], strict=True)) if before else {b"passwords": []}
    stale = {each.decode() for each in told[b"passwords"]} - kept
    added = sha(password_of(order.pending)).hexdigest()
    return [username_of(order.pending), f"#{added}", *(f"!{each}" for each in sorted(stale))]


async def test_retiring_ends_no_password_that_is_kept(target: Target, site: RedisSite) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    old = order.current
    assert old is not None
    # As after a rollback: two versions with the same values.
    again = replace(old, version=3)

    async with opened(target, replace(order, pending=None)) as session:
        await session.retire(old, [again])
        assert await session.accepts(again)
        elsewhere = credential("another", password_of(old), 4)
        await session.retire(old, [elsewhere])
        assert not await session.accepts(again)
