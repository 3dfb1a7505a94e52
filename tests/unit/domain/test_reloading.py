"""Which pods are told to read their files anew, and from when on they count as moved."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.domain.consumers import Inventory, RunningPod, Spell, Use, Via, WorkloadRef, moved
from keyturn.domain.consumers_spec import Action, ConsumersSpec, Reload, Window
from keyturn.domain.reloading import calls, with_reloads
from keyturn.domain.restarting import Wish
from keyturn.domain.rotation import Timing

BEGINNING = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEB = WorkloadRef("Deployment", "web")
RELOAD = ConsumersSpec(Action.RELOAD, reload=Reload("http://{podIP}:8080/-/reload"))


def at(seconds: float) -> datetime:
    return BEGINNING + timedelta(seconds=seconds)


SPELLS = [Spell("db", 1, at(0)), Spell("db", 2, at(1000))]


def a_pod(*via: Via, name: str = "web-1", began: float | None = 100, **more: object) -> RunningPod:
    use = Use(frozenset(via or {Via.VOLUME}), None if began is None else at(began))
    pod = RunningPod(name, f"uid-{name}", WEB, at(0), {"db": use}, ip="10.0.0.7")
    return replace(pod, **more)  # type: ignore[arg-type]


def a_wish(spec: ConsumersSpec = RELOAD, spells: list[Spell] | None = None) -> Wish:
    return Wish("db", 2, frozenset({"db"}), spells or SPELLS, spec)


def told(pod: RunningPod, seconds: float, wish: Wish | None = None) -> bool:
    return bool(calls(Inventory("shop", (pod,)), wish or a_wish(), at(seconds)).pods)


def test_a_pod_is_told_when_its_kubelet_has_surely_written_the_files() -> None:
    early = calls(Inventory("shop", (a_pod(),)), a_wish(), at(1089))

    assert early.pods == ()
    assert early.again == at(1090)
    assert told(a_pod(), 1090)
    soon = replace(RELOAD, reload=Reload("http://{podIP}:1/", delay=timedelta(seconds=3)))
    assert told(a_pod(), 1003, a_wish(soon))


@pytest.mark.parametrize(
    ("via", "is_told"),
    [
        ({Via.VOLUME}, True),
        ({Via.PROJECTED}, True),
        ({Via.VOLUME, Via.IMAGE_PULL_SECRETS}, True),
        ({Via.ENV}, False),
        ({Via.ENV_FROM}, False),
        ({Via.SUB_PATH}, False),
        ({Via.VOLUME, Via.ENV}, False),
        ({Via.IMAGE_PULL_SECRETS}, False),
    ],
)
def test_only_files_that_a_kubelet_refreshes_can_be_read_anew(via: set[Via], is_told: bool) -> None:
    assert told(a_pod(*via), 2000) == is_told


def test_who_need_not_or_cannot_be_told() -> None:
    assert not told(a_pod(began=1500), 2000)
    assert not told(a_pod(began=None), 2000)
    assert not told(a_pod(deleting=True), 2000)
    assert not told(a_pod(ip=""), 2000)
    service = replace(RELOAD, reload=Reload("http://web.shop.svc:8080/-/reload"))
    assert told(a_pod(ip=""), 2000, a_wish(service))


@pytest.mark.parametrize("action", [Action.NONE, Action.RESTART])
def test_no_other_action_tells(action: Action) -> None:
    assert not told(a_pod(), 2000, a_wish(ConsumersSpec(action)))


def test_nobody_is_told_before_the_secret_shows_the_version() -> None:
    assert not told(a_pod(), 2000, a_wish(spells=SPELLS[:1]))


def test_a_window_is_waited_for() -> None:
    window = Window(Timing("0 2 * * *", time_zone="Etc/UTC"), timedelta(hours=1))

    found = calls(Inventory("shop", (a_pod(),)), a_wish(replace(RELOAD, window=window)), at(2000))

    assert found.pods == ()
    assert found.again == datetime(2026, 3, 2, 2, tzinfo=UTC)


def test_who_was_told_counts_as_moved_and_is_not_told_again() -> None:
    inventory = Inventory("shop", (a_pod(),))
    # Told at 1090, so that it has read what stood there at 1000.
    after = with_reloads(inventory, ["db"], {"uid-web-1": at(1000)})

    assert moved(after, ["db"], SPELLS, 2).up_to_date == 1
    assert calls(after, a_wish(), at(2000)).pods == ()
    next_one = [*SPELLS, Spell("db", 3, at(3000))]
    assert moved(after, ["db"], next_one, 3).up_to_date == 0


def test_what_was_projected_less_than_the_delay_before_the_call_does_not_count() -> None:
    late = [*SPELLS[:1], Spell("db", 2, at(1050))]
    after = with_reloads(Inventory("shop", (a_pod(),)), ["db"], {"uid-web-1": at(1049)})

    assert moved(after, ["db"], late, 2).up_to_date == 0


def test_a_pod_that_has_it_in_its_environment_too_holds_the_old_one() -> None:
    pod = a_pod(Via.VOLUME, Via.ENV)

    after = with_reloads(Inventory("shop", (pod,)), ["db"], {pod.uid: at(1000)})

    assert after.pods == (pod,)


def test_another_secret_of_the_pod_and_a_container_that_began_later_stay_as_they_are() -> None:
    pod = replace(a_pod(), uses={**a_pod().uses, "cache": Use(frozenset({Via.VOLUME}), at(100))})
    later = a_pod(name="web-2", began=5000)

    after = with_reloads(
        Inventory("shop", (pod, later)), ["db"], {pod.uid: at(1000), later.uid: at(1000)}
    )

    assert after.pods[0].uses["cache"] == pod.uses["cache"]
    assert after.pods[0].uses["db"] != pod.uses["db"]
    assert after.pods[1] == later
