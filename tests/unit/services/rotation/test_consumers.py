"""Retirement that waits for consumers: the engine on a real store, and pods of the test's own."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from fleet import Fleet
from keyturn.bootstrap.vault import Vault
from keyturn.domain.errors import RetireBlockedByConsumersError
from keyturn.domain.rotation import Cause
from keyturn.services.consumers.gates import PAUSE, SETTLED
from keyturn.services.rotation.look import Look
from keyturn.services.rotation.pending import Wanted
from keyturn.services.rotation.reporting import rotation_report
from rotation_office import NAME, Operator, World, fleet_of, started_with_pods, world_of

MOVED = {"until": "ConsumersMoved", "max": "1d"}
KINDS = [("AlternatingUsers", False), ("SingleUser", True)]
"""Those whose previous credential stays valid beside the current one."""

two_kinds = pytest.mark.parametrize(("strategy", "coexists"), KINDS)


def a_world(strategy: str = "AlternatingUsers", *, coexists: bool = False, **more: Any) -> World:
    world = world_of(strategy, coexists=coexists, **{"overlap": MOVED, **more})
    world.fleet = Fleet()
    return world


@pytest.fixture
async def operator(vault: Vault, request: pytest.FixtureRequest) -> AsyncIterator[Operator]:
    strategy, coexists = getattr(request, "param", KINDS[0])
    operator = await started_with_pods(vault, a_world(strategy, coexists=coexists))
    yield operator
    await operator.stop()


every_kind = pytest.mark.parametrize("operator", KINDS, indirect=True, ids=["two users", "coexist"])


def nobody_is_locked_out(operator: Operator) -> bool:
    return not fleet_of(operator).locked_out(operator.world.target.accepted)


async def rotated(operator: Operator, token: str = "one") -> Look:  # noqa: S107 - a request
    """Ask for a rotation, and let its projection settle."""
    operator.world.token = token
    await operator.settle()
    return await operator.later(seconds=SETTLED.total_seconds())


def told(operator: Operator, look: Look) -> tuple[str, str, str]:
    report = rotation_report(operator.resource(), look)
    assert report is not None
    assert report.condition is not None
    return report.condition


async def causes(operator: Operator) -> list[str]:
    return [each.cause.value for each in reversed(await operator.rotations_of())]


# The retirement


@every_kind
async def test_the_previous_credential_ends_when_nobody_holds_it(operator: Operator) -> None:
    world, fleet = operator.world, fleet_of(operator)
    look = await rotated(operator)
    assert look.secret.stages.previous == 1
    assert operator.calendar.due[NAME] == world.now + PAUSE
    look = await operator.later(hours=3)
    assert look.secret.stages.previous == 1
    assert nobody_is_locked_out(operator)
    assert told(operator, look) == (
        "True",
        "RetireBlockedByConsumers",
        "Version 2 is the result of the last rotation. Version 1 stays valid: Deployment/web still"
        " run with an older version.",
    )

    fleet.restart("web", world.now)
    look = await operator.later(seconds=30)

    assert look.secret.stages.previous is None
    assert world.target.accepted == {world.projected}
    assert nobody_is_locked_out(operator)
    assert told(operator, look)[:2] == ("True", "SecretRotated")


@every_kind
async def test_not_later_than_max(operator: Operator) -> None:
    world = operator.world
    await rotated(operator)
    await operator.later(hours=23)
    assert nobody_is_locked_out(operator)

    look = await operator.later(hours=1)

    assert look.secret.stages.previous is None
    assert world.target.accepted == {world.projected}


async def test_who_cannot_be_seen_has_not_moved(operator: Operator) -> None:
    fleet = fleet_of(operator)
    await rotated(operator)
    fleet.restart("web", operator.world.now)
    fleet.why = "pods may not be read"

    look = await operator.later(hours=3)

    assert look.secret.stages.previous == 1
    status, reason, message = told(operator, look)
    assert (status, reason) == ("True", "RetireBlockedByConsumers")
    assert "not known who uses it" in message
    fleet.why = ""
    assert (await operator.later(seconds=30)).secret.stages.previous is None


async def test_nor_is_it_ended_at_max_later_because_nobody_can_be_seen(operator: Operator) -> None:
    await rotated(operator)
    fleet_of(operator).why = "it does not answer"

    look = await operator.later(days=1)

    assert look.secret.stages.previous is None


async def test_an_operator_that_was_killed_waits_as_before(
    vault: Vault, operator: Operator
) -> None:
    world, fleet = operator.world, fleet_of(operator)
    await rotated(operator)
    await operator.stop()

    again = await Operator(vault, world).start()
    look = await again.later(hours=3)
    assert look.secret.stages.previous == 1
    fleet.restart("web", world.now)
    look = await again.later(seconds=30)

    assert look.secret.stages.previous is None
    await again.stop()


async def test_a_look_just_after_the_projection_does_not_count(operator: Operator) -> None:
    """A pod may have begun with the version before, and its kubelet not have told of it yet."""
    world, fleet = operator.world, fleet_of(operator)
    fleet.end("web-0")
    world.token = "one"
    fleet.held["late"] = fleet.shown  # type: ignore[assignment]
    began = world.now
    look = await operator.settle()
    assert look.secret.stages.previous == 1

    fleet.start("late", "web", began + timedelta(seconds=1))
    fleet.held["late"] = (await operator.stored())["Previous"]
    look = await operator.later(seconds=SETTLED.total_seconds())

    assert look.secret.stages.previous == 1
    assert nobody_is_locked_out(operator)


@every_kind
async def test_who_holds_an_older_version_with_the_same_credential_has_moved(
    operator: Operator,
) -> None:
    world, fleet = operator.world, fleet_of(operator)
    world.rotated_by(overlap=None)
    await rotated(operator)
    fleet.restart("web", world.now)
    world.change("host", "another")
    look = await operator.settle()
    assert (look.secret.stages.current, look.secret.stages.previous) == (3, 1)
    await operator.later(minutes=1)

    world.rotated_by(overlap=MOVED)
    look = await operator.settle()

    assert look.secret.stages.previous is None
    assert world.target.accepted == {world.projected}
    assert nobody_is_locked_out(operator)


async def test_what_waits_for_nobody_looks_at_nobody(vault: Vault) -> None:
    operator = await started_with_pods(vault, a_world(overlap={"max": "1h"}))
    await rotated(operator)
    await operator.later(hours=1)

    assert fleet_of(operator).looks == 0
    await operator.stop()


async def test_after_it_has_ended_nobody_is_looked_at_any_more(operator: Operator) -> None:
    world, fleet = operator.world, fleet_of(operator)
    await rotated(operator)
    fleet.restart("web", world.now)
    await operator.later(seconds=30)
    looks = fleet.looks

    await operator.later(days=3)

    assert fleet.looks == looks


# The next rotation


@every_kind
async def test_a_request_waits_for_who_would_be_locked_out(operator: Operator) -> None:
    world, fleet = operator.world, fleet_of(operator)
    await rotated(operator, "one")
    look = await rotated(operator, "two")
    look = await operator.later(hours=1)

    assert await causes(operator) == ["Initial", "Request"]
    assert nobody_is_locked_out(operator)
    assert told(operator, look) == (
        "False",
        "RetireBlockedByConsumers",
        "A rotation (Request) waits: Deployment/web still run with an older version. It does not"
        " wait with: keyturn rotate db -n shop --force",
    )
    fleet.restart("web", world.now)
    await operator.later(seconds=30)

    assert await causes(operator) == ["Initial", "Request", "Request"]
    assert nobody_is_locked_out(operator)


@every_kind
async def test_and_so_does_one_that_is_due(operator: Operator) -> None:
    world, fleet = operator.world, fleet_of(operator)
    world.rotated_by(interval="6h")
    await rotated(operator)
    look = await operator.later(hours=7)
    assert await causes(operator) == ["Initial", "Request"]
    assert nobody_is_locked_out(operator)
    assert told(operator, look)[2].startswith("A rotation (Schedule) waits")

    fleet.restart("web", world.now)
    await operator.later(seconds=30)

    assert await causes(operator) == ["Initial", "Request", "Schedule"]
    assert nobody_is_locked_out(operator)


@every_kind
async def test_and_a_change_of_another_value(operator: Operator) -> None:
    world, fleet = operator.world, fleet_of(operator)
    await rotated(operator)
    world.change("host", "db.example")
    look = await operator.later(hours=1)
    assert await causes(operator) == ["Initial", "Request"]
    assert told(operator, look)[2].startswith("A rotation (Change) waits")
    assert nobody_is_locked_out(operator)

    fleet.restart("web", world.now)
    await operator.later(seconds=30)

    assert await causes(operator) == ["Initial", "Request", "Change"]
    assert nobody_is_locked_out(operator)


@every_kind
async def test_at_max_it_does_not_wait_any_more(operator: Operator) -> None:
    await rotated(operator, "one")
    await rotated(operator, "two")

    await operator.later(days=1)

    assert await causes(operator) == ["Initial", "Request", "Request"]


@every_kind
async def test_a_person_is_refused_and_may_insist(operator: Operator) -> None:
    await rotated(operator)
    wanted = Wanted(Cause.REQUEST, "jo", "by hand")
    resource, secret = operator.resource(), await operator.secret()

    with pytest.raises(RetireBlockedByConsumersError) as refused:
        await operator.rotations.begin(resource, secret, wanted)
    assert refused.value.message == (
        "version 1 of shop/db has to stay valid: Deployment/web still run with an older version;"
        " wait, or lock them out by: keyturn rotate db -n shop --force"
    )
    assert nobody_is_locked_out(operator)
    await operator.rotations.begin(resource, secret, wanted, force=True)
    await operator.settle()

    assert await causes(operator) == ["Initial", "Request", "Request"]
    assert not nobody_is_locked_out(operator)


@every_kind
async def test_going_back_to_the_previous_version_locks_nobody_out(operator: Operator) -> None:
    await rotated(operator)
    secret = await operator.secret()

    await operator.rotations.begin(
        operator.resource(), secret, Wanted(Cause.ROLLBACK, "jo", back_to=1)
    )
    look = await operator.settle()

    assert look.secret.stages.current == 3
    assert nobody_is_locked_out(operator)
    assert [act for act, _ in operator.world.target.done].count("retire") == 0


async def test_going_back_further_waits(operator: Operator) -> None:
    world, fleet = operator.world, fleet_of(operator)
    await rotated(operator, "one")
    fleet.restart("web", world.now)
    await operator.later(seconds=30)
    await rotated(operator, "two")
    secret = await operator.secret()

    with pytest.raises(RetireBlockedByConsumersError):
        await operator.rotations.begin(
            operator.resource(), secret, Wanted(Cause.ROLLBACK, "jo", back_to=1)
        )

    assert nobody_is_locked_out(operator)


async def test_it_holds_for_what_was_rotated_before_it_was_asked_for(vault: Vault) -> None:
    world = a_world(overlap=None)
    del world.rotation["overlap"]  # type: ignore[union-attr]
    operator = await started_with_pods(vault, world)
    await rotated(operator, "one")
    world.rotated_by(overlap=MOVED)
    await rotated(operator, "two")
    assert await causes(operator) == ["Initial", "Request"]
    assert nobody_is_locked_out(operator)

    await operator.later(days=1)

    assert await causes(operator) == ["Initial", "Request", "Request"]
    await operator.stop()
