"""The three forms of an event: what is in them, and what is not."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from keyturn.domain.rotation_event import EventKind, RotationEvent
from keyturn.domain.secret import SecretName
from keyturn.notifications.bodies import SNS_SUBJECT_LENGTH, Format, body_of

CLUSTER = "5f8b1c9e-0d3a-4f8e-9a53-0c1f5f1d2b77"
SUCCEEDED = RotationEvent(
    id=UUID("7d0f3c0a-5f0a-5d0c-8f43-1f7a5f3f9a10"),
    kind=EventKind.SUCCEEDED,
    time=datetime(2026, 9, 12, 1, 3, 20, 125000, tzinfo=UTC),
    secret_id=UUID("0b5f9c1e-8f4c-4b62-9d4e-6a3d1c2b7f00"),
    name=SecretName("shop", "orders-db"),
    resource_uid="uid-of-resource",
    rotation_id=UUID("f3a1d7c2-2b6e-4d5f-9a0c-7e1b3c5d9f21"),
    version=7,
    cause="Schedule",
)
FAILED = replace(
    SUCCEEDED,
    kind=EventKind.FAILED,
    requested_by="jo",
    step="setPending",
    code="TargetRefused",
)
every_form = pytest.mark.parametrize("form", Format)
every_kind = pytest.mark.parametrize("kind", EventKind)


def sent(form: Format, event: RotationEvent = SUCCEEDED) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(body_of(form, event, CLUSTER).content)
    return content


@every_form
def test_the_same_event_is_the_same_bytes(form: Format) -> None:
    assert body_of(form, SUCCEEDED, CLUSTER) == body_of(form, replace(SUCCEEDED), CLUSTER)


@every_form
def test_a_time_of_another_zone_is_told_in_utc(form: Format) -> None:
    elsewhere = SUCCEEDED.time.astimezone(timezone(timedelta(hours=2)))

    assert sent(form, replace(SUCCEEDED, time=elsewhere)) == sent(form)


# CloudEvents


def test_a_cloud_event_has_what_the_specification_requires() -> None:
    """Version 1.0.2, 'REQUIRED Attributes', and the structured mode of its HTTP binding."""
    content = sent(Format.CLOUDEVENTS)

    assert {"id", "source", "specversion", "type"} <= content.keys()
    assert content["specversion"] == "1.0"
    assert all(isinstance(value, str) and value for k, value in content.items() if k != "data")
    # Names of attributes are lower-case letters and digits.
    assert all(name.isascii() and name.isalnum() and name.islower() for name in content)
    headers = body_of(Format.CLOUDEVENTS, SUCCEEDED, CLUSTER).headers
    assert headers == {"Content-Type": "application/cloudevents+json"}


def test_a_cloud_event_tells_which_secret_and_which_rotation() -> None:
    content = sent(Format.CLOUDEVENTS)

    assert content["id"] == str(SUCCEEDED.id)
    assert content["source"] == f"/clusters/{CLUSTER}/namespaces/shop/managedsecrets/orders-db"
    assert content["subject"] == "shop/orders-db"
    assert datetime.fromisoformat(content["time"]) == SUCCEEDED.time
    assert content["data"] == {
        "secret": {
            "id": str(SUCCEEDED.secret_id),
            "namespace": "shop",
            "name": "orders-db",
            "uid": "uid-of-resource",
        },
        "rotation": {"id": str(SUCCEEDED.rotation_id), "version": 7, "cause": "Schedule"},
    }


def test_a_failure_is_told_by_its_step_and_code() -> None:
    data = sent(Format.CLOUDEVENTS, FAILED)["data"]

    assert data["failure"] == {"step": "setPending", "code": "TargetRefused"}
    assert data["rotation"]["requestedBy"] == "jo"
    detail = sent(Format.EVENTBRIDGE, FAILED)["detail"]
    assert detail["errorCode"] == "TargetRefused"


@every_kind
def test_each_kind_has_a_type_of_its_own(kind: EventKind) -> None:
    word = kind.value.removeprefix("Rotation").lower()

    content = sent(Format.CLOUDEVENTS, replace(SUCCEEDED, kind=kind))

    assert content["type"] == f"dev.keyturn.rotation.{word}.v1"


# EventBridge


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """Match as EventBridge does: a list holds the values that are allowed."""
    return all(
        matches(wanted, event[key]) if isinstance(wanted, dict) else event[key] in wanted
        for key, wanted in pattern.items()
    )


@every_kind
def test_a_pattern_for_aws_secrets_manager_matches(kind: EventKind) -> None:
    pattern = {
        "source": ["aws.secretsmanager"],
        "detail-type": ["AWS Service Event via CloudTrail"],
        "detail": {
            "eventSource": ["secretsmanager.amazonaws.com"],
            "eventName": [kind.value],
            "eventType": ["AwsServiceEvent"],
        },
    }

    assert matches(pattern, sent(Format.EVENTBRIDGE, replace(SUCCEEDED, kind=kind)))


def test_an_event_of_eventbridge_has_its_envelope() -> None:
    content = sent(Format.EVENTBRIDGE)

    assert content.keys() == {
        *("version", "id", "detail-type", "source", "account"),
        *("time", "region", "resources", "detail"),
    }
    assert content["version"] == "0"
    assert content["time"] == "2026-09-12T01:03:20Z"
    assert content["resources"] == []
    arn = "arn:aws:secretsmanager:keyturn:000000000000:secret:shop/orders-db-0b5f9c"
    assert content["detail"]["additionalEventData"] == {"SecretId": arn}


# SNS


def test_a_notification_holds_the_event_of_eventbridge_as_text() -> None:
    content = sent(Format.SNS)

    assert json.loads(content["Message"]) == sent(Format.EVENTBRIDGE)
    assert content["Type"] == "Notification"
    assert content["Timestamp"] == "2026-09-12T01:03:20.125Z"
    assert content["Subject"] == "RotationSucceeded shop/orders-db"


def test_the_headers_of_a_notification_say_what_its_body_says() -> None:
    headers, content = body_of(Format.SNS, SUCCEEDED, CLUSTER)
    body = json.loads(content)

    assert headers["x-amz-sns-message-type"] == body["Type"]
    assert headers["x-amz-sns-message-id"] == body["MessageId"] == str(SUCCEEDED.id)
    assert headers["x-amz-sns-topic-arn"] == body["TopicArn"]


def test_a_notification_does_not_pretend_to_be_signed_by_sns() -> None:
    assert not [field for field in sent(Format.SNS) if "Sign" in field or "URL" in field]


def test_a_subject_is_no_longer_than_sns_has_them() -> None:
    long = replace(SUCCEEDED, name=SecretName("n" * 63, "s" * 253))

    assert len(sent(Format.SNS, long)["Subject"]) == SNS_SUBJECT_LENGTH
