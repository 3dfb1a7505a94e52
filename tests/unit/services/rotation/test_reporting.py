from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.rotation import Cause, Failure, Outcome, Rotation, Step
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.stage import Stage, Stages
from keyturn.kube.resources import parse
from keyturn.services.rotation.look import Look
from keyturn.services.rotation.reporting import rotation_report
from keyturn.services.status import Report, status_of
from keyturn.store.journal import Journal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = UUID("6f1e6b0a-5a63-4a9b-8a43-2f1b8f2b6c11")
REFUSED = Failure(Step.SET_PENDING, "TargetRefused", "it refused")
OPEN = Rotation(ID, ID, 2, Step.SET_PENDING, Cause.SCHEDULE, NOW)
SUCCEEDED = replace(
    OPEN, outcome=Outcome.SUCCEEDED, ended_at=NOW + timedelta(seconds=2.5), requested_by="jo"
)
ABANDONED = replace(
    OPEN, outcome=Outcome.ABANDONED, ended_at=NOW, give_up="cancelled by jo", failure=REFUSED
)
SECRET = Secret(ID, "u", SecretName("shop", "db"), "u", NOW, Stages({Stage.CURRENT: 1}))


def resource(rotation: dict[str, Any] | None) -> ManagedSecret:
    spec: dict[str, Any] = {"data": [{"key": "password", "generate": {"password": {}}}]}
    if rotation is not None:
        spec["rotation"] = rotation
    metadata = {"name": "db", "namespace": "shop", "uid": "u", "generation": 1}
    return parse({"metadata": metadata, "spec": spec}, outputs_of=lambda _, key, __: {"x": key})


ROTATED = resource({"interval": "30d"})


def look(*rotations: Rotation, **fields: Any) -> Look:
    return Look(SECRET, Journal(None, rotations), **fields)


def told(found: Look, about: ManagedSecret = ROTATED) -> tuple[str, str, str] | None:
    report = rotation_report(about, found)
    assert report is not None
    return report.condition


def test_what_is_not_rotated_has_no_report() -> None:
    assert rotation_report(resource(None), look(SUCCEEDED)) is None


def test_a_success() -> None:
    report = rotation_report(ROTATED, look(SUCCEEDED, next_time=NOW + timedelta(days=30)))

    assert report is not None
    assert report.fields == {
        "lastRotationTime": "2026-03-01T12:00:02Z",
        "nextRotationTime": "2026-03-31T12:00:00Z",
        "rotations": [
            {
                "version": 2,
                "cause": "Schedule",
                "by": "jo",
                "outcome": "Succeeded",
                "beganTime": "2026-03-01T12:00:00Z",
                "endedTime": "2026-03-01T12:00:02Z",
                "duration": "2.5s",
            }
        ],
    }
    assert report.condition == (
        "True",
        "SecretRotated",
        "Version 2 is the result of the last rotation.",
    )


def test_one_that_is_under_way_says_where_it_stands() -> None:
    failed = replace(OPEN, failure=REFUSED, failures=3)

    report = rotation_report(ROTATED, look(failed, SUCCEEDED))

    assert report is not None
    assert report.fields["rotation"] == {
        "step": "setPending",
        "cause": "Schedule",
        "version": 2,
        "beganTime": "2026-03-01T12:00:00Z",
        "failures": 3,
        "code": "TargetRefused",
    }
    assert report.condition == (
        "False",
        "SetPendingFailed",
        "setPending failed with TargetRefused: it refused",
    )


def test_one_that_was_given_up_says_why_and_what_stays() -> None:
    condition = told(look(ABANDONED))

    assert condition == (
        "False",
        "RotationAbandoned",
        "The rotation to version 2 was given up: cancelled by jo. Version 1 stays Current.",
    )


def test_a_first_one_that_was_given_up_leaves_none_current() -> None:
    condition = told(Look(replace(SECRET, stages=Stages()), Journal(None, (ABANDONED,))))

    assert condition is not None
    assert condition[2].endswith("None is Current.")


def test_trouble_is_newer_than_what_the_journal_says() -> None:
    trouble = Failure(Step.SET_PENDING, "InvalidSpec", "put it back")
    failed = replace(OPEN, failure=REFUSED)

    condition = told(look(failed, trouble=trouble))

    assert condition is not None
    assert condition[2] == "setPending failed with InvalidSpec: put it back"


@pytest.mark.parametrize("found", [look(OPEN), look(SUCCEEDED, is_acting=True), look()])
def test_as_long_as_nothing_is_known_what_stands_holds(found: Look) -> None:
    assert told(found) is None


def test_a_change_beside_the_credential_is_no_rotation_of_it() -> None:
    earlier = replace(SUCCEEDED, ended_at=NOW - timedelta(days=1))

    report = rotation_report(ROTATED, look(replace(SUCCEEDED, cause=Cause.CHANGE), earlier))

    assert report is not None
    assert report.fields["lastRotationTime"] == "2026-02-28T12:00:00Z"


def test_a_clock_that_was_put_back_makes_no_negative_duration() -> None:
    report = rotation_report(ROTATED, look(replace(SUCCEEDED, ended_at=NOW - timedelta(days=1))))

    assert report is not None
    assert report.fields["rotations"][0]["duration"] == "0s"


def test_an_open_one_is_told_also_where_the_resource_asks_for_none() -> None:
    trouble = Failure(Step.SET_PENDING, InvalidSpecError.code, "spec.rotation was removed")

    condition = told(look(OPEN, trouble=trouble), resource(None))

    assert condition is not None
    assert condition[1] == "SetPendingFailed"


def test_a_status_that_says_the_same_is_the_same() -> None:
    first = status_of(
        Report(1, SECRET, rotation=rotation_report(ROTATED, look(SUCCEEDED))), {}, NOW
    )
    acting = look(SUCCEEDED, is_acting=True)

    again = status_of(Report(1, SECRET, rotation=rotation_report(ROTATED, acting)), first, NOW)

    assert again == first
