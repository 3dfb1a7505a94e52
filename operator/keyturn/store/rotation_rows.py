"""The rows of the tables of the rotations, to and from the domain."""

import json
from datetime import datetime
from uuid import UUID

from keyturn.domain.rotation import Cause, Failure, Outcome, Rotation, Step
from keyturn.domain.rotation_event import EventKind, RotationEvent
from keyturn.domain.secret import SecretName
from keyturn.store.rows import Row, from_microseconds, to_microseconds

ROTATION_COLUMNS = (
    "id, secret_id, number, step, cause, began_at, requested_by, token, failures,"
    " failed_step, failed_code, failed_text, retry_at, give_up, outcome, ended_at"
)


def rotation_row(rotation: Rotation) -> tuple[object, ...]:
    failure, outcome = rotation.failure, rotation.outcome
    return (
        rotation.id.bytes,
        rotation.secret_id.bytes,
        rotation.number,
        rotation.step.value,
        rotation.cause.value,
        to_microseconds(rotation.began_at),
        rotation.requested_by,
        rotation.token,
        rotation.failures,
        failure.step.value if failure else None,
        failure.code if failure else None,
        failure.message if failure else None,
        _optional(rotation.retry_at),
        rotation.give_up,
        outcome.value if outcome else None,
        _optional(rotation.ended_at),
    )


def to_rotation(row: Row) -> Rotation:
    rotation_id, secret_id, number, step, cause, began_at, by, token, failures, *rest = row
    failed_step, failed_code, failed_text, retry_at, give_up, outcome, ended_at = rest
    return Rotation(
        id=UUID(bytes=rotation_id),
        secret_id=UUID(bytes=secret_id),
        number=number,
        step=Step(step),
        cause=Cause(cause),
        began_at=from_microseconds(began_at),
        requested_by=by,
        token=token,
        failures=failures,
        failure=Failure(Step(failed_step), failed_code, failed_text) if failed_step else None,
        retry_at=None if retry_at is None else from_microseconds(retry_at),
        give_up=give_up,
        outcome=Outcome(outcome) if outcome else None,
        ended_at=None if ended_at is None else from_microseconds(ended_at),
    )


def encode_event(event: RotationEvent) -> str:
    return json.dumps(
        {
            "id": str(event.id),
            "kind": event.kind.value,
            "time": to_microseconds(event.time),
            "secretId": str(event.secret_id),
            "namespace": event.name.namespace,
            "name": event.name.name,
            "resourceUid": event.resource_uid,
            "rotationId": str(event.rotation_id),
            "version": event.version,
            "cause": event.cause,
            "requestedBy": event.requested_by,
            "step": event.step,
            "code": event.code,
        }
    )


def decode_event(document: str) -> RotationEvent:
    told = json.loads(document)
    return RotationEvent(
        id=UUID(told["id"]),
        kind=EventKind(told["kind"]),
        time=from_microseconds(told["time"]),
        secret_id=UUID(told["secretId"]),
        name=SecretName(told["namespace"], told["name"]),
        resource_uid=told["resourceUid"],
        rotation_id=UUID(told["rotationId"]),
        version=told["version"],
        cause=told["cause"],
        requested_by=told["requestedBy"],
        step=told["step"],
        code=told["code"],
    )


def _optional(moment: datetime | None) -> int | None:
    return None if moment is None else to_microseconds(moment)
