from datetime import UTC, datetime, timedelta
from typing import Any

from keyturn.domain.consumers import Inventory, RunningPod, Spell, Use, Via, WorkloadRef
from keyturn.domain.errors import TamperedError
from keyturn.services.consumers.acting import Acted
from keyturn.services.consumers.inventory import View
from keyturn.services.consumers.reporting import MOST_SHOWN, ConsumersReport, consumers_report
from keyturn.services.status import Report, patch_of, status_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SPELLS = [Spell("db", 6, NOW), Spell("db", 7, LATER)]
OLD, NEW = NOW + timedelta(minutes=1), LATER + timedelta(minutes=1)


def a_pod(name: str, began: datetime, workload: str = "web") -> RunningPod:
    use = Use(frozenset({Via.ENV}), began)
    return RunningPod(name, name, WorkloadRef("Deployment", workload), NOW, {"db": use})


def a_view(*pods: RunningPod) -> View:
    return View(frozenset({"db"}), SPELLS, Inventory("shop", pods))


def the_status(report: ConsumersReport | None, **more: Any) -> dict[str, Any]:
    return status_of(Report(1, consumers=report, **more), {}, NOW)


def condition(status: dict[str, Any]) -> tuple[str, str, str] | None:
    for found in status["conditions"]:
        if found["type"] == "ConsumersUpToDate":
            return found["status"], found["reason"], found["message"]
    return None


def test_who_is_waited_for_is_told() -> None:
    pods = [a_pod("a", OLD), a_pod("b", NEW), a_pod("c", NEW, "jobs")]

    report = consumers_report(a_view(*pods), 7)

    assert report.fields == {
        "total": 3,
        "upToDate": 2,
        "waitingFor": [{"kind": "Deployment", "name": "web", "pods": 2, "stale": 1, "version": 6}],
    }
    assert report.condition == (
        "False",
        "WaitingForConsumers",
        "1 of 3 running pods started with another version than 7: Deployment/web.",
    )


def test_when_all_have_moved_the_list_is_empty_so_that_a_merge_patch_empties_it() -> None:
    report = consumers_report(a_view(a_pod("a", NEW)), 7)

    assert report.fields == {"total": 1, "upToDate": 1, "waitingFor": []}
    assert report.condition == ("True", "AllMoved", "All running pods started with version 7.")


def test_nobody_is_waited_for_where_nobody_runs() -> None:
    assert consumers_report(a_view(), 7).condition == (
        *("True", "AllMoved"),
        "No running pod holds a version.",
    )


def test_a_version_that_nobody_knows_is_left_out() -> None:
    report = consumers_report(a_view(a_pod("a", NOW - timedelta(days=1))), 7)

    assert report.fields is not None
    assert "version" not in report.fields["waitingFor"][0]


def test_a_rollout_that_failed_is_named() -> None:
    failed = [WorkloadRef("Deployment", "web")]

    assert consumers_report(a_view(a_pod("a", NEW)), 7, failed=failed).condition == (
        *("False", "RolloutFailed"),
        "The rollout for version 7 failed: Deployment/web.",
    )


def test_who_could_not_be_restarted_is_named_as_long_as_it_is_waited_for() -> None:
    web, jobs = WorkloadRef("Deployment", "web"), WorkloadRef("Deployment", "jobs")
    view = a_view(a_pod("a", OLD, "web"), a_pod("b", NEW, "jobs"))

    in_trouble, moved = (
        consumers_report(view, 7, Acted(unrestarted={r: "x"})) for r in (web, jobs)
    )

    assert in_trouble.condition == ("False", "RolloutRestartFailed", "Deployment/web: x.")
    assert moved.condition[1] == "WaitingForConsumers"


def test_a_long_list_is_cut_in_the_status_and_the_message() -> None:
    pods = [a_pod(f"p{n:03}", OLD, f"w{n:03}") for n in range(MOST_SHOWN + 5)]

    report = consumers_report(a_view(*pods), 7)

    assert report.fields is not None
    assert [entry["name"] for entry in report.fields["waitingFor"]] == [
        f"w{n:03}" for n in range(MOST_SHOWN)
    ]
    assert report.condition[2].endswith("Deployment/w019 and 5 more.")


def test_what_cannot_be_read_is_unknown() -> None:
    view = View(frozenset({"db"}), SPELLS, why="the operator may not list pods")
    status = the_status(consumers_report(view, 7))

    assert condition(status) == ("Unknown", "ConsumersUnknown", "the operator may not list pods")
    assert "consumers" not in status


def test_a_status_without_consumers_says_nothing_of_them() -> None:
    status = the_status(None)

    assert condition(status) is None
    assert "consumers" not in status


def test_a_reconcile_that_failed_leaves_what_it_did_not_look_at() -> None:
    stood = the_status(consumers_report(a_view(a_pod("a", OLD)), 7))

    after = status_of(Report(1, error=TamperedError("x")), stood, LATER)

    assert after["consumers"] == stood["consumers"]
    assert condition(after) == condition(stood)


def test_who_asks_no_more_has_it_taken_out() -> None:
    stood = the_status(consumers_report(a_view(a_pod("a", OLD)), 7))

    after = status_of(Report(1), stood, LATER)
    patch = patch_of(after, stood)

    assert patch is not None
    assert patch["consumers"] is None
    assert condition(after) is None


def test_an_unchanged_status_is_not_written() -> None:
    report = consumers_report(a_view(a_pod("a", OLD)), 7)
    stood = the_status(report)

    assert patch_of(status_of(Report(1, consumers=report), stood, LATER), stood) is None
