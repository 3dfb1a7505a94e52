"""When a rotation begins, goes on, waits and ends."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from fleet import Login
from keyturn.bootstrap.vault import Vault
from keyturn.domain.errors import (
    ConflictError,
    InvalidSpecError,
    RotationPendingError,
    SourceNotFoundError,
    StorageFullError,
    TargetRefusedError,
    TargetUnavailableError,
    UnavailableError,
)
from keyturn.domain.rotation import Cause, Outcome, Step
from keyturn.services.rotation.pausing import LAST_RETRY
from keyturn.services.rotation.pending import Wanted
from keyturn.services.rotation.turn import Turn
from keyturn.store.journal import Telling
from rotation_office import (
    BEGINNING,
    DEADLINE,
    NAME,
    FakeSession,
    KilledError,
    Operator,
    World,
    failing,
    world_of,
    written,
)

DOWN = TargetUnavailableError("it does not answer")
NO = TargetRefusedError("it refused")


async def causes(operator: Operator) -> list[str]:
    """List the causes of all rotations, the oldest first."""
    return [each.cause.value for each in reversed(await operator.rotations_of())]


async def request(operator: Operator, token: str) -> Any:
    operator.world.token = token
    return await operator.settle()


# The beginning


async def test_what_exists_is_tested_and_becomes_current_unchanged(operator: Operator) -> None:
    look = await operator.settle()

    assert look.error is None
    assert operator.world.projected == Login("app", "seed")
    assert [act for act, _ in operator.world.target.done] == ["accepts"]
    assert look.secret.current is not None
    assert look.secret.current.reason.value == "Imported"


@pytest.mark.parametrize("strategy", ["SingleUser", "AlternatingUsers"])
async def test_a_token_that_the_resource_is_made_with_asks_for_no_second_rotation(
    vault: Vault, strategy: str
) -> None:
    world = world_of(strategy)
    world.token = "one"
    operator = await Operator(vault, world).start()

    await operator.settle()
    assert await causes(operator) == ["Initial"]
    await request(operator, "two")

    assert await causes(operator) == ["Initial", "Request"]
    await operator.stop()


async def test_nor_without_a_target(vault: Vault) -> None:
    world = World(world_of().target, {"interval": "30d"}, token="one")
    operator = await Operator(vault, world).start()

    look = await operator.settle()

    assert await causes(operator) == []
    assert look.secret.stages.current == 1
    look = await request(operator, "two")
    assert look.secret.stages.current == 2
    await operator.stop()


@pytest.mark.parametrize("wrong", ["username", "password"])
async def test_a_first_credential_that_is_refused_can_be_mended(
    operator: Operator, wrong: str
) -> None:
    world = operator.world
    world.given = {"password": "seed", wrong: "wrong"}
    world.change("username", world.given.get("username", "app"))
    look = await operator.settle()
    assert isinstance(look.error, RotationPendingError)
    assert look.journal.open is not None
    assert look.journal.open.failure is not None
    assert look.journal.open.failure.code == "CurrentRefused"

    world.given = {"password": "seed"}
    world.change("username", "app")
    look = await operator.settle()

    assert look.error is None
    assert world.projected == Login("app", "seed")
    assert [each.outcome for each in look.journal.rotations] == [
        Outcome.SUCCEEDED,
        Outcome.ABANDONED,
    ]


async def test_a_first_credential_that_may_have_been_set_is_not_begun_anew(
    operator: Operator,
) -> None:
    world = operator.world
    world.allowed = ("app",)
    world.given = {}
    with failing(world.target, "set", DOWN):
        await operator.settle()
        world.change("username", "another")
        look = await operator.settle()

    assert len(look.journal.rotations) == 1
    assert look.journal.open is not None
    assert look.journal.open.number == 1


# When


async def test_what_was_missed_is_done_once(vault: Vault) -> None:
    operator = await Operator(vault, world_of(interval="1d")).start()
    await operator.settle()
    assert operator.calendar.due[NAME] == BEGINNING + timedelta(days=1)

    await operator.later(days=9.5)

    assert await causes(operator) == ["Initial", "Schedule"]
    assert operator.calendar.due[NAME] == operator.world.now + timedelta(days=1)
    await operator.stop()


async def test_suspend_stops_the_clock_and_serves_requests(vault: Vault) -> None:
    operator = await Operator(vault, world_of(interval="1d", suspend=True)).start()
    await operator.settle()

    await operator.later(days=2)
    assert await causes(operator) == ["Initial"]
    await request(operator, "one")

    assert await causes(operator) == ["Initial", "Request"]
    await operator.stop()


async def test_a_change_of_another_value_does_not_put_off_the_rotation(vault: Vault) -> None:
    world = world_of(interval="2d")
    operator = await Operator(vault, world).start()
    await operator.settle()
    world.now += timedelta(days=1)
    world.change("host", "db.example")
    look = await operator.settle()

    assert await causes(operator) == ["Initial", "Change"]
    assert world.projected == Login("app", "seed")
    assert look.next_time == BEGINNING + timedelta(days=2)
    await operator.stop()


async def test_a_token_is_handled_once_also_if_a_person_rotates_with_another(
    operator: Operator,
) -> None:
    await operator.settle()
    await request(operator, "one")
    wanted = Wanted(Cause.REQUEST, "jo", "of the command line")
    beginning = operator.rotations.begin(operator.resource(), await operator.secret(), wanted)
    await beginning
    await operator.settle()

    assert await causes(operator) == ["Initial", "Request", "Request"]


async def test_a_token_whose_rotation_was_cancelled_does_not_begin_again(
    operator: Operator,
) -> None:
    await operator.settle()
    with failing(operator.world.target, "set", NO):
        await request(operator, "one")
        await operator.rotations.cancel(await operator.secret(), "jo")
        look = await operator.settle()
    await operator.later(hours=1)

    assert look.journal.open is None
    assert await causes(operator) == ["Initial", "Request"]


# What waits for room


async def waiting(vault: Vault, world: World) -> Operator:
    """Start an operator whose pool takes nothing yet, with a rotation that is due in it."""
    operator = await Operator(vault, world).start()
    await operator.settle()
    await operator.stop()
    world.now += timedelta(days=1)
    idle = Operator(vault, world)
    await idle.leadership.take()
    await idle.reconcile()
    assert len(idle.pool) == 1
    return idle


async def test_what_waits_is_taken_back_where_it_is_not_wanted_any_more(vault: Vault) -> None:
    idle = await waiting(vault, world_of(interval="1d"))
    idle.world.rotated_by(suspend=True)
    await idle.reconcile()

    assert not idle.pool


async def test_what_waits_is_taken_back_where_the_resource_cannot_be_acted_on(
    vault: Vault,
) -> None:
    idle = await waiting(vault, world_of(interval="1d"))
    idle.world.rotated_by(rotatorRef={"kind": "Rotator", "name": "another"})
    idle.world.settings_error = SourceNotFoundError("there is none of this name")
    look = await idle.reconcile()

    assert look.trouble is not None
    assert not idle.pool


async def test_what_had_no_room_while_its_window_was_open_waits_for_the_next(vault: Vault) -> None:
    idle = await waiting(vault, world_of(schedule="0 12 * * *", window="2h"))
    idle.world.now += timedelta(hours=3)
    working = asyncio.create_task(idle.pool.run())
    async with asyncio.timeout(DEADLINE):
        await idle.changed.wait()
    working.cancel()

    assert await causes(idle) == ["Initial"]
    await idle.reconcile()
    assert not idle.pool
    assert idle.calendar.due[NAME] == BEGINNING + timedelta(days=2)


# What the target issued


async def test_what_was_issued_is_kept_until_the_store_takes_it(operator: Operator) -> None:
    world = operator.world
    world.target.issues = True
    await operator.settle()
    asked = 0

    async def acts(session: FakeSession, act: str, login: Login | None) -> None:
        nonlocal asked
        asked += act == "issue"
        if asked > 1:
            raise TargetRefusedError("what it is issued from is spent")

    async def full() -> None:
        raise StorageFullError("no space")

    world.target.acts, world.before_begin = acts, full
    look = await request(operator, "one")
    assert look.trouble is not None
    assert look.trouble.code == "StorageFull"
    await operator.later(minutes=5)

    world.before_begin = written
    await operator.later(minutes=5)

    assert asked == 1
    assert (await operator.stored())["Current"] == Login("app", "issued")


async def test_what_was_issued_is_not_used_for_another_version(operator: Operator) -> None:
    world = operator.world
    world.target.issues = True
    await operator.settle()
    asked = noting_ids(operator, "issue", lost=0)

    async def full() -> None:
        raise StorageFullError("no space")

    world.before_begin = full
    await request(operator, "one")
    world.before_begin = written
    world.change("host", "db2")
    world.token = ""
    await operator.settle()
    await request(operator, "two")

    assert len(set(asked)) == 2
    assert await causes(operator) == ["Initial", "Change", "Request"]


# What the target knows a rotation by


def noting_ids(operator: Operator, noted: str, *, lost: int) -> list[UUID]:
    """Note the rotation id of each such act, and lose the replies of the first ones."""
    ids: list[UUID] = []

    async def acts(session: FakeSession, act: str, login: Login | None) -> None:
        if act == noted:
            ids.append(session.order.rotation_id)
            if len(ids) <= lost:
                raise DOWN

    operator.world.target.acts = acts
    return ids


async def test_what_is_issued_is_asked_for_by_the_id_of_its_rotation(vault: Vault) -> None:
    world = world_of()
    world.target.issues = True
    operator = await Operator(vault, world).start()
    await operator.settle()
    ids = noting_ids(operator, "issue", lost=2)
    await request(operator, "one")
    await operator.stop()

    after_restart = await Operator(vault, world).start()
    await after_restart.later(minutes=5)
    await after_restart.later(minutes=5)

    (newest, *_) = await after_restart.rotations_of()
    assert ids == [newest.id] * 3
    await after_restart.stop()


async def test_what_is_issued_after_a_rotation_was_given_up_has_an_id_of_its_own(
    operator: Operator,
) -> None:
    operator.world.target.issues = True
    await operator.settle()
    ids = noting_ids(operator, "issue", lost=0)
    with failing(operator.world.target, "set", DOWN):
        await request(operator, "one")
        await operator.rotations.cancel(await operator.secret(), "jo")
    await operator.later(minutes=5)
    await request(operator, "two")

    assert len(set(ids)) == len(ids) == 2


async def test_the_tries_of_a_retirement_have_one_id(vault: Vault) -> None:
    world = world_of("AlternatingUsers", overlap={"max": "1h"})
    operator = await Operator(vault, world).start()
    await operator.settle()
    await request(operator, "one")
    ids = noting_ids(operator, "retire", lost=2)
    await operator.later(hours=2)
    await operator.stop()

    after_restart = await Operator(vault, world).start()
    await after_restart.later(minutes=5)
    await after_restart.later(minutes=5)
    assert len(ids) == 3
    assert len(set(ids)) == 1

    await request(after_restart, "two")
    await after_restart.later(hours=2)
    assert len(set(ids)) == 2
    await after_restart.stop()


# How long an act may take


async def test_an_act_of_a_rotator_that_says_so_may_take_longer(
    operator: Operator, passes: Callable[[float], None]
) -> None:
    await operator.settle()
    target = operator.world.target
    target.call_seconds = 5.0

    async def acts(session: FakeSession, act: str, login: Login | None) -> None:
        if act == "set":
            passes(15)
            # What is due by now comes first.
            await asyncio.sleep(0.001)

    target.acts = acts
    await request(operator, "one")

    (newest, *_) = await operator.rotations_of()
    assert (newest.outcome, newest.failures) == (Outcome.SUCCEEDED, 0)


# Back-off


async def test_a_failure_is_tried_again_when_its_pause_is_over(operator: Operator) -> None:
    await operator.settle()
    with failing(operator.world.target, "set", DOWN):
        look = await request(operator, "one")
        first = look.journal.open
        assert first is not None
        assert operator.calendar.due[NAME] == first.retry_at
        look = await operator.settle()
        assert look.journal.open == first
        look = await operator.later(seconds=3)

    assert look.journal.open is not None
    assert look.journal.open.failures == 2
    look = await operator.later(seconds=6)
    assert look.secret.stages.current == 2


async def test_news_end_a_pause_and_so_does_a_new_token(operator: Operator) -> None:
    await operator.settle()
    with failing(operator.world.target, "set", DOWN):
        await request(operator, "one")
        operator.rotations.news(NAME)
        look = await operator.settle()
        assert look.journal.open is not None
        assert look.journal.open.failures == 2
        look = await request(operator, "two")

    assert look.journal.open is not None
    assert look.journal.open.failures == 3


async def test_news_that_come_while_it_is_at_work_count_afterwards(operator: Operator) -> None:
    await operator.settle()
    target, news_came = operator.world.target, False

    async def acts(session: FakeSession, act: str, login: Login | None) -> None:
        nonlocal news_came
        if act == "set" and not news_came:
            news_came = True
            operator.rotations.news(NAME)
            await operator.reconcile()
            raise DOWN

    target.acts = acts
    look = await request(operator, "one")

    assert look.secret.stages.current == 2


async def test_trouble_before_a_rotation_waits_and_ends_with_what_made_it(
    operator: Operator,
) -> None:
    world = operator.world
    await operator.settle()
    # The look still knows the rotator; the turn reads it anew.
    world.settings_error = SourceNotFoundError("the admin credential is gone")
    await operator.rotations.held(operator.resource())
    look = await request(operator, "one")
    assert look.trouble is not None
    assert look.trouble.code == "SourceNotFound"
    assert look.error is None

    world.token = ""
    world.settings_error = None
    look = await operator.later(seconds=LAST_RETRY)

    assert look.trouble is None
    assert await causes(operator) == ["Initial"]


async def test_what_nobody_foresaw_is_not_tried_again_at_once(operator: Operator) -> None:
    await operator.settle()
    operator.performing._pending = None  # type: ignore[assignment]
    looks = operator.looks

    look = await request(operator, "one")

    assert operator.looks - looks < 5
    assert look.trouble is not None
    assert look.trouble.code == "Unexpected"
    assert operator.calendar.due[NAME] > operator.world.now


async def test_many_looks_at_a_rotation_that_begins_begin_one(operator: Operator) -> None:
    await operator.settle()
    target, is_first = operator.world.target, True

    async def acts(session: FakeSession, act: str, login: Login | None) -> None:
        nonlocal is_first
        if act == "lock" and is_first:
            is_first = False
            for _ in range(3):
                await operator.reconcile()

    target.acts = acts
    await request(operator, "one")

    assert await causes(operator) == ["Initial", "Request"]
    assert target.done.count(("set", operator.world.projected)) == 1


# People


async def test_a_rotation_that_a_person_begins_is_not_lost_to_a_look(
    vault: Vault, operator: Operator
) -> None:
    await operator.settle()
    await operator.stop()
    idle = Operator(vault, operator.world)
    await idle.leadership.take()
    await idle.settle(is_still=lambda: True)
    wanted = Wanted(Cause.REQUEST, "jo")
    asked = asyncio.create_task(idle.rotations.begin(idle.resource(), await idle.secret(), wanted))
    while not idle.pool:  # noqa: ASYNC110 - the pool tells nobody
        await asyncio.sleep(0)

    idle.world.token = "one"
    await idle.reconcile()
    idle.working = asyncio.create_task(idle.pool.run())

    async with asyncio.timeout(10):
        assert (await asked).requested_by == "jo"
    await idle.stop()


async def test_a_person_hears_of_what_nobody_foresaw(operator: Operator) -> None:
    await operator.settle()
    operator.performing._pending = None  # type: ignore[assignment]

    async with asyncio.timeout(10):
        with pytest.raises(AttributeError):
            await operator.rotations.begin(
                operator.resource(), await operator.secret(), Wanted(Cause.REQUEST, "jo")
            )


async def test_nobody_rotates_what_was_never_set(operator: Operator) -> None:
    with failing(operator.world.target, "lock", DOWN):
        await operator.settle()

    secret = await operator.secret()
    with pytest.raises(ConflictError):
        await operator.rotations.begin(operator.resource(), secret, Wanted(Cause.REQUEST, "jo"))
    with pytest.raises(ConflictError):
        await operator.rotations.cancel(secret, "jo")


async def test_a_cancelled_rotation_is_not_promoted_by_the_run_that_is_under_way(
    operator: Operator,
) -> None:
    await operator.settle()
    target, current = operator.world.target, operator.world.projected
    assert current is not None

    async def acts(session: FakeSession, act: str, login: Login | None) -> None:
        if act == "verify" and session.order.pending is not None and not cancelled:
            cancelled.append(await operator.rotations.cancel(await operator.secret(), "jo"))

    cancelled: list[object] = []
    target.acts = acts
    await request(operator, "one")
    look = await operator.later(seconds=30)

    assert look.journal.open is None
    assert look.journal.rotations[0].outcome is Outcome.ABANDONED
    assert look.secret.stages.current == 1
    assert target.accepted == {current}


async def test_what_was_promoted_is_not_said_to_be_cancelled(operator: Operator) -> None:
    await operator.settle()
    operator.world.token = "one"
    await operator.one_turn()

    with pytest.raises(ConflictError):
        await operator.rotations.cancel(await operator.secret(), "jo")


async def test_giving_up_brings_the_current_credential_back(operator: Operator) -> None:
    operator.world.rotated_by(maxFailures=1)
    await operator.settle()
    current, target = operator.world.projected, operator.world.target

    async def acts(session: FakeSession, act: str, login: Login | None) -> None:
        # It was done, but nobody hears of it; and what was set is not let in.
        if act == "set" and login != current and login is not None:
            target.do("set", login)
            raise DOWN
        if act == "accepts" and login != current:
            raise DOWN

    target.acts = acts
    await request(operator, "one")

    async def healed(session: FakeSession, act: str, login: Login | None) -> None:
        """Do it all."""

    target.acts = healed
    look = await operator.later(minutes=1)

    assert look.journal.open is None
    assert look.journal.rotations[0].outcome is Outcome.ABANDONED
    assert target.accepted == {current}
    assert look.secret.stages.current == 1


# Changes of the resource in between


async def test_a_rollback_that_the_target_refuses_is_over_and_keeps_nobody_waiting(
    operator: Operator,
) -> None:
    await operator.settle()
    await request(operator, "one")
    before, secret = await operator.stored(), await operator.secret()
    wanted = Wanted(Cause.ROLLBACK, "jo", back_to=1)
    with failing(operator.world.target, "set", NO):
        await operator.rotations.begin(operator.resource(), secret, wanted)
        look = await operator.settle()

    (newest, *_) = await operator.rotations_of()
    assert newest.outcome is Outcome.ABANDONED
    assert newest.give_up == "the target does not take it: it refused (TargetRefused)"
    assert await operator.stored() == before
    assert operator.world.target.accepted == {before["Current"]}
    look = await request(operator, "two")
    assert look.secret.stages.current == 4


@pytest.mark.parametrize("is_refused", [True, False], ids=["refused", "done"])
async def test_going_back_does_not_put_off_the_next_credential(
    operator: Operator, *, is_refused: bool
) -> None:
    operator.world.rotated_by(interval="30d")
    await operator.settle()
    look = await request(operator, "one")
    due = look.next_time
    await operator.later(days=20)

    wanted = Wanted(Cause.ROLLBACK, "jo", back_to=1)
    with failing(operator.world.target, "set", NO) if is_refused else nullcontext():
        await operator.rotations.begin(operator.resource(), await operator.secret(), wanted)
        look = await operator.settle()

    assert look.journal.open is None
    assert look.next_time == due


async def test_one_that_was_in_doubt_before_it_was_refused_is_undone(operator: Operator) -> None:
    """A statement that comes late in a target without a lock must not stay."""
    target = operator.world.target
    await operator.settle()
    await request(operator, "one")
    current, older = (await operator.stored())["Current"], (await operator.stored())["Previous"]
    wanted = Wanted(Cause.ROLLBACK, "jo", back_to=1)
    with failing(target, "set", DOWN):
        await operator.rotations.begin(operator.resource(), await operator.secret(), wanted)
        await operator.settle()

    async def late(session: FakeSession, act: str, login: Login | None) -> None:
        if act == "set" and login == older:
            target.do("set", older)
            raise NO

    target.acts = late
    look = await operator.later(minutes=5)

    assert look.journal.open is None
    assert target.accepted == {(await operator.stored())["Current"]} == {current}


async def test_one_that_may_have_been_set_is_tried_again(operator: Operator) -> None:
    await operator.settle()
    await request(operator, "one")
    wanted = Wanted(Cause.ROLLBACK, "jo", back_to=1)
    with failing(operator.world.target, "set", DOWN):
        await operator.rotations.begin(operator.resource(), await operator.secret(), wanted)
        look = await operator.settle()

    assert look.journal.open is not None
    look = await operator.later(minutes=5)
    assert look.secret.stages.current == 3


async def test_a_change_that_was_given_up_is_done_by_the_next_rotation(
    operator: Operator,
) -> None:
    world = operator.world
    world.rotated_by(maxFailures=1)
    await operator.settle()
    with failing(world.target, "accepts", DOWN):
        world.change("host", "db.example")
        await operator.settle()
    look = await operator.later(minutes=1)
    assert look.journal.rotations[0].outcome is Outcome.ABANDONED

    # By itself it is not tried for ever.
    look = await operator.later(days=1)
    assert await causes(operator) == ["Initial", "Change"]
    look = await request(operator, "one")

    assert look.secret.current is not None
    number = look.secret.current.number
    with await operator.vault.versions.open(look.secret, number) as payload:
        assert bytes(payload["host"].reveal()) == b"db.example"


async def stopped_at_set(operator: Operator) -> None:
    await operator.settle()
    with failing(operator.world.target, "set", DOWN):
        await request(operator, "one")


async def test_another_rotator_does_not_go_on_with_a_rotation_of_the_first(
    operator: Operator,
) -> None:
    await stopped_at_set(operator)
    acts = len(operator.world.target.done)

    operator.world.rotated_by(rotatorRef={"kind": "Rotator", "name": "another"})
    look = await operator.settle()

    assert look.trouble is not None
    assert look.trouble.step is Step.SET_PENDING
    assert "put spec.rotation back" in look.trouble.message
    assert len(operator.world.target.done) == acts
    operator.world.rotated_by(rotatorRef={"kind": "Rotator", "name": "orders"})
    look = await operator.settle()
    assert look.secret.stages.current == 2


async def test_a_rotation_in_a_target_does_not_become_one_without(operator: Operator) -> None:
    await stopped_at_set(operator)

    operator.world.rotated_by(rotatorRef=None, strategy=None)
    look = await operator.settle()

    assert look.secret.stages.current == 1
    assert look.trouble is not None


@pytest.mark.parametrize("begun", ["SingleUser", "AlternatingUsers"])
async def test_another_strategy_is_that_of_the_next_rotation(vault: Vault, begun: str) -> None:
    operator = await Operator(vault, world_of(begun)).start()
    await stopped_at_set(operator)
    orders = []

    async def acts(session: FakeSession, act: str, login: Login | None) -> None:
        orders.append(session.order.strategy.value)

    operator.world.target.acts = acts
    other = {"SingleUser": "AlternatingUsers", "AlternatingUsers": "SingleUser"}[begun]
    operator.world.rotated_by(strategy=other)
    look = await operator.settle()

    assert look.secret.stages.current == 2
    assert set(orders) == {begun}
    await operator.stop()


async def test_without_a_rotation_in_the_resource_the_open_one_is_told_of(
    operator: Operator,
) -> None:
    await stopped_at_set(operator)
    kept = operator.world.rotation

    operator.world.rotation = None
    look = await operator.settle()

    assert look.trouble is not None
    assert "put spec.rotation back" in look.trouble.message
    assert look.secret.stages.current == 1
    operator.world.rotation = kept
    look = await operator.settle()
    assert look.secret.stages.current == 2


async def test_and_can_be_cancelled_without_its_target(operator: Operator) -> None:
    await stopped_at_set(operator)
    operator.world.rotation = None
    await operator.settle()

    await operator.rotations.cancel(await operator.secret(), "jo")
    look = await operator.settle()

    assert look.journal.open is None
    assert look.secret.stages.pending is None
    assert look.secret.stages.current == 1


async def test_whoever_waits_for_its_end_hears_once_that_it_is_not_ended(
    operator: Operator,
) -> None:
    """A command waits until the rotation is over, or one more try has failed."""
    await stopped_at_set(operator)
    cancelled = await operator.rotations.cancel(await operator.secret(), "jo")
    operator.world.rotation = None

    for _ in range(2):
        look = await operator.settle()
        assert look.journal.open is not None
        assert look.journal.open.failures == cancelled.failures + 1
        assert look.journal.open.failure == look.trouble


@pytest.mark.parametrize("by", ["itself", "jo"])
async def test_one_that_was_given_up_before_is_not_ended_without_its_target(
    vault: Vault, by: str
) -> None:
    """The target may take the pending credential alone: nobody was told to see to that."""
    operator = await Operator(vault, world_of(maxFailures=1 if by == "itself" else 9)).start()
    await operator.settle()
    current, target = operator.world.projected, operator.world.target
    kept, healthy = operator.world.rotation, target.acts

    async def acts(session: FakeSession, act: str, login: Login | None) -> None:
        if act == "set" and login is not None:
            target.do("set", login)
        if current not in target.accepted:
            raise DOWN

    target.acts = acts
    await request(operator, "one")
    if by == "jo":
        await operator.rotations.cancel(await operator.secret(), by)
        await operator.settle()

    operator.world.rotation = None
    look = await operator.settle()

    assert look.journal.open is not None
    assert look.trouble is not None
    assert "put spec.rotation back" in look.trouble.message
    operator.world.rotation, target.acts = kept, healthy
    look = await operator.settle()
    assert look.journal.rotations[0].outcome is Outcome.ABANDONED
    assert target.accepted == {current}
    await operator.stop()


async def test_a_first_version_needs_no_target_that_is_not_named_any_more(
    operator: Operator,
) -> None:
    with failing(operator.world.target, "lock", DOWN):
        await operator.settle()

    operator.world.rotation = None
    look = await operator.settle()

    assert look.error is None
    assert look.secret.stages.current == 1
    assert look.journal.open is None


async def test_what_was_promoted_is_finished_without_a_rotation_in_the_resource(
    vault: Vault, operator: Operator
) -> None:
    await operator.settle()
    operator.world.token = "one"
    await operator.one_turn()
    await operator.stop()

    operator.world.rotation = None
    # A new process knows of it by the journal alone.
    again = await Operator(vault, operator.world).start()
    await again.settle()

    assert [each.outcome for each in await again.rotations_of()] == [Outcome.SUCCEEDED] * 2
    await again.stop()


# An admin credential is not for everybody


async def test_giving_up_does_not_set_the_password_of_a_user_that_was_not_proved(
    operator: Operator,
) -> None:
    """Else whoever names another user takes it over by letting a rotation be given up."""
    world = operator.world
    world.rotated_by(maxFailures=1)
    world.target.accepted |= {Login("root", "secret")}
    await operator.settle()
    world.change("other", "root")
    await operator.settle()
    world.rotated_by(keys={"username": "other"})
    await request(operator, "one")
    for _ in range(5):
        await operator.later(minutes=30)

    assert Login("root", "secret") in world.target.accepted
    assert {login.username for act, login in world.target.done if act == "set" and login} <= {"app"}


async def test_nor_is_it_retired(vault: Vault) -> None:
    world = world_of(overlap={"max": "1h"})
    world.change("other", "root")
    world.target.accepted |= {Login("root", "secret")}
    operator = await Operator(vault, world).start()
    await operator.settle()
    world.given = {}
    await request(operator, "one")
    world.change("other", "app")
    await operator.settle()
    world.rotated_by(keys={"username": "other"})

    await operator.later(hours=2)

    assert not [
        login
        for act, login in world.target.done
        if act == "retire" and login and login.username == "root"
    ]
    await operator.stop()


# Overlap


async def test_the_previous_credential_is_retired_when_its_overlap_is_over(vault: Vault) -> None:
    operator = await Operator(vault, world_of(coexists=True, overlap={"max": "1h"})).start()
    await operator.settle()
    look = await request(operator, "one")
    assert len(operator.world.target.accepted) == 2
    assert look.secret.stages.previous == 1
    assert operator.calendar.due[NAME] == BEGINNING + timedelta(hours=1)

    look = await operator.later(hours=1)

    assert operator.world.target.accepted == {operator.world.projected}
    assert look.secret.stages.previous is None
    await operator.stop()


async def test_a_retirement_that_is_refused_is_tried_again_and_ends_no_rotation(
    vault: Vault,
) -> None:
    operator = await Operator(
        vault, world_of("AlternatingUsers", overlap={"max": "1h"}, interval="1d")
    ).start()
    await operator.settle()
    await request(operator, "one")
    with failing(operator.world.target, "retire", NO):
        look = await operator.later(hours=1)
        assert look.trouble is not None
        assert look.trouble.step is Step.RETIRE
        assert operator.calendar.due[NAME] > operator.world.now
        await operator.later(days=1)
        look = await operator.settle()

    assert await causes(operator) == ["Initial", "Request", "Schedule"]
    await operator.stop()


async def test_a_scheduled_rotation_waits_for_the_overlap_and_a_request_does_not(
    vault: Vault,
) -> None:
    world = world_of("AlternatingUsers", overlap={"max": "3d"}, interval="1d")
    operator = await Operator(vault, world).start()
    await operator.settle()
    look = await request(operator, "one")
    assert look.next_time == BEGINNING + timedelta(days=3)

    await operator.later(days=2)
    assert await causes(operator) == ["Initial", "Request"]
    await request(operator, "two")

    assert await causes(operator) == ["Initial", "Request", "Request"]
    await operator.stop()


# Leading


async def test_nothing_is_done_or_told_before_this_operator_leads(vault: Vault) -> None:
    operator = Operator(vault, world_of())
    operator.working = asyncio.create_task(operator.pool.run())

    look = await operator.settle()
    assert look.trouble is None
    assert await causes(operator) == []
    await operator.leadership.take()
    operator.rotations.look_at_all()
    assert operator.changed.is_set()
    await operator.settle()

    assert await causes(operator) == ["Initial"]
    await operator.stop()


async def test_what_came_due_while_the_lease_was_unsure_is_done_afterwards(
    operator: Operator,
) -> None:
    await operator.settle()
    operator.lease.is_sure = False
    look = await request(operator, "one")
    assert look.trouble is None

    operator.lease.is_sure = True
    operator.rotations.look_at_all()
    assert operator.changed.is_set()
    await operator.settle()

    assert await causes(operator) == ["Initial", "Request"]


async def test_a_run_that_the_lease_cuts_off_has_not_failed(operator: Operator) -> None:
    await operator.settle()

    async def acts(session: FakeSession, act: str, login: Login | None) -> None:
        if act == "set":
            operator.lease.is_sure = False

    operator.world.target.acts = acts
    look = await request(operator, "one")

    assert look.journal.open is not None
    assert look.journal.open.failures == 0
    assert look.trouble is None
    operator.lease.is_sure = True
    operator.rotations.look_at_all()
    look = await operator.settle()
    assert look.secret.stages.current == 2


@pytest.mark.parametrize("when", ["begin", "project"])
async def test_an_operator_that_was_replaced_tells_of_no_failure(
    operator: Operator, when: str
) -> None:
    await operator.settle()
    if when == "project":
        operator.world.token = "one"
        await operator.one_turn()
    await operator.journal.take_epoch()

    look = await request(operator, "one")

    assert look.error is None
    assert look.trouble is None
    assert operator.leadership.lost.is_set()


# Deletion


async def test_a_deleted_resource_leaves_its_rotation_open_until_it_is_restored(
    operator: Operator,
) -> None:
    await stopped_at_set(operator)
    secret = await operator.secret()
    await operator.vault.store.mark_deleted(
        secret.id, resource_uid=secret.resource_uid, now=operator.world.now
    )
    operator.rotations.forget(NAME)
    assert NAME not in operator.calendar.due

    look = await operator.settle()

    assert look.secret.stages.current == 2
    assert await causes(operator) == ["Initial", "Request"]


async def test_what_waits_of_a_deleted_resource_is_not_begun(
    vault: Vault, operator: Operator
) -> None:
    await operator.settle()
    await operator.stop()
    idle = Operator(vault, operator.world)
    await idle.leadership.take()
    idle.world.token = "one"
    await idle.reconcile()
    assert len(idle.pool) == 1

    idle.rotations.forget(NAME)

    assert not idle.pool


# Crashes


async def test_a_killed_operator_leaves_what_the_next_one_goes_on_with(
    vault: Vault, operator: Operator
) -> None:
    await operator.settle()
    with failing(operator.world.target, "accepts", KilledError()):
        operator.world.token = "one"
        with pytest.raises(KilledError):
            await operator.settle()

    again = await Operator(vault, operator.world).start()
    look = await again.settle()

    assert look.secret.stages.current == 2
    assert look.journal.rotations[0].outcome is Outcome.SUCCEEDED
    await again.stop()


async def test_a_second_look_after_a_restart_has_nothing_to_do(
    vault: Vault, operator: Operator
) -> None:
    before = await operator.settle()
    await operator.stop()

    again = await Operator(vault, operator.world).start()
    look = await again.settle()

    assert look == before
    await again.stop()


async def test_the_store_that_does_not_answer_is_no_trouble_of_the_secret(
    operator: Operator,
) -> None:
    await operator.settle()
    await operator.vault.store.close()

    with pytest.raises(UnavailableError):
        await operator.reconcile()


async def test_without_rotation_nobody_begins_one(operator: Operator) -> None:
    await operator.settle()
    operator.world.rotation = None

    with pytest.raises(InvalidSpecError):
        await operator.rotations.begin(
            operator.resource(), await operator.secret(), Wanted(Cause.REQUEST, "jo")
        )


async def test_a_turn_that_was_decided_on_before_something_else_happened_is_not_taken(
    vault: Vault, operator: Operator
) -> None:
    await operator.settle()
    await operator.stop()
    idle = Operator(vault, operator.world)
    await idle.leadership.take()
    idle.world.token = "one"
    await idle.reconcile()
    assert len(idle.pool) == 1
    secret, epoch = await idle.secret(), idle.leadership.epoch
    wanted = Wanted(Cause.REQUEST, "jo")
    await idle.performing.begin(Turn(idle.resource(), secret.id, wanted))
    (begun, *_) = await idle.rotations_of()
    await idle.journal.promote(epoch, begun.id)
    await idle.journal.finish(epoch, begun.id, None, Telling(idle.now()))

    idle.world.token = ""
    idle.working = asyncio.create_task(idle.pool.run())
    await idle.settle()

    assert await causes(idle) == ["Initial", "Request"]
    await idle.stop()


async def test_one_that_was_deleted_and_made_anew_without_rotation_is_told_of_what_is_open(
    operator: Operator,
) -> None:
    kept = operator.world.rotation
    operator.world.rotation = None
    await operator.settle()
    operator.world.rotation = kept
    await stopped_at_set(operator)

    operator.rotations.forget(NAME)
    operator.world.rotation = None
    look = await operator.settle()

    assert look.trouble is not None
    assert look.secret.stages.pending is not None
