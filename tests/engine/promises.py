"""What holds whatever happened to a rotation, as checks that each rotator's kill test makes."""

from collections import Counter

from engine.harness import Harness

GAPLESS = "AlternatingUsers"


def nothing_is_lost(harness: Harness) -> None:
    """Right after a kill: the target takes a credential that the store holds."""
    report = harness.report()
    assert any(report["accepted"].values()), report
    if harness.case.strategy == GAPLESS and "Current" in report["stages"]:
        assert report["accepted"]["Current"], report


def all_is_in_step(harness: Harness) -> None:
    """After the recovery: nothing is open, and what is current is accepted and projected."""
    report = harness.report()
    assert "Pending" not in report["stages"], report
    assert report["accepted"]["Current"], report
    assert harness.projected == report["stages"]["Current"]
    assert all(rotation["outcome"] for rotation in report["rotations"]), report


def each_event_is_told_once(harness: Harness) -> None:
    """Of each rotation one Started, and one that says how it ended."""
    report = harness.report()
    told = Counter((rotation, kind) for rotation, kind in report["events"])
    assert not [event for event, times in told.items() if times > 1], told
    for rotation in report["rotations"]:
        kinds = {kind for known, kind in told if known == rotation["id"]}
        end = "RotationSucceeded" if rotation["outcome"] == "Succeeded" else "RotationAbandoned"
        assert {"RotationStarted", end} <= kinds, (rotation, kinds)
