from datetime import timedelta
from typing import Any

import pytest

from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.managed_secret import DataKey, Generate, Input
from keyturn.domain.rotation import Overlap, RotationSpec, RotatorRef, Strategy, Timing
from keyturn.kube.resource_schema import Rotation
from keyturn.kube.rotations import rotation_of

USER = DataKey("user", Input(), ("user",))
PASSWORD = DataKey("password", Generate("password"), ("password",))
ROTATOR = {"rotatorRef": {"kind": "Rotator", "name": "shop-pg"}, "strategy": "SingleUser"}


def rotation(*data: DataKey, **written: Any) -> RotationSpec:
    return rotation_of(Rotation.model_validate(written), data or (USER, PASSWORD))


def refusal(**written: Any) -> str:
    with pytest.raises(InvalidSpecError) as caught:
        rotation(**written)
    return str(caught.value)


def test_the_defaults_are_resolved() -> None:
    assert rotation() == RotationSpec(
        timing=Timing(
            schedule="",
            interval=None,
            time_zone="Etc/UTC",
            window=None,
            jitter=timedelta(0),
        ),
        strategy=Strategy.REGENERATE,
        rotator=None,
        keys=(),
        suspend=False,
        overlap=None,
        max_failures=10,
    )


def test_what_the_author_wrote_is_read() -> None:
    written = rotation(
        schedule="0 3 * * 6",
        timeZone="Europe/Berlin",
        window="2h",
        jitter="30m",
        suspend=True,
        rotatorRef={"kind": "ClusterRotator", "name": "pg"},
        strategy="AlternatingUsers",
        keys={"username": "user"},
        overlap={"max": "1d"},
        maxFailures=3,
    )

    assert written == RotationSpec(
        timing=Timing(
            schedule="0 3 * * 6",
            time_zone="Europe/Berlin",
            window=timedelta(hours=2),
            jitter=timedelta(minutes=30),
        ),
        strategy=Strategy.ALTERNATING_USERS,
        rotator=RotatorRef("ClusterRotator", "pg"),
        keys=(("username", "user"),),
        suspend=True,
        overlap=Overlap(timedelta(days=1)),
        max_failures=3,
    )


@pytest.mark.parametrize(
    "written",
    [
        {"interval": "5m"},
        {"interval": "3650d"},
        {"interval": "1h", "jitter": "1h", "window": "30d"},
        {"schedule": "rate(10 days)", "jitter": "1d"},
        {"interval": "9d", "window": "2h", "jitter": "1h"},
        {"schedule": "0 9-17 * * *", "jitter": "1h"},
        {"overlap": {"max": "0s"}, "suspend": True},
        {"overlap": {"until": "Time", "max": "365d"}},
        {"strategy": "Regenerate", "schedule": "@daily"},
    ],
)
def test_what_is_just_within_bounds_is_taken(written: dict[str, Any]) -> None:
    assert rotation(**written).strategy is Strategy.REGENERATE


@pytest.mark.parametrize(
    ("written", "what"),
    [
        (
            {"schedule": "0 3 * * 6", "interval": "30d"},
            "spec.rotation has a schedule and an interval; write one of them",
        ),
        ({"schedule": ""}, "spec.rotation.schedule is empty; write for example 0 3 * * 6"),
        ({"schedule": "nightly"}, "spec.rotation.schedule has 1 fields; write minute hour"),
        ({"schedule": "0 3 30 2 *"}, "spec.rotation.schedule has a wrong day-of-month"),
        ({"schedule": "* * * * *"}, "spec.rotation.schedule has times that are 1m apart"),
        ({"schedule": "rate(1 hour)"}, "spec.rotation.schedule is no rate of AWS's"),
        (
            {"schedule": "0 3 * * 6", "timeZone": "Mars/Olympus"},
            "spec.rotation.timeZone is no time zone of the IANA database; write for example",
        ),
        (
            {"interval": "30d", "timeZone": "Etc/UTC"},
            "spec.rotation.timeZone is that of a schedule; write schedule, or leave out",
        ),
        ({"timeZone": "Etc/UTC"}, "spec.rotation.timeZone is that of a schedule"),
        ({"interval": "4m59s"}, "spec.rotation.interval is out of bounds; write 5m to 3650d"),
        ({"interval": "3651d"}, "spec.rotation.interval is out of bounds; write 5m to 3650d"),
        ({"interval": "30"}, "spec.rotation.interval is no duration; write for example 30m"),
        ({"interval": "1d", "window": "4m"}, "spec.rotation.window is out of bounds; write 5m to"),
        ({"interval": "1d", "window": "31d"}, "spec.rotation.window is out of bounds; write 5m to"),
        ({"window": "2h"}, "spec.rotation.window needs a schedule or an interval; write one"),
        ({"jitter": "2h"}, "spec.rotation.jitter needs a schedule or an interval; write one"),
        ({"interval": "9d", "jitter": "25h"}, "spec.rotation.jitter is out of bounds; write 0s to"),
        (
            {"interval": "9d", "window": "2h", "jitter": "1h1s"},
            "spec.rotation.jitter is longer than half the window; write at most 1h",
        ),
        (
            {"interval": "2h", "jitter": "3h"},
            "spec.rotation.jitter is longer than the time between two rotations; write at most 2h",
        ),
        (
            {"schedule": "0 9-17 * * *", "jitter": "2h"},
            "spec.rotation.jitter is longer than the time between two rotations; write at most 1h",
        ),
        (
            {"overlap": {"max": "366d"}},
            "spec.rotation.overlap.max is out of bounds; write 0s to 365d",
        ),
        (
            {"strategy": "SingleUser"},
            "spec.rotation.rotatorRef is missing; strategy SingleUser needs a rotator",
        ),
        (
            {"rotatorRef": {"kind": "Rotator", "name": "pg"}},
            "spec.rotation.strategy must be written with rotatorRef: SingleUser or Alternating",
        ),
        (
            {"rotatorRef": {"kind": "Rotator", "name": "pg"}, "strategy": "Regenerate"},
            "spec.rotation.strategy must be written with rotatorRef",
        ),
        (
            {"keys": {"username": "user"}},
            "spec.rotation.keys names values of a rotator; write rotatorRef, or leave out",
        ),
        (
            {**ROTATOR, "keys": {"username": "login"}},
            "spec.rotation.keys.username names the key login, which spec.data does not give",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(written: dict[str, Any], what: str) -> None:
    assert what in refusal(**written)


def test_regenerating_needs_something_to_generate() -> None:
    with pytest.raises(InvalidSpecError, match="nothing to make anew; write a key of"):
        rotation(USER, interval="30d")

    assert rotation(USER, **ROTATOR).strategy is Strategy.SINGLE_USER
