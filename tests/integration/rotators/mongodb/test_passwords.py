"""Which passwords a user takes after each act."""

import logging

import pytest

from keyturn.domain.errors import (
    TargetRefusedError,
)
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Target
from servers.mongo_site import (
    BOTH,
    LEAVES_SOCKETS,
    MongoSite,
    begun,
    credential,
    opened,
    password_of,
    turn,
    username_of,
)

pytestmark = LEAVES_SOCKETS


HOSTILE = [
    pytest.param(":/@\"'\\;%s{}$(x)`y`", id="symbols"),
    pytest.param("a=b,c=2C", id="the separators of SCRAM"),
    pytest.param('{"$gt": ""}', id="looks like an operator"),
    pytest.param("I\u00adX \u2168 é", id="what SASLprep changes"),
    pytest.param("x" * 1000, id="long"),
]


@BOTH
@pytest.mark.parametrize("password", HOSTILE)
async def test_a_hostile_password_is_nothing_but_a_password(
    target: Target, site: MongoSite, strategy: Strategy, password: str
) -> None:
    order = await begun(site, strategy)
    assert order.pending is not None
    pending = credential(username_of(order.pending), password, 2)

    async with opened(target, order) as session:
        await session.set(pending)
        assert await session.accepts(pending)
        assert not await session.accepts(site.renewed(pending, 3))

    assert site.may_log_in(pending)


@pytest.mark.parametrize("password", [b"\xff\xfe no text", "line\nline", "zero\0byte"])
async def test_a_password_that_no_user_can_have_is_refused(
    target: Target, site: MongoSite, password: str | bytes
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    pending = credential(order.base_username, password, 2)

    async with opened(target, order) as session:
        assert not await session.accepts(pending)
        with pytest.raises(TargetRefusedError, match="characters"):
            await session.set(pending)

    assert order.current is not None
    assert site.may_log_in(order.current)


async def test_retiring_leaves_a_newer_password_alone(target: Target, site: MongoSite) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    old = order.current
    assert old is not None
    newer = credential(username_of(old), "newer", 3)
    site.ask("updateUser", username_of(old), pwd="newer", mechanisms=["SCRAM-SHA-256"])

    async with opened(target, order) as session:
        await session.retire(old, [])
    assert site.may_log_in(newer)

    same = credential(username_of(old), "newer", 4)
    async with opened(target, order) as session:
        await session.retire(same, [newer])
    assert site.may_log_in(newer)


async def test_an_undone_pending_credential_is_ended(target: Target, site: MongoSite) -> None:
    order = await turn(target, site, await begun(site, Strategy.ALTERNATING_USERS))
    order = await turn(target, site, order)
    assert order.pending is not None
    async with opened(target, order) as session:
        await session.set(order.pending)
        # The previous one is of the same user; its password was replaced by the pending one.
        kept = [each for each in (order.current, order.previous) if each]
        await session.retire(order.pending, kept)
        assert not await session.accepts(order.pending)
        assert order.current is not None
        assert await session.accepts(order.current)


async def test_the_drivers_own_log_holds_no_password(
    target: Target, site: MongoSite, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    order = await begun(site, Strategy.ALTERNATING_USERS)
    passwords = [password_of(each) for each in (order.pending, order.current) if each]

    for _ in range(2):
        order = await turn(target, site, order)
        assert order.pending is not None
        passwords.append(password_of(order.pending))

    assert "updateUser" in caplog.text
    assert not any(password in caplog.text for password in passwords)
