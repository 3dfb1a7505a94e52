"""What holds whatever happened to a rotation, as checks that each rotator's kill test makes."""

from engine.harness import Report, Rotated


def nothing_is_lost(rotated: Rotated) -> Report:
    """Right after a kill: the target takes a credential that the store holds.

    Where the current one stands until it is retired, it takes that one, and what consumers have.
    """
    report = rotated.report()
    assert any(report.accepted.values()), report
    if "Current" in report.stages and rotated.case.is_gapless:
        assert report.accepted["Current"], report
        for stage, number in report.stages.items():
            assert number != rotated.projected or report.accepted[stage], report
    return report


def all_is_in_step(rotated: Rotated) -> Report:
    """After the recovery: nothing is open, what is current is accepted and projected.

    Of each rotation there was one event that it began, and one of how it ended.
    """
    report = rotated.report()
    assert "Pending" not in report.stages, report
    assert report.accepted["Current"], report
    assert rotated.projected == report.stages["Current"]
    assert all(rotation["outcome"] for rotation in report.rotations), report
    told = rotated.victim.told
    assert not [event for event, times in told.items() if times > 1], told
    for rotation in report.rotations:
        kinds = {kind for known, kind in told if known == rotation["id"]}
        end = "RotationSucceeded" if rotation["outcome"] == "Succeeded" else "RotationAbandoned"
        assert {"RotationStarted", end} <= kinds, (rotation, kinds)
    return report
