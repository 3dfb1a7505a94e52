from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from keyturn.domain.errors import TamperedError, TargetOwnedByOtherError
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.stage import Stages
from keyturn.domain.version import Version, VersionReason
from keyturn.services.status import Report, TargetReport, patch_of, status_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def secret(count: int = 1) -> Secret:
    versions = [
        Version(n, uuid4(), NOW, VersionReason.CREATED, "local-0") for n in range(1, count + 1)
    ]
    stages = Stages()
    for version in versions:
        stages = stages.promote(version.number)
    name = SecretName("shop", "db")
    return Secret(uuid4(), "n", name, "r", NOW, stages, versions=versions)


def report(**changes: Any) -> Report:
    given: dict[str, Any] = {
        "generation": 1,
        "secret": secret(),
        "targets": [TargetReport("db", "Opaque", synced=True, version=1)],
    }
    return Report(**{**given, **changes})


def ready(status: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(c for c in status["conditions"] if c["type"] == "Ready")
    return found


def test_an_unchanged_status_is_not_written() -> None:
    what = report()
    stood = status_of(what, {}, NOW)

    assert patch_of(status_of(what, stood, LATER), stood) is None


def test_a_secret_in_sync_is_ready() -> None:
    assert ready(status_of(report(), {}, NOW))["reason"] == "SecretSynced"


def test_an_error_is_told_by_its_code_and_words() -> None:
    error = TargetOwnedByOtherError("it is theirs")

    condition = ready(status_of(report(error=error), {}, NOW))

    assert (condition["status"], condition["reason"]) == ("False", "TargetOwnedByOther")
    assert condition["message"] == "it is theirs"


def test_every_failed_decryption_has_one_reason() -> None:
    condition = ready(status_of(report(error=TamperedError("x")), {}, NOW))

    assert condition["reason"] == "DecryptFailed"


def test_the_time_of_a_condition_moves_with_its_status_only() -> None:
    first = status_of(report(error=TamperedError("x")), {}, NOW)

    second = status_of(report(error=TargetOwnedByOtherError("y")), first, LATER)
    third = status_of(report(), second, LATER)

    assert ready(second)["lastTransitionTime"] == ready(first)["lastTransitionTime"]
    assert ready(third)["lastTransitionTime"] == "2030-01-01T01:00:00Z"


def test_the_history_shows_the_newest_version_first() -> None:
    status = status_of(report(secret=secret(3)), {}, NOW)

    assert [entry["version"] for entry in status["history"]] == [3, 2, 1]
    assert [entry.get("stage") for entry in status["history"]] == ["Current", "Previous", None]
    assert (status["currentVersion"], status["previousVersion"]) == (3, 2)


def test_drift_that_is_only_reported_is_told_and_taken_back() -> None:
    drifted = TargetReport("db", "Opaque", synced=False, drifted=("DataChanged(password)",))
    first = status_of(report(targets=[drifted]), {}, NOW)

    second = status_of(report(), first, LATER)

    assert first["conditions"][1]["status"] == "True"
    assert "password" in first["conditions"][1]["message"]
    assert second["conditions"][1]["status"] == "False"


def test_a_target_that_drifted_is_not_called_current() -> None:
    drifted = TargetReport("db", "Opaque", synced=False, drifted=("DataChanged(password)",))

    condition = ready(status_of(report(targets=[drifted]), {}, NOW))

    assert condition["status"] == "True"
    assert (
        condition["message"] == "Version 1 is Current; a target drifted, see the condition Drifted."
    )


def test_a_field_that_is_no_longer_true_is_taken_out() -> None:
    stood = status_of(report(secret=secret(2)), {}, NOW)

    patch = patch_of(status_of(report(secret=secret(1)), stood, NOW), stood)

    assert patch is not None
    assert patch["previousVersion"] is None
