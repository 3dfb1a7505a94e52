"""How long the previous credential stays valid, whatever else happens meanwhile."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import office
from fleet import Fleet, Login
from keyturn.bootstrap.vault import Vault
from keyturn.domain.errors import (
    StoreUnavailableError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Cause, Outcome
from keyturn.services.rotation.pending import Wanted
from rotation_office import (
    FakeSession,
    Operator,
    World,
    failing,
    fleet_of,
    started_with_pods,
    world_of,
)

OVERLAP = {"max": "1d"}


def world_without_target(**rotation: Any) -> World:
    """Make a world in which the password is made anew, and nobody has to be told."""
    world = world_of(**rotation)
    world.given = {}
    world.rotated_by(rotatorRef=None, strategy=None)
    return world


KINDS: Mapping[str, Any] = {
    "side by side": lambda **more: world_of(coexists=True, **more),
    "two users": lambda **more: world_of("AlternatingUsers", **more),
    "no target": world_without_target,
}
each_kind = pytest.mark.parametrize("kind", KINDS)


async def request(operator: Operator, token: str) -> Login:
    """Rotate, and give the credential that was current."""
    before = (await operator.stored())["Current"]
    operator.world.token = token
    await operator.settle()
    return before


async def rotated(vault: Vault, world: World) -> tuple[Operator, Login]:
    """Start an operator, and rotate once; give the credential that is previous."""
    operator = await Operator(vault, world).start()
    await operator.settle()
    return operator, await request(operator, "one")


async def causes(operator: Operator) -> list[str]:
    """Give why each rotation began, the oldest first."""
    return [each.cause.value for each in reversed(await operator.rotations_of())]


async def put(operator: Operator, key: str, value: str) -> None:
    """Change another value in the way of the resource."""
    operator.world.change(key, value)
    await operator.settle()


@each_kind
async def test_a_change_of_another_value_leaves_the_overlap_as_it_is(
    vault: Vault, kind: str
) -> None:
    operator, held = await rotated(vault, KINDS[kind](overlap=OVERLAP))
    for hour in range(3):
        await operator.later(hours=1)
        await put(operator, "host", f"host-{hour}")
        stored = await operator.stored()
        assert stored["Previous"] == held != stored["Current"]
        if kind != "no target":
            assert held in operator.world.target.accepted

    await operator.later(hours=20, minutes=59)
    assert (await operator.stored())["Previous"] == held
    await operator.later(minutes=1)

    assert "Previous" not in await operator.stored()
    assert held not in operator.world.target.accepted
    assert operator.world.projected == (await operator.stored())["Current"]
    await operator.stop()


@each_kind
async def test_nor_does_going_back_on_such_a_change_end_it(vault: Vault, kind: str) -> None:
    operator, held = await rotated(vault, KINDS[kind](overlap=OVERLAP))
    before = await operator.secret()
    await put(operator, "host", "wrong")
    current = (await operator.stored())["Current"]

    secret, number = await operator.secret(), before.stages.current or 0
    if kind == "no target":
        await vault.store.promote(secret.id, number, expected=secret.stages.current)
    else:
        wanted = Wanted(Cause.ROLLBACK, "jo", back_to=number)
        await operator.rotations.begin(operator.resource(), secret, wanted)
    await operator.settle()

    assert await operator.stored() == {"Current": current, "Previous": held}
    await operator.later(days=1)
    assert held not in operator.world.target.accepted
    await operator.stop()


@each_kind
async def test_a_rotation_after_a_change_ends_what_was_previous_before(
    vault: Vault, kind: str
) -> None:
    operator, _ = await rotated(vault, KINDS[kind](overlap=OVERLAP))
    await put(operator, "host", "another")

    replaced = await request(operator, "two")

    stored, accepted = await operator.stored(), operator.world.target.accepted
    assert stored["Previous"] == replaced
    if kind != "no target":
        assert accepted == set(stored.values())
    await operator.stop()


async def test_a_previous_that_stays_is_never_destroyed(vault: Vault) -> None:
    operator, held = await rotated(vault, world_of(coexists=True, overlap=OVERLAP))
    for number in range(14):
        await put(operator, "host", str(number))

    assert (await operator.stored())["Previous"] == held
    assert len((await operator.secret()).versions) < 14
    await operator.stop()


async def test_a_retirement_that_the_target_refuses_keeps_back_no_change(vault: Vault) -> None:
    operator, held = await rotated(vault, world_of(coexists=True, overlap=OVERLAP))
    with failing(operator.world.target, "retire", TargetRefusedError("it is needed")):
        await operator.later(days=1)
        await put(operator, "host", "another")
        assert await causes(operator) == ["Initial", "Request", "Change"]

    await operator.later(hours=1)

    assert held not in operator.world.target.accepted
    await operator.stop()


async def test_nor_does_a_change_that_cannot_begin_keep_back_the_retirement(vault: Vault) -> None:
    operator, held = await rotated(vault, world_of("AlternatingUsers", overlap=OVERLAP))

    async def away() -> None:
        raise StoreUnavailableError("it is away")

    with failing(operator.world.target, "retire", TargetRefusedError("it is needed")):
        operator.world.before_begin = away
        await operator.later(days=1)
        await put(operator, "host", "another")

    for _ in range(2):
        await operator.later(hours=1)

    assert await causes(operator) == ["Initial", "Request"]
    assert held not in operator.world.target.accepted
    await operator.stop()


async def test_going_back_to_the_previous_credential_by_an_older_version_keeps_it(
    vault: Vault,
) -> None:
    world = world_of(coexists=True)
    operator, _ = await rotated(vault, world)
    await put(operator, "host", "another")
    replaced = await request(operator, "two")
    current, before = (await operator.stored())["Current"], len(world.target.done)

    wanted = Wanted(Cause.ROLLBACK, "jo", back_to=2)
    await operator.rotations.begin(operator.resource(), await operator.secret(), wanted)
    await operator.settle()

    acts = [act for act, _ in world.target.done[before:]]
    assert not {"set", "retire"} & set(acts)
    assert await operator.stored() == {"Current": replaced, "Previous": current}
    await operator.stop()


@pytest.mark.parametrize("kind", ["side by side", "two users"])
async def test_giving_up_to_go_back_ends_nothing_that_is_held(vault: Vault, kind: str) -> None:
    """What is pending then is the previous credential itself."""
    operator, held = await rotated(vault, KINDS[kind](overlap=OVERLAP))
    before, secret = await operator.stored(), await operator.secret()
    wanted = Wanted(Cause.ROLLBACK, "jo", back_to=secret.stages.previous)
    with failing(operator.world.target, "accepts", TargetUnavailableError("down")):
        await operator.rotations.begin(operator.resource(), secret, wanted)
        await operator.settle()
    await operator.rotations.cancel(secret, "jo")

    look = await operator.settle()

    assert look.journal.rotations[0].outcome is Outcome.ABANDONED
    assert await operator.stored() == before
    assert held in operator.world.target.accepted
    await operator.later(days=1)
    assert operator.world.target.accepted == {before["Current"]}
    await operator.stop()


async def test_without_a_previous_a_change_leaves_the_version_before_as_previous(
    vault: Vault,
) -> None:
    """There is no overlap that it could end."""
    operator = await Operator(vault, world_of(coexists=True, overlap=OVERLAP)).start()
    await operator.settle()
    for number in range(1, 3):
        await put(operator, "host", str(number))
        stages = (await operator.secret()).stages
        assert (stages.current, stages.previous) == (number + 1, number)
    await operator.stop()


async def test_nor_does_it_put_off_what_is_due(vault: Vault) -> None:
    """A version with the same credential has nothing that could end."""
    operator = await Operator(
        vault, world_of(coexists=True, interval="1d", overlap={"max": "20d"})
    ).start()
    await operator.settle()
    await operator.later(hours=23)
    await put(operator, "host", "another")

    await operator.later(hours=1)

    assert [each.cause for each in await operator.rotations_of()] == [
        Cause.SCHEDULE,
        Cause.CHANGE,
        Cause.INITIAL,
    ]
    await operator.stop()


async def test_a_change_that_consumers_do_not_bear_is_gone_back_from_alone(vault: Vault) -> None:
    """Not the rotation before it: the credential stays, and so does its overlap."""
    world = world_of("AlternatingUsers", overlap=OVERLAP)
    world.fleet = Fleet()
    world.consumers = {"action": "Restart", "onFailure": "Rollback"}
    world.change("host", "right")
    operator = await started_with_pods(vault, world)
    held = await request(operator, "one")
    fleet_of(operator).restart("web", world.now)
    await operator.later(minutes=15)
    await put(operator, "host", "wrong")
    world.now += timedelta(seconds=10)
    fleet_of(operator).restart("web", world.now, is_healthy=False)
    await operator.settle()
    current = (await operator.stored())["Current"]

    look = await operator.later(minutes=10)

    assert look.journal.rotations[0].cause is Cause.HEALTH
    assert await operator.stored() == {"Current": current, "Previous": held}
    number = look.secret.stages.current or 0
    with await vault.versions.open(look.secret, number) as payload:
        assert bytes(payload["host"].reveal()) == b"right"
    assert held in world.target.accepted
    await operator.stop()


async def test_without_a_target_what_is_generated_beside_it_is_no_other_credential(
    vault: Vault,
) -> None:
    operator, held = await rotated(vault, world_without_target(overlap=OVERLAP))
    operator.world.data.append({"key": "token", "generate": {"hex": {}}})
    operator.world.generation += 1

    await operator.settle()
    assert (await operator.stored())["Previous"] == held
    replaced = (await operator.stored())["Current"]
    await make_longer(operator)

    assert (await operator.stored())["Previous"] == replaced
    await operator.stop()


@pytest.mark.parametrize("until", ["Time", "ConsumersMoved"])
async def test_nor_does_what_replaced_it_beside_a_rotation_end_when_that_would_have(
    vault: Vault, until: str
) -> None:
    """Nobody promised it a time; it stays until the next rotation."""
    operator, _ = await rotated(vault, world_without_target(overlap={**OVERLAP, "until": until}))
    await operator.later(hours=23)
    replaced = (await operator.stored())["Current"]

    await make_longer(operator)
    await operator.later(days=1)

    assert (await operator.stored())["Previous"] == replaced
    await operator.stop()


async def make_longer(operator: Operator) -> None:
    """Ask for another password beside the rotation."""
    longer = {"key": "password", "generate": {"password": {"length": 40}}}
    operator.world.data = [each for each in operator.world.data if each["key"] != "password"]
    operator.world.data.append(longer)
    operator.world.generation += 1
    await operator.settle()


async def test_nor_is_what_a_person_puts_beside_it(tmp_path: Path) -> None:
    key = {"key": "key", "generate": {"hex": {}}}
    spec = {"data": [key, {"key": "note", "input": {}}], "rotation": {"interval": "30d"}}
    stages = []
    async with office.opened(tmp_path / "data", tmp_path / "key") as local:
        name = (await local.attach("session", spec)).name
        for given in ("note", "key", "note", "note", "key"):
            await local.operations.put(name, {given: SecretValue(uuid4().hex.encode())})
            secret = await local.operations.find(name)
            stages.append((secret.stages.current, secret.stages.previous))

    assert stages == [(1, None), (2, 1), (3, 1), (4, 1), (5, 4)]


# Another strategy


@pytest.mark.parametrize("turns", [1, 2], ids=["the clone is current", "the base is current"])
async def test_of_two_users_one_is_left_once_they_do_not_alternate(
    vault: Vault, turns: int
) -> None:
    operator = await Operator(vault, world_of("AlternatingUsers")).start()
    await operator.settle()
    for token in range(turns):
        await request(operator, f"turn {token}")

    operator.world.rotated_by(strategy="SingleUser")
    current = await request(operator, "alone")

    assert {each.username for each in operator.world.target.accepted} == {current.username}
    await operator.stop()


@pytest.mark.parametrize("overlap", [None, OVERLAP], ids=["no overlap", "overlap"])
async def test_nor_does_a_change_meanwhile_make_them_strangers(vault: Vault, overlap: Any) -> None:
    operator, _ = await rotated(vault, world_of("AlternatingUsers"))
    operator.world.rotated_by(strategy="SingleUser", overlap=overlap)
    await put(operator, "host", "another")

    await operator.later(days=1)
    current = await request(operator, "alone")

    assert {each.username for each in operator.world.target.accepted} == {current.username}
    await operator.stop()


@pytest.mark.parametrize("begun", ["SingleUser", "AlternatingUsers"])
async def test_a_credential_is_retired_in_the_way_that_it_was_rotated(
    vault: Vault, begun: str
) -> None:
    operator, _ = await rotated(vault, world_of(begun, overlap=OVERLAP))
    strategies = []

    async def acts(session: FakeSession, act: str, login: Login | None) -> None:
        if act == "retire":
            strategies.append(session.order.strategy.value)

    operator.world.target.acts = acts
    other = {"SingleUser": "AlternatingUsers", "AlternatingUsers": "SingleUser"}[begun]
    operator.world.rotated_by(strategy=other)
    await operator.later(days=1)

    assert strategies == [begun]
    await operator.stop()


async def test_alternating_from_now_on_does_not_end_the_user_who_was_alone(vault: Vault) -> None:
    operator, _ = await rotated(vault, world_of(overlap=OVERLAP))

    operator.world.rotated_by(strategy="AlternatingUsers")
    alone = await request(operator, "two")

    assert operator.world.target.accepted == set((await operator.stored()).values())
    assert alone in operator.world.target.accepted
    await operator.stop()


# A clock that is wrong


@pytest.mark.parametrize("wrong", [timedelta(days=365), timedelta(days=2)])
@pytest.mark.parametrize("overlap", [None, {"max": "1h"}], ids=["no overlap", "overlap"])
async def test_a_clock_that_was_ahead_stops_no_schedule(
    vault: Vault, wrong: timedelta, overlap: Any
) -> None:
    world = world_of("AlternatingUsers", interval="1d", overlap=overlap)
    world.rotated_by(overlap=overlap)
    operator = await Operator(vault, world).start()
    await operator.settle()
    right = world.now + timedelta(minutes=5)
    world.now += wrong
    await operator.settle()
    assert len(await operator.rotations_of()) == 2

    world.now = right
    await operator.settle()
    for _ in range(5):
        await operator.later(days=1, hours=2)

    assert len(await operator.rotations_of()) == 7
    await operator.stop()


async def test_an_overlap_that_a_wrong_clock_began_lasts_as_long_as_it_may(vault: Vault) -> None:
    world = world_of("AlternatingUsers", overlap={"max": "3h"})
    right = world.now
    world.now += timedelta(days=365)
    operator, held = await rotated(vault, world)
    world.now = right

    await operator.settle()
    await operator.later(hours=2, minutes=59)
    assert held in world.target.accepted
    await operator.later(minutes=1)

    assert held not in world.target.accepted
    await operator.stop()


async def test_a_try_is_made_again_although_the_clock_was_put_back(vault: Vault) -> None:
    world = world_of()
    operator = await Operator(vault, world).start()
    await operator.settle()
    right = world.now
    world.now += timedelta(days=1)
    with failing(world.target, "set", TargetUnavailableError("it does not answer")):
        await request(operator, "one")

    world.now = right
    look = await operator.settle()

    assert look.secret.stages.current == 2
    await operator.stop()


async def test_so_is_one_that_could_not_begin(vault: Vault) -> None:
    world = world_of(overlap={"max": "1h"}, coexists=True)
    operator, held = await rotated(vault, world)
    right = world.now + timedelta(hours=2)
    world.now += timedelta(days=1)
    with failing(world.target, "retire", TargetUnavailableError("it does not answer")):
        look = await operator.settle()
    assert look.trouble is not None

    world.now = right
    await operator.settle()

    assert held not in world.target.accepted
    await operator.stop()
