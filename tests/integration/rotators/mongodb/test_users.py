"""What a user is beside its password: kept, or made as the other one has it."""

from typing import Any

import pytest

from keyturn.domain.errors import (
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Target
from keyturn.testing.rotators import alternate, order_of
from servers.mongo_peer import MongoPeer
from servers.mongo_site import (
    BOTH,
    LEAVES_SOCKETS,
    MongoSite,
    begun,
    credential,
    opened,
    turn,
    username_of,
)

pytestmark = LEAVES_SOCKETS


async def test_the_clone_is_as_the_original_after_each_turn(
    target: Target, site: MongoSite
) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    base = order.base_username
    changes: list[dict[str, Any]] = [
        {"roles": [{"role": "dbAdmin", "db": "shop"}]},
        {"customData": {}},
        {"authenticationRestrictions": []},
        {"roles": [], "customData": {"other": [1, 2]}},
        {"authenticationRestrictions": [{"serverAddress": ["127.0.0.1"]}]},
    ]

    for change in [{}, *changes]:
        assert order.current is not None
        if change:
            site.ask("updateUser", username_of(order.current), **change)
        wanted = site.told(username_of(order.current))
        order = await turn(target, site, order)
        assert site.told(f"{base}_clone") == wanted == site.told(base)


async def test_restrictions_that_the_current_user_has_lost_hinder_no_turn(
    target: Target, site: MongoSite
) -> None:
    order = await turn(target, site, await begun(site, Strategy.ALTERNATING_USERS))
    order = await turn(target, site, order)
    base, clone = order.base_username, f"{order.base_username}_clone"
    site.ask("updateUser", clone, authenticationRestrictions=[{"clientSource": ["192.0.2.7"]}])
    assert order.pending is not None
    assert order.previous is not None

    async with opened(target, order) as session:
        # Where no rotation mends it, nobody can tell whether the credential is ended.
        for old in (order.previous, order.pending):
            with pytest.raises(TargetUnavailableError, match="authenticationRestrictions"):
                await session.retire(old, [])
        assert not await session.accepts(order.pending)
        await session.set(order.pending)
        assert await session.accepts(order.pending)

    assert site.told(clone) == site.told(base)


async def test_restrictions_of_the_current_user_are_those_of_the_other_after_its_turn(
    target: Target, site: MongoSite
) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    assert order.pending is not None
    elsewhere = [{"clientSource": ["192.0.2.7"]}]
    site.ask("updateUser", order.base_username, authenticationRestrictions=elsewhere)

    async with opened(target, order) as session:
        for _ in range(2):
            with pytest.raises(TargetUnavailableError, match="authenticationRestrictions"):
                await session.accepts(order.pending)
            await session.set(order.pending)


@pytest.mark.parametrize("mechanisms", [["SCRAM-SHA-256"], ["SCRAM-SHA-1", "SCRAM-SHA-256"]])
@BOTH
async def test_mechanisms_stay_as_they_are(
    target: Target, site: MongoSite, strategy: Strategy, mechanisms: list[str]
) -> None:
    name = f"m{next(site.numbers)}"
    site.make(name, "first", mechanisms=mechanisms)
    current = credential(name, "first", 1)
    pending = site.renewed(current, 2)
    if strategy is Strategy.ALTERNATING_USERS:
        pending = alternate(pending, name, "_clone")

    await turn(target, site, order_of(strategy, name, pending, current))

    assert site.told(username_of(pending))["mechanisms"] == mechanisms


@BOTH
async def test_a_user_without_our_mechanism_is_refused(
    target: Target, site: MongoSite, strategy: Strategy
) -> None:
    order = await begun(site, strategy)
    site.ask("updateUser", order.base_username, pwd="x", mechanisms=["SCRAM-SHA-1"])

    assert order.pending is not None
    async with opened(target, order) as session:
        with pytest.raises(TargetRefusedError, match="SCRAM-SHA-256"):
            await session.set(order.pending)


async def test_setting_a_single_user_changes_its_password_alone(
    target: Target, site: MongoSite
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    before = site.told(order.base_username)

    for _ in range(3):
        order = await turn(target, site, order)

    assert site.told(order.base_username) == before


@BOTH
async def test_a_user_that_does_not_exist_is_not_made(
    target: Target, site: MongoSite, strategy: Strategy
) -> None:
    pending = credential("nobody", "x", 1)

    async with opened(target, order_of(strategy, "nobody", pending)) as session:
        with pytest.raises(TargetRefusedError, match="make it first"):
            await session.set(pending)

    assert site.ask("usersInfo", "nobody")["users"] == []


@BOTH
async def test_a_seed_is_set_for_a_user_that_exists(
    target: Target, site: MongoSite, strategy: Strategy
) -> None:
    known = await site.born(strategy)
    seed, before = site.renewed(known, 1), site.told(username_of(known))

    async with opened(target, order_of(strategy, username_of(known), seed)) as session:
        await session.set(seed)
        assert await session.accepts(seed)

    assert site.told(username_of(known)) == before


async def test_a_hostile_user_name_is_nothing_but_a_name(target: Target, site: MongoSite) -> None:
    for name in ("a=b,c", "$where", "x y", 'quo"te', "a.b", "漢字", "n=x,r=y"):
        site.make(name, "first")
        pending = alternate(credential(name, "second", 2), name, "_clone")
        order = order_of(Strategy.ALTERNATING_USERS, name, pending, credential(name, "first", 1))
        await turn(target, site, order)
        assert site.told(f"{name}_clone") == site.told(name)


async def test_each_change_has_a_deadline_and_asks_for_a_majority(
    target: Target, site: MongoSite, peer: MongoPeer
) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    peer.received.clear()
    for _ in range(2):
        order = await turn(target, site, order)

    changes = [
        command for _, command in peer.received if command.keys() & {"createUser", "updateUser"}
    ]
    assert [next(iter(command)) for command in changes] == ["createUser", "updateUser"]
    for command in changes:
        assert command["maxTimeMS"] == 10_000
        assert command["writeConcern"]["w"] == "majority"
