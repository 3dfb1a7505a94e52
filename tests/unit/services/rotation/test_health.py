"""A rollout that fails is gone back from: the engine on a real store, and pods of the tests."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from fleet import Fleet, Login
from keyturn.bootstrap.vault import Vault
from keyturn.domain.errors import RaceError, TargetRefusedError
from keyturn.domain.rotation import Cause, Frozen, Outcome
from keyturn.domain.rotation_event import Channel, EventKind
from keyturn.services.consumers.gates import PAUSE
from keyturn.services.rotation.gating import frozen_by
from keyturn.services.rotation.look import Look
from keyturn.services.rotation.pending import Wanted
from keyturn.services.rotation.reporting import rotation_report
from rotation_office import NAME, Operator, World, failing, fleet_of, started_with_pods, world_of

ROLLBACK = {"action": "Restart", "onFailure": "Rollback"}
DEADLINE = 10
"""Minutes until a rollout is judged."""

KINDS = [("AlternatingUsers", False), ("SingleUser", True), ("SingleUser", False)]
every_kind = pytest.mark.parametrize(
    "operator", KINDS, indirect=True, ids=["two users", "coexist", "one user"]
)


def a_world(strategy: str = "AlternatingUsers", *, coexists: bool = False, **more: Any) -> World:
    world = world_of(strategy, coexists=coexists, **more)
    world.fleet, world.consumers = Fleet(), ROLLBACK
    return world


@pytest.fixture
async def operator(vault: Vault, request: pytest.FixtureRequest) -> AsyncIterator[Operator]:
    strategy, coexists = getattr(request, "param", KINDS[0])
    operator = await started_with_pods(vault, a_world(strategy, coexists=coexists))
    yield operator
    await operator.stop()


async def rotated(operator: Operator, token: str = "one") -> Look:  # noqa: S107 - a request
    operator.world.token = token
    look = await operator.settle()
    operator.world.now += timedelta(seconds=10)
    return look


async def failed(operator: Operator, token: str = "one") -> Look:  # noqa: S107 - a request
    """Rotate, restart the Deployment, whose new pod fails, and wait until that is judged."""
    await rotated(operator, token)
    fleet_of(operator).restart("web", operator.world.now, is_healthy=False)
    await operator.settle()
    return await operator.later(minutes=DEADLINE)


def told(operator: Operator, look: Look) -> tuple[str, str, str]:
    report = rotation_report(operator.resource(), look)
    assert report is not None
    assert report.condition is not None
    return report.condition


async def causes(operator: Operator) -> list[str]:
    return [each.cause.value for each in reversed(await operator.rotations_of())]


# What fails


@every_kind
async def test_a_rollout_that_fails_is_gone_back_from(operator: Operator) -> None:
    world = operator.world
    before = world.projected

    look = await failed(operator)

    assert await causes(operator) == ["Initial", "Request", "Health"]
    assert (look.secret.stages.current, look.secret.stages.previous) == (3, 2)
    assert world.projected == before
    assert before in world.target.accepted
    assert look.secret.current is not None
    assert look.secret.current.reason.value == "RolledBack"
    assert look.journal.rotations[0].requested_by == "Deployment/web"
    assert look.journal.frozen == Frozen(2, "Deployment/web")
    assert told(operator, look) == (
        "False",
        "RolledBack",
        "Deployment/web did not become healthy with version 2, which was rolled back; no rotation"
        " begins by itself. To go on: keyturn rotate db -n shop",
    )


@pytest.mark.parametrize("operator", KINDS[:2], indirect=True, ids=["two users", "coexist"])
async def test_going_back_locks_nobody_out_on_either_version(operator: Operator) -> None:
    """The pods that never moved hold what is current again; those that did, what is previous."""
    world, fleet = operator.world, fleet_of(operator)
    fleet.deploy("api", world.now)
    await rotated(operator)
    fleet.restart("api", world.now)
    fleet.restart("web", world.now, is_healthy=False)
    await operator.settle()

    await operator.later(minutes=DEADLINE)

    assert len(set(fleet.held.values())) == 2
    assert not fleet.locked_out(world.target.accepted)
    assert [act for act, _ in world.target.done].count("retire") == 0


async def test_with_two_users_nothing_is_changed_in_the_target(operator: Operator) -> None:
    await rotated(operator)
    done = len(operator.world.target.done)
    fleet_of(operator).restart("web", operator.world.now, is_healthy=False)
    await operator.settle()
    await operator.later(minutes=DEADLINE)

    assert {act for act, _ in operator.world.target.done[done:]} == {"accepts"}


async def test_what_a_deployment_says_itself_needs_no_deadline(operator: Operator) -> None:
    await rotated(operator)
    fleet = fleet_of(operator)
    fleet.restart("web", operator.world.now, is_healthy=False)
    await operator.settle()
    fleet.change("web", has_failed=True)

    look = await operator.later(seconds=5)

    assert look.journal.frozen is not None


async def test_without_a_target_the_values_go_back(vault: Vault) -> None:
    world = World(world_of().target, {"interval": "30d"}, given={"password": "seed"})
    world.fleet, world.consumers = Fleet(), ROLLBACK
    operator = await started_with_pods(vault, world)
    before = world.projected

    look = await failed(operator)

    assert look.secret.stages.current == 3
    assert world.projected == before != await operator.login(look.secret, 2)
    assert await causes(operator) == ["Request", "Health"]
    await operator.stop()


async def test_a_change_of_another_value_can_fail_as_well(operator: Operator) -> None:
    world = operator.world
    world.change("host", "db.example")
    await operator.settle()
    world.now += timedelta(seconds=10)
    world.change("host", "nowhere")
    await operator.settle()
    world.now += timedelta(seconds=10)
    fleet_of(operator).restart("web", world.now, is_healthy=False)
    await operator.settle()

    look = await operator.later(minutes=DEADLINE)

    assert await causes(operator) == ["Initial", "Change", "Change", "Health"]
    assert look.secret.stages.current == 4
    with await operator.vault.versions.open(look.secret, 4) as payload:
        assert bytes(payload["host"].reveal()) == b"db.example"


# What does not


@pytest.mark.parametrize("consumers", [None, {"action": "Restart"}, {"action": "None"}])
async def test_who_does_not_ask_for_it_is_not_rolled_back(
    vault: Vault, consumers: dict[str, Any] | None
) -> None:
    world = a_world()
    world.consumers = consumers
    operator = await started_with_pods(vault, world)

    await failed(operator)

    assert await causes(operator) == ["Initial", "Request"]
    is_watched = consumers is not None and consumers["action"] == "Restart"
    assert bool(fleet_of(operator).looks) is is_watched
    await operator.stop()


async def test_a_workload_that_bears_it_stays(operator: Operator) -> None:
    await rotated(operator)
    fleet_of(operator).restart("web", operator.world.now)
    await operator.settle()
    look = await operator.later(minutes=DEADLINE)
    assert look.journal.frozen is None

    fleet_of(operator).change("web", has_failed=True)
    await operator.later(minutes=1)

    assert await causes(operator) == ["Initial", "Request"]


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
async def test_a_pod_that_is_away_when_it_is_judged_is_not_the_versions_fault(
    vault: Vault, kind: str
) -> None:
    """A drain, a scale-up, a probe that fails once: it was well since its restart."""
    world = a_world()
    operator = await started_with_pods(vault, world)
    fleet = fleet_of(operator)
    fleet.deploy("db", world.now - timedelta(hours=1), kind=kind)
    await rotated(operator)
    fleet.restart("db", world.now)
    await operator.later(seconds=5)
    fleet.change("db", is_rolled_out=False)
    fleet.change_pod("db-2", ready=False)

    look = await operator.later(minutes=DEADLINE)

    assert look.journal.frozen is None
    assert await causes(operator) == ["Initial", "Request"]
    await operator.stop()


async def test_it_is_looked_often_until_all_got_well(operator: Operator) -> None:
    """Nothing else tells of that: the watch is one of pods, not of workloads."""
    world, fleet = operator.world, fleet_of(operator)
    await rotated(operator)
    fleet.restart("web", world.now)
    fleet.change("web", is_rolled_out=False)
    restarted_at = world.now
    await operator.settle()
    assert operator.calendar.due[NAME] == world.now + PAUSE

    fleet.change("web", is_rolled_out=True)
    await operator.later(seconds=30)

    assert operator.calendar.due[NAME] == restarted_at + timedelta(minutes=DEADLINE)


@pytest.mark.parametrize(("why", "rest"), [("it does not answer", 10.0), ("", 50.0)])
async def test_so_it_is_where_nothing_is_seen_and_less_often_where_that_is_heavy(
    operator: Operator, why: str, rest: float
) -> None:
    world, fleet = operator.world, fleet_of(operator)
    await rotated(operator)
    fleet.restart("web", world.now)
    fleet.change("web", is_rolled_out=False)
    fleet.why, fleet.rest = why, rest

    await operator.settle()

    assert operator.calendar.due[NAME] == world.now + max(PAUSE, timedelta(seconds=rest))


async def test_nor_is_what_somebody_else_deployed_meanwhile(operator: Operator) -> None:
    world, fleet = operator.world, fleet_of(operator)
    await rotated(operator)
    fleet.restart("web", world.now)
    await operator.settle()
    await operator.later(minutes=DEADLINE / 2)

    fleet.change("web", template="of another image", is_rolled_out=False)
    fleet.start("web-9", "web", world.now)
    fleet.change_pod("web-9", ready=False, is_failing=True)
    await operator.later(minutes=DEADLINE)
    fleet.change("web", has_failed=True)
    look = await operator.later(minutes=DEADLINE)

    assert look.journal.frozen is None
    assert [str(ref) for ref in look.unwell] == ["Deployment/web"]
    assert await causes(operator) == ["Initial", "Request"]


async def test_one_that_crashes_later_is_the_versions_fault(operator: Operator) -> None:
    """A pool of connections may last for some minutes."""
    world, fleet = operator.world, fleet_of(operator)
    await rotated(operator)
    fleet.restart("web", world.now)
    await operator.settle()
    await operator.later(minutes=DEADLINE / 2)
    fleet.change_pod("web-2", ready=False, is_failing=True, unready_since=world.now)

    look = await operator.later(minutes=DEADLINE / 2)

    assert look.journal.frozen is not None


async def test_nor_does_one_that_was_failing_before(operator: Operator) -> None:
    fleet_of(operator).change_pod("web-0", ready=False, is_failing=True)

    await failed(operator)
    fleet_of(operator).change("web", has_failed=True)
    await operator.later(hours=1)

    assert await causes(operator) == ["Initial", "Request"]


async def test_nor_one_that_nobody_saw_before_its_restart(operator: Operator) -> None:
    world, fleet = operator.world, fleet_of(operator)
    await rotated(operator)
    fleet.deploy("late", world.now)
    fleet.restart("late", world.now, is_healthy=False)
    await operator.settle()
    fleet.restart("web", world.now)

    await operator.later(minutes=DEADLINE)

    assert await causes(operator) == ["Initial", "Request"]


async def test_nor_one_that_was_not_restarted_for_it(operator: Operator) -> None:
    await rotated(operator)
    fleet_of(operator).change("web", has_failed=True, is_rolled_out=False)

    await operator.later(hours=1)

    assert await causes(operator) == ["Initial", "Request"]


async def test_a_deployment_that_only_takes_long_is_waited_for(operator: Operator) -> None:
    await rotated(operator)
    fleet_of(operator).restart("web", operator.world.now, is_healthy=False)
    fleet_of(operator).change_pod("web-2", is_failing=False)
    await operator.settle()

    look = await operator.later(hours=1)

    assert look.journal.frozen is None
    fleet_of(operator).change_pod("web-2", is_failing=True)
    assert (await operator.later(minutes=1)).journal.frozen is not None


# Standing still


async def test_the_schedule_stands_still_until_a_person_asks(operator: Operator) -> None:
    world = operator.world
    world.rotated_by(interval="1d")
    look = await failed(operator)
    assert look.next_time is None
    await operator.later(days=9)
    assert await causes(operator) == ["Initial", "Request", "Health"]

    look = await rotated(operator, "two")

    assert await causes(operator) == ["Initial", "Request", "Health", "Request"]
    assert look.journal.frozen is None
    assert look.next_time is not None
    assert told(operator, await operator.settle())[1] == "SecretRotated"


async def test_a_change_is_made_and_it_stands_still_all_the_same(operator: Operator) -> None:
    await failed(operator)
    operator.world.change("host", "db.example")
    look = await operator.settle()

    assert await causes(operator) == ["Initial", "Request", "Health", "Change"]
    assert look.journal.frozen == Frozen(2, "Deployment/web")
    assert told(operator, look)[1] == "RolledBack"


async def test_a_request_of_before_does_not_go_on(operator: Operator) -> None:
    """Whoever asked while it failed did not know that it would stand still."""
    await rotated(operator)
    fleet_of(operator).restart("web", operator.world.now, is_healthy=False)
    await operator.settle()
    fleet_of(operator).change("web", has_failed=True)
    operator.world.token = "two"

    look = await operator.later(minutes=DEADLINE)

    assert await causes(operator) == ["Initial", "Request", "Health"]
    assert look.journal.frozen is not None


async def test_what_was_gone_back_to_is_not_gone_back_from(operator: Operator) -> None:
    world, fleet = operator.world, fleet_of(operator)
    await failed(operator)
    # It got well, and falls ill again by the restart.
    fleet.end("web-2")
    fleet.change("web", is_rolled_out=True)
    await operator.later(seconds=10)
    fleet.restart("web", world.now, is_healthy=False)
    await operator.settle()
    fleet.change("web", has_failed=True)

    await operator.later(hours=1)

    assert await causes(operator) == ["Initial", "Request", "Health"]


async def test_nor_is_what_a_person_went_back_to(vault: Vault) -> None:
    world = World(world_of().target, {"interval": "30d"}, given={"password": "seed"})
    world.fleet, world.consumers = Fleet(), ROLLBACK
    operator = await started_with_pods(vault, world)
    await rotated(operator)
    secret = await operator.secret()
    await operator.vault.store.promote(secret.id, 1, expected=2)
    await operator.later(seconds=10)
    fleet_of(operator).restart("web", world.now, is_healthy=False)
    await operator.settle()
    fleet_of(operator).change("web", has_failed=True)

    look = await operator.later(hours=1)

    assert await causes(operator) == ["Request"]
    assert [str(ref) for ref in look.unwell] == ["Deployment/web"]
    await operator.stop()


async def test_a_version_without_one_of_the_keys_cannot_be_gone_back_to(
    operator: Operator,
) -> None:
    operator.world.change("host", "db.example")
    await operator.settle()
    operator.world.now += timedelta(seconds=10)
    fleet_of(operator).restart("web", operator.world.now, is_healthy=False)
    await operator.settle()

    look = await operator.later(minutes=DEADLINE)

    assert look.secret.stages.current == 2
    assert told(operator, look) == (
        "False",
        "CreatePendingFailed",
        "createPending failed with InvalidSpec: version 1 of shop/db has no host; only whole"
        " versions can be gone back to",
    )
    # Then a person may go forward.
    look = await rotated(operator)
    assert await causes(operator) == ["Initial", "Change", "Request"]
    assert told(operator, look)[1] == "SecretRotated"


async def test_what_failed_has_to_be_current_still(operator: Operator) -> None:
    await rotated(operator)
    wanted = Wanted(Cause.HEALTH, "Deployment/web", back_to=1)
    assert frozen_by(wanted, await operator.secret()) == Frozen(2, "Deployment/web")
    await rotated(operator, "two")

    with pytest.raises(RaceError):
        frozen_by(wanted, await operator.secret())


async def test_the_next_version_may_fail_again_and_is_gone_back_from(operator: Operator) -> None:
    world, fleet = operator.world, fleet_of(operator)
    before = world.projected
    await failed(operator)
    world.now += timedelta(seconds=10)
    fleet.restart("web", world.now)
    await operator.later(minutes=DEADLINE)

    look = await failed(operator, "two")

    assert await causes(operator) == ["Initial", "Request", "Health", "Request", "Health"]
    assert world.projected == before
    assert look.journal.frozen == Frozen(4, "Deployment/web")


async def test_where_the_target_refuses_it_is_given_up_once_and_stands_still(
    vault: Vault,
) -> None:
    world = a_world("SingleUser", maxFailures=2, interval="1d")
    operator = await started_with_pods(vault, world)
    await rotated(operator)
    fleet_of(operator).restart("web", world.now, is_healthy=False)
    await operator.settle()
    with failing(world.target, "set", TargetRefusedError("of the history of passwords")):
        for _ in range(5):
            await operator.later(minutes=DEADLINE)
    look = await operator.later(days=3)

    assert await causes(operator) == ["Initial", "Request", "Health"]
    assert look.journal.rotations[0].outcome is Outcome.ABANDONED
    assert look.secret.stages.current == 2
    status, reason, message = told(operator, look)
    assert (status, reason) == ("False", "RolledBack")
    assert message.startswith(
        "Deployment/web did not become healthy with version 2, and to go back was given up: it"
        " failed 2 times"
    )
    await operator.stop()


async def test_an_operator_that_was_killed_goes_on(vault: Vault, operator: Operator) -> None:
    world, fleet = operator.world, fleet_of(operator)
    await rotated(operator)
    fleet.restart("web", world.now, is_healthy=False)
    await operator.settle()
    await operator.stop()

    again = await Operator(vault, world).start()
    look = await again.later(minutes=DEADLINE)
    assert look.journal.frozen is not None
    await again.stop()
    third = await Operator(vault, world).start()
    world.rotated_by(interval="1d")
    await third.later(days=3)

    assert await causes(third) == ["Initial", "Request", "Health"]
    await third.stop()


async def test_it_is_told_beside_the_success(operator: Operator) -> None:
    await failed(operator)

    waiting = await operator.vault.store.rotations.waiting(Channel.SINK, 100)

    assert [event.kind for event in waiting][-3:] == [
        EventKind.STARTED,
        EventKind.SUCCEEDED,
        EventKind.ROLLED_BACK,
    ]
    assert {event.requested_by for event in waiting[-3:]} == {"Deployment/web"}


async def test_until_it_is_judged_the_previous_credential_stays(vault: Vault) -> None:
    """Who runs has moved, and may be failing: then there is something to go back to."""
    world = a_world(overlap={"until": "ConsumersMoved", "max": "1d"})
    operator = await started_with_pods(vault, world)
    before = world.projected
    await rotated(operator)
    fleet_of(operator).restart("web", world.now)
    await operator.settle()
    look = await operator.later(minutes=DEADLINE - 1)
    assert look.secret.stages.previous == 1
    assert "watched after their restart" in told(operator, look)[2]
    assert isinstance(before, Login)
    assert before in world.target.accepted
    # Somebody who is never restarted is waited for after that too.
    fleet_of(operator).start("by-hand", "web", world.now - timedelta(hours=1))
    assert (await operator.later(minutes=1)).secret.stages.previous == 1
    fleet_of(operator).end("by-hand")

    look = await operator.later(minutes=1)

    assert look.secret.stages.previous is None
    assert before not in world.target.accepted
    await operator.stop()
