"""What a server that fails makes of a session: nothing is guessed, nothing is sent again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keyturn.domain.errors import (
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Target
from servers import mongo_peer
from servers.certificates import Authority
from servers.mongo_peer import Fault, MongoPeer
from servers.mongo_site import (
    LEAVES_SOCKETS,
    MongoSite,
    begun,
    opened,
    site_on,
)

pytestmark = LEAVES_SOCKETS


FAULTS: list[Any] = [
    pytest.param(lambda: Fault("updateUser", hang=True), id="hangs before"),
    pytest.param(lambda: Fault("updateUser", hang=True, done=True), id="hangs after"),
    pytest.param(lambda: Fault("updateUser", cut=True), id="cut before"),
    pytest.param(lambda: Fault("updateUser", cut=True, done=True), id="cut after"),
    pytest.param(lambda: Fault("updateUser", code=10107), id="not primary"),
    pytest.param(lambda: Fault("updateUser", code=50), id="out of time"),
    pytest.param(lambda: Fault("updateUser", code=11600), id="shutting down"),
    pytest.param(lambda: Fault("updateUser", code=8), id="an unknown error"),
    pytest.param(lambda: Fault("updateUser", write_concern_error=True), id="no majority"),
    pytest.param(lambda: Fault("usersInfo", cut=True), id="cut while reading"),
]


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_cannot_be_told_is_unavailable_and_not_sent_again(
    target: Target, site: MongoSite, peer: MongoPeer, fault: Callable[[], Fault]
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.pending is not None
    assert order.current is not None
    made = fault()
    async with opened(replace(target, timeout=3.0), order) as session:
        peer.received.clear()
        peer.faults.append(made)
        with pytest.raises(TargetUnavailableError):
            await session.set(order.pending)
    assert sum(made.command in command for _, command in peer.received) == 1

    # One of both is accepted, and the same once more ends well.
    assert site.may_log_in(order.pending) != site.may_log_in(order.current)
    async with opened(target, order) as session:
        await session.set(order.pending)
        assert await session.accepts(order.pending)


@pytest.mark.parametrize("code", [2, 11, 13, 31, 59])
async def test_a_refusal_is_a_refusal(
    target: Target, site: MongoSite, peer: MongoPeer, code: int
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.pending is not None
    async with opened(target, order) as session:
        peer.faults.append(Fault("updateUser", code=code))
        with pytest.raises(TargetRefusedError, match=rf"\(code {code}\)"):
            await session.set(order.pending)
        assert not await session.accepts(order.pending)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda: Fault("saslContinue", cut=True), id="cut"),
        pytest.param(lambda: Fault("saslContinue", hang=True), id="hangs"),
        pytest.param(lambda: Fault("saslContinue", code=11600), id="shutting down"),
        pytest.param(lambda: Fault("saslContinue", code=334), id="no such mechanism"),
        pytest.param(lambda: Fault("ping", cut=True), id="cut after the login"),
        pytest.param(lambda: Fault("ping", code=13435), id="fails after the login"),
    ],
)
async def test_a_login_that_was_not_answered_is_no_refusal(
    target: Target, site: MongoSite, peer: MongoPeer, fault: Callable[[], Fault]
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.current is not None
    async with opened(replace(target, timeout=3.0), order) as session:
        peer.faults.append(fault())
        with pytest.raises(TargetUnavailableError):
            await session.accepts(order.current)
        assert await session.accepts(order.current)


@pytest.mark.parametrize("source", ["192.0.2.7", "10.0.0.0/8"])
async def test_a_user_that_may_not_come_from_here_is_not_taken_for_refused(
    target: Target, site: MongoSite, source: str
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.pending is not None
    assert order.current is not None
    elsewhere = [{"clientSource": [source]}]
    site.ask("updateUser", order.base_username, authenticationRestrictions=elsewhere)
    async with opened(target, order) as session:
        for one in (order.current, order.pending):
            with pytest.raises(TargetUnavailableError, match="authenticationRestrictions"):
                await session.accepts(one)

        here = [*elsewhere, {"clientSource": [source, "127.0.0.0/8"]}]
        site.ask("updateUser", order.base_username, authenticationRestrictions=here)
        assert await session.accepts(order.current)
        assert not await session.accepts(order.pending)


async def test_a_refused_login_is_tried_once(
    target: Target, site: MongoSite, peer: MongoPeer
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.pending is not None
    async with opened(target, order) as session:
        peer.received.clear()
        assert not await session.accepts(order.pending)

    assert sum("saslContinue" in command for _, command in peer.received) == 1


async def test_a_secondary_is_not_written_to(authority: Authority, folder: Path) -> None:
    with mongo_peer.running(authority.issue("secondary"), replica_set="rs0") as peer:
        site = site_on(peer, authority, folder)
        order = await begun(site, Strategy.SINGLE_USER)
        assert order.pending is not None
        peer.is_primary = False
        for parameters in ({}, {"replicaSet": "rs0"}):
            target = replace(site.target(**parameters), timeout=3.0)
            with pytest.raises(TargetUnavailableError):
                async with opened(target, order) as session:
                    await session.set(order.pending)
