"""Who keeps the previous credential: also pods of a Secret that is no target any more."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.domain.consumers import Inventory, RunningPod, Spell, Use, Via, WorkloadRef
from keyturn.services.consumers.gates import PAUSE, sight_of
from keyturn.services.consumers.inventory import View

THEN = datetime(2030, 1, 1, tzinfo=UTC)
WEB = WorkloadRef("Deployment", "web")


def at(seconds: float) -> datetime:
    return THEN + timedelta(seconds=seconds)


def a_view(began: float) -> View:
    """One whose target was renamed from `old` to `db` after version 2 was shown by both."""
    spells = [
        *(Spell("old", version, at(since)) for version, since in ((1, 0), (2, 100), (None, 200))),
        Spell("db", 2, at(200)),
    ]
    pod = RunningPod("web-1", "u", WEB, at(began), {"old": Use(frozenset({Via.ENV}), at(began))})
    return View(frozenset({"db"}), spells, Inventory("shop", (pod,)))


def test_a_pod_that_holds_the_previous_version_of_a_former_target_is_waited_for() -> None:
    sight = sight_of(a_view(50), 2, {2}, (), at(1000))

    assert not sight.has_moved
    assert sight.why == "Deployment/web still run with an older version"


def test_one_that_holds_the_current_version_of_it_or_what_others_wrote_is_not() -> None:
    assert sight_of(a_view(150), 2, {2}, (), at(1000)).has_moved
    assert sight_of(a_view(250), 2, {2}, (), at(1000)).has_moved


@pytest.mark.parametrize(("rest", "pause"), [(0.0, PAUSE.total_seconds()), (50.0, 50.0)])
def test_who_is_waited_for_is_looked_at_again_less_often_where_that_is_heavy(
    rest: float, pause: float
) -> None:
    waiting = replace(a_view(50), rest=rest)
    unseen = View(waiting.native_names, waiting.spells, why="it does not answer", rest=rest)

    assert sight_of(waiting, 2, {2}, (), at(1000)).wake == at(1000 + pause)
    assert sight_of(unseen, 2, {2}, (), at(1000)).wake == at(1000 + pause)
