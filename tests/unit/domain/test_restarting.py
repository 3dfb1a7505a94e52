"""Which workloads are restarted, when, and what keeps them from it: one thing at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyturn.domain.consumers import Inventory, RunningPod, Spell, Use, Via, Workload, WorkloadRef
from keyturn.domain.consumers_spec import Action, ConsumersSpec, Reload, Window
from keyturn.domain.reloader import Note
from keyturn.domain.restart_marks import annotation_key, mark_of, was_restarted_for
from keyturn.domain.restarting import (
    BUSY,
    SURE,
    Cause,
    Decision,
    Known,
    Rules,
    Wish,
    decide,
)
from keyturn.domain.rotation import Timing

BEGINNING = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "keyturn.dev/version.db"
RESTART = ConsumersSpec(Action.RESTART)
ENV = frozenset({Via.ENV})


def at(seconds: float) -> datetime:
    return BEGINNING + timedelta(seconds=seconds)


def spells(*turns: tuple[int, float], native_name: str = "db") -> list[Spell]:
    """Make spells of versions, each from so many seconds after the beginning on."""
    return [Spell(native_name, version, at(since)) for version, since in turns]


ONE, TWO = (1, 0.0), (2, 1000.0)


def a_wish(name: str = "db", *turns: tuple[int, float], **more: Any) -> Wish:
    """A wish for the last of these versions, or for 2 after 1."""
    shown = turns or (ONE, TWO)
    fields = {"spec": RESTART, **more}
    known = spells(*shown, native_name=name)
    return Wish(name, shown[-1][0], frozenset({name}), known, **fields)


def a_workload(
    name: str = "web",
    *,
    notes: Mapping[str, str] | None = None,
    uses: Sequence[str] = ("db",),
    **more: Any,
) -> Workload:
    fields: dict[str, Any] = {"replicas": 1, **more}
    kind = fields.pop("kind", "Deployment")
    via = fields.pop("via", ENV)
    return Workload(
        WorkloadRef(kind, name),
        uid=f"uid-{name}",
        resource_version="7",
        template_annotations=dict(notes or {}),
        uses=dict.fromkeys(uses, via),
        **fields,
    )


def a_pod(of: Workload, began: float | None = 100, **more: Any) -> RunningPod:
    uses = {name: Use(via, None if began is None else at(began)) for name, via in of.uses.items()}
    return RunningPod(
        f"{of.ref.name}-1", f"uid-{of.ref.name}-1", of.ref, at(began or 0), uses, **more
    )


def decided(
    workloads: Sequence[Workload],
    wishes: Sequence[Wish] | None = None,
    *,
    now: float = 2000,
    pods: Sequence[RunningPod] | None = None,
    known: Known | None = None,
    **rules: Any,
) -> Decision:
    """Decide; where no pods are given, each workload has one that began with version 1."""
    inventory = Inventory(
        "shop", tuple(map(a_pod, workloads) if pods is None else pods), tuple(workloads)
    )
    return decide(
        inventory,
        [a_wish()] if wishes is None else wishes,
        Rules(**rules),
        known=known or Known(),
        now=at(now),
    )


def restarted(decision: Decision) -> dict[str, dict[str, str]]:
    return {each.workload.ref.name: dict(each.marks) for each in decision.restarts}


# The version is the key


def test_a_workload_with_an_older_pod_is_restarted_for_the_current_version() -> None:
    assert restarted(decided([a_workload()])) == {"web": {KEY: "2"}}


def test_it_is_restarted_once_for_a_version() -> None:
    marked = a_workload(notes={KEY: "2"})

    assert decided([marked]) == Decision()
    assert was_restarted_for(marked, "db", ["db"], spells(ONE, TWO), 2)
    assert not was_restarted_for(a_workload(notes={KEY: "1"}), "db", ["db"], spells(ONE, TWO), 2)


def test_who_runs_with_the_current_version_is_left_alone_at_first_sight() -> None:
    web = a_workload()

    assert decided([web], pods=[a_pod(web, 1500)]) == Decision()
    assert decided([web], pods=[a_pod(web, None)]) == Decision()
    assert decided([web], pods=[]) == Decision()


def test_a_pod_that_is_on_its_way_out_restarts_nothing() -> None:
    web = a_workload()

    assert decided([web], pods=[a_pod(web, deleting=True), a_pod(web, 1500)]) == Decision()


def test_a_version_that_is_on_again_is_restarted_for_again() -> None:
    # Rolled out for 1; a pod that crashed began with 2; and 1 was gone back to.
    back = a_wish("db", (1, 0), (2, 1000), (1, 1200))
    web = a_workload(notes={KEY: "1"})
    crashed = a_pod(web, 1100)

    decision = decided([web], [back], pods=[crashed])

    assert restarted(decision) == {"web": {KEY: "1-2"}}
    done = a_workload(notes={KEY: "1-2"})
    assert decided([done], [back], pods=[crashed]) == Decision()


def test_nothing_is_restarted_before_each_of_its_secrets_shows_the_version() -> None:
    both = a_workload(uses=["db", "copy"])
    known = [*spells(ONE, TWO), *spells(ONE, native_name="copy")]
    wish = Wish("db", 2, frozenset({"db", "copy"}), known, RESTART)

    assert decided([both], [wish]) == Decision()
    assert restarted(decided([a_workload()], [wish])) == {"web": {KEY: "2"}}
    shown = replace(wish, spells=[*known, Spell("copy", 2, at(1001))])
    assert restarted(decided([both], [shown])) == {"web": {KEY: "2"}}


def test_a_secret_that_is_no_longer_ours_is_not_restarted_for() -> None:
    assert mark_of([*spells(ONE, TWO), Spell("db", None, at(1500))], ["db"], 2) is None
    assert mark_of([], ["db"], 2) is None
    assert mark_of(spells(ONE, TWO), [], 2) is None


def test_a_pod_that_is_older_than_all_that_is_known_has_an_older_version() -> None:
    web = a_workload()

    assert restarted(decided([web], pods=[a_pod(web, -1000)])) == {"web": {KEY: "2"}}


# What can be restarted


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "Rollout"])
def test_these_kinds_are_restarted(kind: str) -> None:
    assert restarted(decided([a_workload(kind=kind)])) == {"web": {KEY: "2"}}


@pytest.mark.parametrize("kind", ["CronJob", "Job", "ReplicaSet", "Pod"])
def test_these_are_not(kind: str) -> None:
    assert decided([a_workload(kind=kind)]) == Decision()


@pytest.mark.parametrize("via", list(Via))
def test_only_what_a_container_holds_is_restarted_for(via: Via) -> None:
    holds = via in {Via.ENV, Via.ENV_FROM, Via.VOLUME, Via.SUB_PATH, Via.PROJECTED}

    assert bool(decided([a_workload(via=frozenset({via}))]).restarts) == holds


def test_a_workload_opts_out() -> None:
    option = {"keyturn.dev/restart": "false"}

    assert decided([a_workload(annotations=option)]) == Decision()
    assert decided([a_workload(notes=option)]) == Decision()
    overruled = a_workload(annotations={"keyturn.dev/restart": "true"}, notes=option)
    assert decided([overruled]).restarts


def test_one_that_is_being_deleted_is_left_alone() -> None:
    assert decided([a_workload(deleting=True)]) == Decision()


@pytest.mark.parametrize(
    "spec",
    [
        None,
        ConsumersSpec(Action.NONE),
        ConsumersSpec(Action.RELOAD, reload=Reload("http://{podIP}:8080/")),
    ],
)
def test_only_the_action_restart_restarts(spec: ConsumersSpec | None) -> None:
    assert decided([a_workload()], [a_wish(spec=spec)]) == Decision()


# Those who know Reloader

AUTO = {"reloader.stakater.com/auto": "true"}


def test_an_annotation_asks_where_the_resource_says_nothing_and_the_setting_is_on() -> None:
    asking, silent = a_workload(annotations=AUTO), a_workload("other")
    wish = a_wish(spec=None)

    assert restarted(decided([asking, silent], [wish], reloader=True)) == {"web": {KEY: "2"}}
    assert decided([asking], [wish]) == Decision()
    none = a_wish(spec=ConsumersSpec(Action.NONE))
    assert decided([asking], [none], reloader=True) == Decision()


def test_the_annotation_of_the_secret_counts() -> None:
    searching = a_workload(annotations={"reloader.stakater.com/search": "true"})

    matched = a_wish(spec=None, notes={"db": Note.MATCH})
    assert decided([searching], [matched], reloader=True).restarts
    assert not decided([searching], [a_wish(spec=None)], reloader=True).restarts
    ignored = a_wish(spec=None, notes={"db": Note.IGNORE})
    assert not decided([a_workload(annotations=AUTO)], [ignored], reloader=True).restarts


def test_where_reloader_itself_acts_nothing_is_doubled() -> None:
    traced = a_workload(template_env_names=frozenset({"STAKATER_DB_SECRET"}))

    assert decided([traced]) == Decision()
    insisting = replace(traced, annotations={"keyturn.dev/restart": "true"})
    assert restarted(decided([insisting])) == {"web": {KEY: "2"}}
    of_another = a_workload(template_env_names=frozenset({"STAKATER_CACHE_SECRET"}))
    assert decided([of_another]).restarts


# Coalescing


def test_a_change_waits_for_further_ones() -> None:
    web = a_workload()
    slow = a_wish(spec=ConsumersSpec(Action.RESTART, coalesce=timedelta(seconds=30)))

    early = decided([web], [slow], now=1029)

    assert not early.restarts
    assert early.waiting == {web.ref: Cause.COALESCING}
    assert early.again == at(1030)
    assert decided([web], [slow], now=1030).restarts


def test_two_secrets_of_one_workload_make_one_restart() -> None:
    web = a_workload(uses=["db", "cache"])
    first, second = a_wish("db", ONE, (2, 1000)), a_wish("cache", (4, 0), (5, 1008))

    assert decided([web], [first, second], now=1017).again == at(1018)
    assert restarted(decided([web], [first, second], now=1018)) == {
        "web": {KEY: "2", "keyturn.dev/version.cache": "5"}
    }


def test_changes_without_end_delay_a_restart_four_times_as_long_and_no_longer() -> None:
    web = a_workload()
    # Every nine seconds, with ten to wait.
    turns = [(version, 9.0 * version) for version in range(2, 20)]

    def due(now: float) -> datetime | None:
        shown = [(1, -500.0), *((v, since) for v, since in turns if since <= now)]
        return decided([web], [a_wish("db", *shown)], now=now, pods=[a_pod(web, -400)]).again

    restarts = [now for now in range(18, 100) if due(now) is None]
    assert restarts[0] == 18 + 40 + 3  # And as long as the last one is too young: at 54 s.


def test_who_is_too_young_is_not_taken_along() -> None:
    web = a_workload(uses=["db", "cache"])
    old, young = a_wish(), a_wish("cache", (4, 0), (5, 1999))
    bounded = replace(old, spec=ConsumersSpec(Action.RESTART, coalesce=timedelta(seconds=10)))

    assert restarted(decided([web], [bounded, young], now=2000)) == {"web": {KEY: "2"}}


def test_new_pods_are_surely_told_apart_from_old_ones() -> None:
    web = a_workload()
    eager = a_wish(spec=ConsumersSpec(Action.RESTART, coalesce=timedelta(seconds=5)))

    assert decided([web], [eager], now=1005).again == at(1000) + SURE
    decision = decided([web], [eager], now=1000 + SURE.total_seconds())
    assert decision.restarts
    # A pod whose time was cut to whole seconds.
    new = a_pod(web, int(1000 + SURE.total_seconds()) - 1)
    assert decided([web], [eager], pods=[new]) == Decision()


# Windows

AT_TWO = Window(Timing("0 2 * * *", time_zone="Etc/UTC"), timedelta(hours=2))
WINDOWED = ConsumersSpec(Action.RESTART, window=AT_TWO)


def test_a_window_is_waited_for() -> None:
    web, wish = a_workload(), a_wish(spec=WINDOWED)
    opens = datetime(2026, 3, 2, 2, tzinfo=UTC)

    closed = decided([web], [wish])
    assert closed.waiting == {web.ref: Cause.WINDOW}
    assert closed.again == opens
    for moment, is_open in (
        (opens, True),
        (opens + timedelta(minutes=119), True),
        (opens + timedelta(hours=2), False),
    ):
        decision = decided([web], [wish], now=(moment - BEGINNING).total_seconds())
        assert bool(decision.restarts) == is_open


def test_who_has_no_window_takes_the_others_along() -> None:
    web = a_workload(uses=["db", "cache"])
    wishes = [a_wish(spec=WINDOWED), a_wish("cache", (4, 0), (5, 1000))]

    assert restarted(decided([web], wishes)) == {
        "web": {KEY: "2", "keyturn.dev/version.cache": "5"}
    }


# The budget


def rolling(name: str, mark: str = "2", **more: Any) -> Workload:
    return a_workload(name, notes={KEY: mark}, is_rolled_out=False, **more)


def test_so_many_are_rolled_out_at_once() -> None:
    decision = decided([a_workload(name) for name in "cab"])

    assert [each.workload.ref.name for each in decision.restarts] == ["a", "b"]
    assert decision.waiting == {WorkloadRef("Deployment", "c"): Cause.BUDGET}
    assert decision.again == at(2000) + BUSY


def test_what_is_rolling_already_counts_also_after_a_restart_of_the_operator() -> None:
    decision = decided([rolling("a"), rolling("b"), a_workload("c")])

    assert not decision.restarts
    assert decision.rolling == {WorkloadRef("Deployment", "a"), WorkloadRef("Deployment", "b")}
    assert decided([rolling("a"), a_workload("c")]).restarts


@pytest.mark.parametrize(
    "over",
    [
        a_workload("a", notes={KEY: "2"}),
        a_workload("a", is_rolled_out=False, uses=["other"]),
        rolling("a", has_failed=True),
        rolling("a", moves=False),
    ],
    ids=["done", "of somebody else", "failed", "paused"],
)
def test_what_does_not_roll_by_our_doing_does_not_count(over: Workload) -> None:
    waiting = a_workload("b")

    decision = decided([over, waiting], pods=[a_pod(over, 1500), a_pod(waiting)], budget=1)

    assert restarted(decision) == {"b": {KEY: "2"}}


def test_one_that_rolls_for_a_secret_that_has_not_been_looked_at_yet_counts() -> None:
    notes = {"keyturn.dev/version.cache": "5"}
    other = a_workload("a", uses=["cache"], notes=notes, is_rolled_out=False)

    assert not decided([other, a_workload()], budget=1).restarts


def test_one_that_rolls_for_an_older_version_takes_room_and_needs_it() -> None:
    wish = a_wish("db", ONE, TWO, (3, 1500))
    ill = [rolling(name) for name in "abc"]

    decision = decided([*ill, a_workload("d")], [wish])

    # All three may be ill because of the new version, and are restarted two by two.
    assert restarted(decision).keys() == {"a", "b"}
    assert set(decision.waiting.values()) == {Cause.BUDGET}


def test_one_that_never_gets_well_does_not_stop_the_others_for_ever() -> None:
    ill, web = rolling("a", progress_deadline=timedelta(minutes=5)), a_workload()
    known = Known(rolling_since={ill.ref: at(2000)})

    assert not decided([ill, web], known=known, now=2299, budget=1).restarts
    assert decided([ill, web], known=known, now=2300, budget=1).restarts


def test_one_that_is_rolling_needs_no_more_room_for_the_next_version() -> None:
    wish = a_wish("db", ONE, TWO, (3, 1500))
    web = rolling("web", "3", uses=["db", "cache"])
    again = a_wish("cache", (4, 0), (5, 1000))

    assert restarted(decided([web], [wish, again], budget=1)) == {
        "web": {"keyturn.dev/version.cache": "5"}
    }


def test_a_paused_one_is_patched_and_takes_no_room() -> None:
    paused, web = a_workload("a", moves=False), a_workload()

    assert restarted(decided([paused, web], budget=1)) == {"a": {KEY: "2"}, "web": {KEY: "2"}}


def test_one_that_could_not_be_patched_is_not_in_the_way_of_others() -> None:
    broken, web = a_workload("a"), a_workload()
    known = Known(retry_at={broken.ref: at(2015)})

    decision = decided([broken, web], known=known, budget=1)

    assert restarted(decision) == {"web": {KEY: "2"}}
    assert decision.waiting == {broken.ref: Cause.FAILED}
    assert decision.again == at(2015)
    assert restarted(decided([broken, web], known=known, now=2015, budget=1)).keys() == {"a"}


# Names


def test_the_annotation_of_a_long_name_fits_and_is_its_own() -> None:
    names = [f"{'a' * 240}.{number}" for number in range(3)] + ["b" * 55, "b" * 56]

    keys = [annotation_key(name) for name in names]

    assert len(set(keys)) == len(names)
    for key in keys:
        prefix, _, name = key.partition("/")
        assert prefix == "keyturn.dev"
        assert len(name) <= 63
        assert name[-1].isalnum()
