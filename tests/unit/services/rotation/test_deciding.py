"""What is to be done about a rotation, as a table."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.rotation import Cause, Frozen, Outcome, Rotation, RotationState, Step
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.stage import Stage, Stages
from keyturn.domain.version import Version, VersionReason
from keyturn.kube.resources import parse
from keyturn.services.rotation.deciding import MAX_TOKEN, Decision, decide, next_rotation, token_of
from keyturn.services.rotation.gating import UNSEEN, Sight
from keyturn.store.journal import Journal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SOON_AGAIN = timedelta(minutes=15)
ID = UUID("6f1e6b0a-5a63-4a9b-8a43-2f1b8f2b6c11")
ROTATOR: dict[str, Any] = {
    "rotatorRef": {"kind": "Rotator", "name": "db"},
    "strategy": "SingleUser",
}


def resource(token: str = "", **rotation: Any) -> ManagedSecret:
    annotations = {"keyturn.dev/rotate": token} if token else {}
    body = {
        "metadata": {
            "name": "db",
            "namespace": "shop",
            "uid": "u",
            "generation": 1,
            "annotations": annotations,
        },
        "spec": {
            "data": [{"key": "password", "generate": {"password": {}}}],
            "rotation": {"interval": "30d", **rotation},
        },
    }
    return parse(body, outputs_of=lambda _, key, __: {"password": key})


def secret(**stages: int) -> Secret:
    held = {Stage[name.upper()]: number for name, number in stages.items()}
    made = [
        Version(number, ID, NOW, VersionReason.ROTATED, "key") for number in sorted(held.values())
    ]
    name = SecretName("shop", "db")
    return Secret(ID, "u", name, "u", NOW, Stages(held), versions=made)


def rotation(step: Step = Step.SET_PENDING, **fields: Any) -> Rotation:
    return Rotation(ID, ID, 2, step, Cause.SCHEDULE, NOW, **fields)


def journal(*rotations: Rotation, age: timedelta = DAY, **state: Any) -> Journal:
    return Journal(RotationState(NOW - age, **state), rotations)


def decided(about: ManagedSecret, found: Secret, known: Journal, **more: Any) -> Decision:
    assert about.spec.rotation is not None
    return decide(about, about.spec.rotation, found, known, now=NOW, **{"urgent": False, **more})


IS_CURRENT = secret(current=1)
TWO = secret(current=2, previous=1)
OVER = rotation(outcome=Outcome.SUCCEEDED, ended_at=NOW - DAY)
LONG_OVER = rotation(outcome=Outcome.SUCCEEDED, ended_at=NOW - 3 * DAY)


@pytest.mark.parametrize(
    ("about", "found", "known", "expected"),
    [
        # The first one
        (resource(**ROTATOR), secret(), journal(), Decision(Cause.INITIAL)),
        (resource("t", **ROTATOR), secret(), journal(), Decision(Cause.INITIAL)),
        (resource(), secret(), journal(), Decision(wake=NOW + 29 * DAY)),
        # Asked for
        (resource("t"), IS_CURRENT, journal(), Decision(Cause.REQUEST)),
        (resource("t", suspend=True), IS_CURRENT, journal(), Decision(Cause.REQUEST)),
        (
            resource("t"),
            IS_CURRENT,
            journal(handled_token="t"),
            Decision(wake=NOW + 29 * DAY),
        ),
        (resource("t"), TWO, journal(OVER, retire_at=NOW + DAY), Decision(Cause.REQUEST)),
        # By the clock
        (resource(), IS_CURRENT, journal(age=30 * DAY), Decision(Cause.SCHEDULE)),
        (resource(), IS_CURRENT, journal(age=300 * DAY), Decision(Cause.SCHEDULE)),
        (resource(suspend=True), IS_CURRENT, journal(age=300 * DAY), Decision()),
        (resource(), IS_CURRENT, Journal(None), Decision()),
        # The end of the overlap
        (resource(), TWO, journal(retire_at=NOW), Decision(retires=True)),
        (resource(), TWO, journal(retire_at=NOW + DAY), Decision(wake=NOW + DAY)),
        (resource(suspend=True), TWO, journal(retire_at=NOW), Decision(retires=True)),
        (resource(), IS_CURRENT, journal(retire_at=NOW), Decision(wake=NOW + 29 * DAY)),
        (
            resource(),
            TWO,
            journal(age=30 * DAY, retire_at=NOW + DAY),
            Decision(wake=NOW + DAY),
        ),
        (resource(), TWO, journal(age=30 * DAY, retire_at=NOW), Decision(Cause.SCHEDULE)),
        # One that is open
        (resource("t"), IS_CURRENT, journal(rotation()), Decision(resumes=True)),
        (resource("t"), IS_CURRENT, journal(rotation(Step.PROJECT)), Decision()),
        (
            resource(),
            IS_CURRENT,
            journal(rotation(retry_at=NOW + SOON_AGAIN)),
            Decision(wake=NOW + SOON_AGAIN),
        ),
        (resource(), IS_CURRENT, journal(rotation(retry_at=NOW + DAY)), Decision(resumes=True)),
        (resource(), IS_CURRENT, journal(rotation(retry_at=NOW)), Decision(resumes=True)),
        (resource(**ROTATOR), secret(), journal(rotation()), Decision(resumes=True)),
        (resource(), TWO, journal(rotation(), retire_at=NOW), Decision(resumes=True)),
    ],
)
def test_what_is_to_be_done(
    about: ManagedSecret, found: Secret, known: Journal, expected: Decision
) -> None:
    assert decided(about, found, known) == expected
    assert expected.acts is (expected.wake is None and expected != Decision())


MOVED: dict[str, Any] = {"overlap": {"until": "ConsumersMoved", "max": "3d"}}
WAITS = Sight(wake=NOW + timedelta(seconds=30))
GONE = Sight(has_moved=True)
SOON = Decision(wake=NOW + timedelta(seconds=30))
HELD = journal(OVER, retire_at=NOW + DAY)
DUE = journal(OVER, age=30 * DAY, retire_at=NOW + DAY)
FROZEN = Frozen(2, "Deployment/web")


@pytest.mark.parametrize(
    ("about", "known", "sight", "expected"),
    [
        # As long as somebody is waited for
        (resource(**MOVED), HELD, WAITS, SOON),
        (resource(**MOVED), HELD, UNSEEN, Decision(wake=NOW + DAY)),
        (resource("t", **MOVED), HELD, WAITS, SOON._replace(held_back=Cause.REQUEST)),
        (resource(**MOVED), DUE, WAITS, SOON._replace(held_back=Cause.SCHEDULE)),
        # When all have moved
        (resource(**MOVED), HELD, GONE, Decision(retires=True)),
        (resource("t", **MOVED), HELD, GONE, Decision(Cause.REQUEST)),
        (resource(**MOVED), DUE, GONE, Decision(Cause.SCHEDULE)),
        # At the latest
        (resource(**MOVED), journal(OVER, retire_at=NOW), WAITS, Decision(retires=True)),
        (resource("t", **MOVED), journal(OVER, retire_at=NOW), WAITS, Decision(Cause.REQUEST)),
        # Of before it was asked for: counted from the end of that rotation
        (resource("t", **MOVED), journal(OVER), WAITS, SOON._replace(held_back=Cause.REQUEST)),
        (resource("t", **MOVED), journal(LONG_OVER), WAITS, Decision(Cause.REQUEST)),
        # Who asks for a time alone waits for nobody
        (resource("t"), HELD, WAITS, Decision(Cause.REQUEST)),
        (resource(), HELD, GONE, Decision(wake=NOW + DAY)),
        # A rollout that failed, before all else
        (resource("t", **MOVED), DUE, Sight(failed="Deployment/web"), Decision(Cause.HEALTH)),
        (resource(suspend=True), HELD, Sight(failed="Deployment/web"), Decision(Cause.HEALTH)),
        # Standing still
        (resource(), journal(OVER, age=90 * DAY, frozen=FROZEN), UNSEEN, Decision()),
        (resource("t"), journal(OVER, frozen=FROZEN), UNSEEN, Decision(Cause.REQUEST)),
        (
            resource(),
            journal(OVER, frozen=FROZEN, retire_at=NOW),
            UNSEEN,
            Decision(retires=True),
        ),
    ],
)
def test_what_is_to_be_done_with_consumers(
    about: ManagedSecret, known: Journal, sight: Sight, expected: Decision
) -> None:
    assert decided(about, TWO, known, sight=sight) == expected


def test_a_change_waits_as_well_where_it_would_lock_out() -> None:
    waiting = decided(resource(**MOVED), TWO, HELD, sight=WAITS, wants_change=True)
    moved = decided(resource(), TWO, HELD, sight=UNSEEN, wants_change=True)

    assert waiting == SOON._replace(held_back=Cause.CHANGE)
    assert moved == Decision(Cause.CHANGE)


def test_a_schedule_that_waits_for_consumers_says_when_it_is_due() -> None:
    spec = resource(**MOVED).spec.rotation
    assert spec is not None

    assert next_rotation(spec, TWO, DUE, NOW) == NOW
    assert next_rotation(spec, TWO, journal(frozen=FROZEN), NOW) is None


def test_news_end_a_back_off() -> None:
    known = journal(rotation(retry_at=NOW + SOON_AGAIN))

    assert decided(resource(), IS_CURRENT, known, urgent=True) == Decision(resumes=True)


def test_the_next_time_is_after_the_overlap() -> None:
    spec = resource().spec.rotation
    assert spec is not None

    told = next_rotation(spec, TWO, journal(age=30 * DAY, retire_at=NOW + DAY), NOW)

    assert told == NOW + DAY
    assert next_rotation(spec, TWO, Journal(None), NOW) is None


def test_a_token_is_bounded() -> None:
    assert token_of(resource("x" * 1000)) == "x" * MAX_TOKEN
    assert token_of(resource()) == ""
