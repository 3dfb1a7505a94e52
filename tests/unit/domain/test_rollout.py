"""What becomes of a restart, as a table."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyturn.domain.consumers import (
    Inventory,
    RunningPod,
    Spell,
    Use,
    Via,
    Workload,
    WorkloadRef,
)
from keyturn.domain.rollout import Rollout, Verdict, Watched

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WEB = WorkloadRef("Deployment", "web")
DB = WorkloadRef("StatefulSet", "db")
BY_ENV = frozenset({Via.ENV})
SPELLS = (Spell("s", 1, NOW - 99 * MINUTE), Spell("s", 2, NOW - 20 * MINUTE))
WELL = Rollout(WEB, 2, was_healthy=True)
RESTARTED = replace(WELL, restarted_at=NOW - 10 * MINUTE, template="ours")
GOT_WELL = replace(RESTARTED, got_well=True)
OF_DB = replace(RESTARTED, workload=DB)
DB_GOT_WELL = replace(GOT_WELL, workload=DB)


def workload(ref: WorkloadRef = WEB, **fields: Any) -> Workload:
    deadline = 10 * MINUTE if ref is WEB else None
    known: dict[str, Any] = {"uses": {"s": BY_ENV}, "progress_deadline": deadline}
    return Workload(ref, "u", "1", **{"template": "ours", **known, **fields})


def pod(ref: WorkloadRef = WEB, *, age: timedelta = 9 * MINUTE, **fields: Any) -> RunningPod:
    use = Use(BY_ENV, NOW - age)
    return RunningPod("p", "u", ref, NOW - age, {"s": use}, **{"ready": True, **fields})


def seen(
    known: Rollout | None,
    *pods: RunningPod,
    about: Workload | None = None,
    is_restarted: bool = True,
    deadline: timedelta = 10 * MINUTE,
) -> Rollout:
    about = about or workload()
    watched = Watched(
        version=2,
        native_names=("s",),
        restarted={about.ref} if is_restarted else set(),
        inventory=Inventory("shop", pods, (about,)),
        spells=SPELLS,
        deadline=deadline,
        now=NOW,
    )
    (found,) = watched.rollouts([known] if known is not None else [])
    return found


SLOW = workload(is_rolled_out=False)
SLOW_DB = workload(DB, is_rolled_out=False)
STALLED = workload(is_rolled_out=False, has_failed=True)
FAILING = pod(ready=False, is_failing=True)
LEAVING = pod(ready=False, is_failing=True, deleting=True)
JUST_NOW: dict[str, Any] = {"ready": False, "unready_since": NOW - MINUTE / 3}
THEIRS = workload(template="theirs", is_rolled_out=False)


@pytest.mark.parametrize(
    ("known", "about", "pods", "verdict"),
    [
        # Before its time is over
        (replace(RESTARTED, restarted_at=NOW - 9 * MINUTE), SLOW, [FAILING], None),
        (replace(GOT_WELL, restarted_at=NOW - 9 * MINUTE), workload(), [pod()], None),
        (replace(RESTARTED, restarted_at=NOW), STALLED, [FAILING], Verdict.FAILED),
        # After it
        (GOT_WELL, workload(), [pod()], Verdict.HEALTHY),
        (RESTARTED, SLOW, [FAILING], Verdict.FAILED),
        (GOT_WELL, workload(), [FAILING], Verdict.FAILED),
        # A Deployment would say itself if it made no progress; others cannot
        (RESTARTED, SLOW, [pod(ready=False)], None),
        (OF_DB, SLOW_DB, [pod(DB, ready=False)], Verdict.FAILED),
        (OF_DB, SLOW_DB, [pod(DB)], None),
        # One moment tells nothing: a pod may be starting, or on its way to another node
        (OF_DB, SLOW_DB, [pod(DB, **JUST_NOW)], None),
        (OF_DB, SLOW_DB, [pod(DB, age=MINUTE / 3, ready=False)], None),
        (RESTARTED, SLOW, [pod(is_failing=True, **JUST_NOW)], None),
        (OF_DB, SLOW_DB, [pod(DB, ready=False, deleting=True)], None),
        # Who got well since the restart can log in; then only what crashes counts
        (GOT_WELL, SLOW, [pod(), pod(ready=False)], Verdict.HEALTHY),
        (GOT_WELL, SLOW, [pod(), LEAVING], Verdict.HEALTHY),
        (GOT_WELL, workload(replicas=0), [], Verdict.HEALTHY),
        # While none of its pods is ready nobody knows whether it still could
        (GOT_WELL, SLOW, [pod(ready=False)], None),
        (GOT_WELL, SLOW, [pod(deleting=True), pod(ready=False)], None),
        (GOT_WELL, SLOW, [], None),
        (DB_GOT_WELL, SLOW_DB, [pod(DB, ready=False)], None),
        (GOT_WELL, SLOW, [pod(is_failing=True, **JUST_NOW)], None),
        (DB_GOT_WELL, SLOW_DB, [pod(DB, ready=False, is_failing=True)], Verdict.FAILED),
        # Who changed the template since then may be to blame
        (GOT_WELL, THEIRS, [FAILING], Verdict.UNTOLD),
        (RESTARTED, replace(THEIRS, has_failed=True), [FAILING], Verdict.UNTOLD),
        (GOT_WELL, replace(THEIRS, is_rolled_out=True), [pod()], Verdict.HEALTHY),
        # The old pods tell nothing of the new version
        (RESTARTED, SLOW, [pod(age=50 * MINUTE, ready=False, is_failing=True)], None),
        (RESTARTED, SLOW, [], None),
        # One that was ill before
        (replace(RESTARTED, was_healthy=False), SLOW, [FAILING], Verdict.UNTOLD),
        (replace(GOT_WELL, was_healthy=False), workload(), [pod()], Verdict.HEALTHY),
        # What was judged stays
        (replace(RESTARTED, verdict=Verdict.HEALTHY), STALLED, [FAILING], Verdict.HEALTHY),
    ],
)
def test_how_a_restart_is_judged(
    known: Rollout, about: Workload, pods: list[RunningPod], verdict: Verdict | None
) -> None:
    assert seen(known, *pods, about=about) == replace(known, verdict=verdict)


def test_health_is_noted_before_the_restart_and_the_restart_when_it_is_seen() -> None:
    before = seen(None, pod(age=50 * MINUTE), is_restarted=False)
    fell_ill = seen(before, FAILING, about=SLOW, is_restarted=False)
    after = seen(fell_ill, pod())

    assert before == fell_ill == WELL
    assert after == replace(WELL, restarted_at=NOW, template="ours", got_well=True)
    assert after.is_under_way


def test_that_it_got_well_and_the_template_of_the_restart_are_remembered() -> None:
    young = replace(WELL, restarted_at=NOW - MINUTE)
    begun = seen(young, pod(ready=False), about=SLOW)
    well = seen(begun, pod())
    changed = seen(well, pod(ready=False), about=THEIRS)

    assert begun == replace(young, template="ours")
    assert well == changed == replace(begun, got_well=True)


def test_a_pod_that_is_being_deleted_makes_nobody_ill() -> None:
    """On a node that was lost it may stand for ever."""
    assert seen(None, pod(), LEAVING, is_restarted=False).was_healthy
    assert seen(replace(WELL, restarted_at=NOW), pod(), LEAVING).got_well


def test_who_got_well_before_the_restart_was_well() -> None:
    ill = seen(None, FAILING, is_restarted=False)

    assert not ill.was_healthy
    assert seen(ill, pod(), is_restarted=False).was_healthy


def test_who_was_restarted_before_anybody_looked_may_have_been_ill() -> None:
    assert not seen(None, pod()).was_healthy


def test_the_deadline_is_the_workloads_own_or_else_the_one_asked_for() -> None:
    asked = 20 * MINUTE

    assert seen(RESTARTED, FAILING, about=SLOW, deadline=asked).verdict is Verdict.FAILED
    assert seen(OF_DB, pod(DB, ready=False), about=SLOW_DB, deadline=asked).verdict is None


def test_of_another_version_nothing_is_kept() -> None:
    assert seen(replace(RESTARTED, version=1), pod(), is_restarted=False) == WELL


def test_one_without_a_pod_is_kept_until_its_time_is_over() -> None:
    def without(known: Rollout) -> tuple[Rollout, ...]:
        inventory = Inventory("shop")
        watched = Watched(2, ("s",), set(), inventory, SPELLS, 10 * MINUTE, NOW)
        return watched.rollouts([known])

    young = replace(RESTARTED, restarted_at=NOW)
    assert without(young) == (young,)
    assert without(WELL) == (WELL,)
    assert without(RESTARTED) == (replace(RESTARTED, verdict=Verdict.UNTOLD),)


@pytest.mark.parametrize(
    "about",
    [
        workload(WorkloadRef("CronJob", "report")),
        workload(uses={"s": frozenset({Via.IMAGE_PULL_SECRETS})}),
        workload(uses={"other": BY_ENV}),
        workload(deleting=True),
    ],
    ids=["of another kind", "holds nothing", "of another Secret", "being deleted"],
)
def test_who_is_not_restarted_is_not_watched(about: Workload) -> None:
    watched = Watched(2, ("s",), set(), Inventory("n", (), (about,)), SPELLS, MINUTE, NOW)

    assert watched.rollouts([]) == ()
