"""What is to be done about a rotation, as a table."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.rotation import Cause, Outcome, Rotation, RotationState, Step
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.stage import Stage, Stages
from keyturn.kube.resources import parse
from keyturn.services.rotation.deciding import MAX_TOKEN, Decision, decide, next_rotation, token_of
from keyturn.store.journal import Journal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
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
    return Secret(ID, "u", SecretName("shop", "db"), "u", NOW, Stages(held))


def rotation(step: Step = Step.SET_PENDING, **fields: Any) -> Rotation:
    return Rotation(ID, ID, 2, step, Cause.SCHEDULE, NOW, **fields)


def journal(*rotations: Rotation, age: timedelta = DAY, **state: Any) -> Journal:
    return Journal(RotationState(NOW - age, **state), rotations)


def decided(
    about: ManagedSecret, found: Secret, known: Journal, *, urgent: bool = False
) -> Decision:
    assert about.spec.rotation is not None
    return decide(about, about.spec.rotation, found, known, now=NOW, urgent=urgent)


IS_CURRENT = secret(current=1)
TWO = secret(current=2, previous=1)
OVER = rotation(outcome=Outcome.SUCCEEDED)


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
            journal(rotation(retry_at=NOW + DAY)),
            Decision(wake=NOW + DAY),
        ),
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


def test_news_end_a_back_off() -> None:
    known = journal(rotation(retry_at=NOW + DAY))

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
