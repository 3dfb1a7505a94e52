from bisect import bisect_right
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.consumers import (
    NOT_YET,
    Inventory,
    Moved,
    RunningPod,
    Spell,
    Stale,
    Use,
    Via,
    WorkloadRef,
    holders,
    moved,
    started_with,
)
from keyturn.domain.consumers_spec import LAG

THEN = datetime(2030, 1, 1, tzinfo=UTC)
WEB, JOB = WorkloadRef("Deployment", "web"), WorkloadRef("Job", "once")


def at(seconds: float) -> datetime:
    return THEN + timedelta(seconds=seconds)


def spells(*begun: tuple[int | None, float], name: str = "db") -> list[Spell]:
    return [Spell(name, version, at(seconds)) for version, seconds in begun]


def a_pod(
    began: float | None,
    name: str = "web-1",
    *,
    workload: WorkloadRef = WEB,
    via: Via = Via.ENV,
    native_names: tuple[str, ...] = ("db",),
) -> RunningPod:
    use = Use(frozenset({via}), None if began is None else at(began))
    return RunningPod(name, f"uid-{name}", workload, THEN, dict.fromkeys(native_names, use))


STARTED = {
    "while the first version stood": (50, ((1, 0), (2, 100)), 1),
    "in the moment of a projection": (100, ((1, 0), (2, 100)), 1),
    "while a kubelet may lag": (104.9, ((1, 0), (2, 100)), 1),
    "after it": (105, ((1, 0), (2, 100)), 2),
    "before all that is known": (-100, ((1, 0), (2, 100)), None),
    "before a first version that is older than the lag": (-5.1, ((1, 0),), None),
    "beside the first projection, for which it waited": (-5, ((1, 0),), 1),
    "right after the first projection": (1, ((1, 0),), 1),
    "right after the first of two that came at once": (1, ((1, 0), (2, 2)), 1),
    "while two versions that say the same stood": (50, ((1, 0), (2, 0), (3, 100)), 2),
    "beside the first of two that say the same": (1, ((1, 0), (2, 0)), 2),
    "after a rollback": (205, ((1, 0), (2, 100), (1, 200)), 1),
    "before a rollback": (195, ((1, 0), (2, 100), (1, 200)), 2),
    "while the Secret was not ours": (150, ((1, 0), (None, 100), (1, 200)), None),
    "not yet": (None, ((1, 0), (2, 100)), 2),
    "not yet, and nothing is there": (None, (), None),
    "before anything was projected": (10, (), None),
}


@pytest.mark.parametrize(("began", "begun", "version"), STARTED.values(), ids=STARTED)
def test_a_pod_started_with_the_version_that_stood_when_it_began(
    began: float | None, begun: tuple[tuple[int | None, float], ...], version: int | None
) -> None:
    assert started_with(a_pod(began), "db", spells(*begun)) == version


@pytest.mark.parametrize(
    ("latest", "version"), [(at(2), 1), (at(-4), 1), (at(-6), None), (NOT_YET, 1)]
)
def test_a_pod_whose_volumes_waited_for_the_first_version_holds_that(
    latest: datetime, version: int | None
) -> None:
    """A rotation's first credential may take a minute; its consumers wait for the mount."""
    use = Use(frozenset({Via.VOLUME}), at(-60), latest)
    pod = RunningPod("web-1", "u", WEB, at(-61), {"db": use})

    assert started_with(pod, "db", spells((1, 0))) == version
    assert started_with(pod, "db", spells((1, 0), (2, 1))) == version


def test_who_holds_another_version_of_what_is_no_target_any_more_is_waited_for() -> None:
    known = [*KNOWN, *spells((6, 0), (7, 200), (None, 300), name="old")]
    former = ("old",)
    inventory = Inventory(
        "shop",
        (
            a_pod(100, "web-1", native_names=former),
            a_pod(250, "once-1", workload=JOB, native_names=former),
            a_pod(400, "later", workload=WorkloadRef("Pod", "later"), native_names=former),
            a_pod(None, "waits", workload=WorkloadRef("Pod", "waits"), native_names=former),
        ),
    )

    assert holders(inventory, {"db"}, known, {7}) == [WEB]
    assert holders(inventory, {"db"}, known, {6, 7}) == []


def test_each_native_secret_has_its_own_spells() -> None:
    pod = a_pod(150, native_names=("db", "cache"))
    known = [*spells((1, 0), (2, 200)), *spells((1, 0), (2, 100), name="cache")]

    assert started_with(pod, "db", known) == 1
    assert started_with(pod, "cache", known) == 2
    assert started_with(pod, "other", known) is None


@given(
    gaps=st.lists(st.floats(0.1, 60), min_size=1, max_size=8),
    late=st.lists(st.floats(0, 60), min_size=8, max_size=8),
    read=st.floats(0, 500),
    skew=st.floats(-5, 5),
)
def test_no_pod_is_taken_for_newer_than_it_is(
    gaps: list[float], late: list[float], read: float, skew: float
) -> None:
    """The truth: version n was written at `written[n]`; a pod read one at `read`.

    Each write is recorded only after it was answered; the pod's clock is off by up to LAG, and
    its times are whole seconds.
    """
    written = [sum(gaps[:n]) for n in range(len(gaps))]
    recorded: list[float] = []
    for n, moment in enumerate(written):
        # The next write begins only after this one was recorded; the store keeps them apart.
        bound = written[n + 1] if n + 1 < len(written) else float("inf")
        least = recorded[-1] + 1e-6 if recorded else 0.0
        recorded.append(max(min(moment + late[n], bound), least))
    truth = max(bisect_right(written, read), 1)
    began = float(int(read + min(skew, 4.9)))

    told = started_with(
        a_pod(began), "db", spells(*((n + 1, moment) for n, moment in enumerate(recorded)))
    )

    assert (told or 0) <= truth


@given(began=st.floats(0, 1000), more=st.floats(0, 1000))
def test_who_began_later_is_never_older(began: float, more: float) -> None:
    known = spells(*((n, n * 50) for n in range(1, 10)))

    first, second = (started_with(a_pod(b), "db", known) or 0 for b in (began, began + more))

    assert first <= second


def test_the_lag_is_what_the_documents_say() -> None:
    assert timedelta(seconds=5) == LAG


KNOWN = spells((5, 0), (6, 100), (7, 200))


def test_who_has_not_moved_is_named() -> None:
    inventory = Inventory(
        "shop",
        (
            a_pod(50, "web-1"),
            a_pod(150, "web-2"),
            a_pod(250, "web-3"),
            a_pod(150, "once-1", workload=JOB),
            a_pod(250, "fine-1", workload=WorkloadRef("DaemonSet", "fine")),
            a_pod(0, "pulls-1", via=Via.IMAGE_PULL_SECRETS),
            RunningPod("other", "u", WorkloadRef("Pod", "other"), THEN),
        ),
    )

    found = moved(inventory, {"db"}, KNOWN, 7)

    assert found == Moved(5, 2, (Stale(WEB, 3, 2, 5), Stale(JOB, 1, 1, 6)))
    assert holders(inventory, {"db"}, KNOWN, {7}) == [stale.ref for stale in found.waiting_for]
    assert holders(inventory, {"db"}, KNOWN, {6, 7}) == [WEB]
    assert holders(inventory, {"db"}, KNOWN, {5, 6, 7}) == []


def test_a_pod_of_which_nobody_knows_the_version_is_the_oldest() -> None:
    inventory = Inventory("shop", (a_pod(-900, "web-1"), a_pod(50, "web-2")))

    assert moved(inventory, {"db"}, KNOWN, 7).waiting_for == (Stale(WEB, 2, 2, None),)
    assert holders(inventory, {"db"}, KNOWN, {5, 6, 7}) == [WEB]


def test_a_pod_that_holds_two_native_secrets_has_moved_with_both() -> None:
    pod = a_pod(250, native_names=("db", "db-tls"))
    known = [*KNOWN, *spells((6, 0), (7, 300), name="db-tls")]
    inventory = Inventory("shop", (pod,))

    assert moved(inventory, {"db"}, known, 7) == Moved(1, 1, ())
    assert moved(inventory, {"db", "db-tls"}, known, 7) == Moved(1, 0, (Stale(WEB, 1, 1, 6),))


def test_after_a_rollback_those_with_the_newer_version_have_not_moved() -> None:
    known = [*KNOWN, *spells((6, 300))]
    inventory = Inventory("shop", (a_pod(250, "new"), a_pod(150, "old"), a_pod(400, "again")))

    assert moved(inventory, {"db"}, known, 6) == Moved(3, 2, (Stale(WEB, 3, 1, 7),))
