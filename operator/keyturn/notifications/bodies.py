"""The bodies that a rotation event is sent as; none holds a value, or a text of a target.

CloudEvents 1.0 in its structured JSON form; an event as EventBridge gives it to its targets; and
that one in a notification as SNS posts it to an HTTP endpoint.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import quote

from keyturn.domain.rotation_event import EventKind, RotationEvent

ACCOUNT, REGION = "000000000000", "keyturn"
"""What stands where AWS names the account and the region: there are none."""

SNS_SUBJECT_LENGTH = 100
"""SNS has no longer subjects."""

Json = Mapping[str, Any]


class Format(StrEnum):
    """The form of the bodies."""

    CLOUDEVENTS = "cloudevents"
    SNS = "sns"
    EVENTBRIDGE = "eventbridge"


class Body(NamedTuple):
    """A body, and the headers that say what it is."""

    headers: Mapping[str, str]
    content: bytes


def body_of(form: Format, event: RotationEvent, cluster_uid: str) -> Body:
    """Write an event; the same event of the same cluster is always the same bytes."""
    return _FORMS[form](event, cluster_uid)


def _cloudevents(event: RotationEvent, cluster_uid: str) -> Body:
    namespace, name = quote(event.name.namespace), quote(event.name.name)
    content = {
        "specversion": "1.0",
        "id": str(event.id),
        "source": f"/clusters/{quote(cluster_uid)}/namespaces/{namespace}/managedsecrets/{name}",
        "type": _TYPES[event.kind],
        "subject": str(event.name),
        "time": _time(event.time, "microseconds"),
        "datacontenttype": "application/json",
        "data": _data(event),
    }
    return Body({"Content-Type": "application/cloudevents+json"}, _encoded(content))


def _data(event: RotationEvent) -> Json:
    rotation: dict[str, Any] = {
        "id": str(event.rotation_id),
        "version": event.version,
        "cause": event.cause,
    }
    if event.requested_by:
        rotation["requestedBy"] = event.requested_by
    secret = {
        "id": str(event.secret_id),
        "namespace": event.name.namespace,
        "name": event.name.name,
        "uid": event.resource_uid,
    }
    data = {"secret": secret, "rotation": rotation}
    return {**data, "failure": {"step": event.step, "code": event.code}} if event.code else data


def _eventbridge(event: RotationEvent, _: str) -> Body:
    return Body({"Content-Type": "application/json"}, _encoded(_service_event(event)))


def _service_event(event: RotationEvent) -> Json:
    """Describe an event as the service events of AWS Secrets Manager are: their patterns match."""
    # As there, a secret that was made anew under its name has another suffix.
    named = f"{event.name}-{event.secret_id.hex[:6]}"
    detail: dict[str, Any] = {
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": event.kind.value,
        "eventType": "AwsServiceEvent",
        "additionalEventData": {
            "SecretId": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{named}"
        },
    }
    if event.code:
        detail["errorCode"] = event.code
    return {
        "version": "0",
        "id": str(event.id),
        "detail-type": "AWS Service Event via CloudTrail",
        "source": "aws.secretsmanager",
        "account": ACCOUNT,
        "time": _time(event.time, "seconds"),
        "region": REGION,
        "resources": [],
        "detail": detail,
    }


def _sns(event: RotationEvent, cluster_uid: str) -> Body:
    """Write what a topic would post that a rule of EventBridge feeds.

    It has no signature of SNS, which only AWS can make, and so none of the fields about one.
    """
    topic = f"arn:keyturn:sns:{REGION}:{cluster_uid}:rotations"
    content = {
        "Type": "Notification",
        "MessageId": str(event.id),
        "TopicArn": topic,
        "Subject": f"{event.kind.value} {event.name}"[:SNS_SUBJECT_LENGTH],
        "Message": _encoded(_service_event(event)).decode(),
        "Timestamp": _time(event.time, "milliseconds"),
    }
    headers = {
        "Content-Type": "text/plain; charset=UTF-8",
        "x-amz-sns-message-type": "Notification",
        "x-amz-sns-message-id": str(event.id),
        "x-amz-sns-topic-arn": topic,
    }
    return Body(headers, _encoded(content))


def _encoded(content: Json) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _time(moment: datetime, precision: str) -> str:
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


_FORMS: Mapping[Format, Callable[[RotationEvent, str], Body]] = {
    Format.CLOUDEVENTS: _cloudevents,
    Format.SNS: _sns,
    Format.EVENTBRIDGE: _eventbridge,
}

_TYPES: Mapping[EventKind, str] = {
    EventKind.STARTED: "dev.keyturn.rotation.started.v1",
    EventKind.SUCCEEDED: "dev.keyturn.rotation.succeeded.v1",
    EventKind.FAILED: "dev.keyturn.rotation.failed.v1",
    EventKind.ABANDONED: "dev.keyturn.rotation.abandoned.v1",
    EventKind.ROLLED_BACK: "dev.keyturn.rotation.rolledback.v1",
}
