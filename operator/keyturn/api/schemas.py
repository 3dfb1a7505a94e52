"""What goes over the socket, as JSON; both ends make and read it here.

Values travel in base64, as bytes need not be text. The JSON of a value is a copy that cannot be
zeroed; it never leaves the two processes and the socket between them.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from keyturn.domain.duration import format_duration
from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.rotation import Rotation, RotationSpec
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.stage import Stage
from keyturn.domain.version import Version
from keyturn.services.clock import timestamp
from keyturn.store.journal import Journal

Json = dict[str, Any]

MAX_LABEL = 128
"""The most characters of who asks, and of a token."""


def time_of(moment: datetime | None) -> str | None:
    """Write a time as Kubernetes does.

    >>> time_of(datetime.fromisoformat("2030-01-02T03:04:05.000678+00:00"))
    '2030-01-02T03:04:05Z'
    """
    return None if moment is None else timestamp(moment)


def version_document(secret: Secret, version: Version) -> Json:
    """Tell all about a version but its values."""
    return {
        "version": version.number,
        "stage": secret.stages.of(version.number),
        "createdTime": time_of(version.created_at),
        "reason": version.reason,
        "keyId": version.key_id,
        "keys": sorted(version.origins),
    }


def secret_document(secret: Secret) -> Json:
    """Tell about a secret what a list of them shows."""
    return {
        "namespace": secret.name.namespace,
        "name": secret.name.name,
        "id": str(secret.id),
        "state": "Live" if secret.deleted_at is None else "Deleted",
        "createdTime": time_of(secret.created_at),
        "deletedTime": time_of(secret.deleted_at),
        "purgeTime": time_of(secret.purge_after),
        "currentVersion": secret.stages.current,
        "previousVersion": secret.stages.previous,
        "pendingVersion": secret.stages.pending,
        "versions": len(secret.versions),
    }


def description_document(secret: Secret, awaiting: Sequence[str], problem: str) -> Json:
    """Tell all about a secret but its values."""
    shown = secret.current or secret.newest
    return secret_document(secret) | {
        "reclaimPolicy": secret.retention.policy,
        "recoveryWindow": format_duration(secret.retention.window),
        "keys": sorted(shown.origins) if shown else [],
        "awaiting": list(awaiting),
        "problem": problem,
        "targets": [
            {"name": p.native_name, "version": p.version, "owned": p.owned, "keys": list(p.keys)}
            for p in secret.projected
        ],
    }


def chosen_document(secret: Secret, number: int, payload: Payload | None) -> Json:
    """Tell about one version, and its values where there is a payload."""
    name = {"namespace": secret.name.namespace, "name": secret.name.name}
    document = name | version_document(secret, secret.version(number))
    return document if payload is None else document | {"values": _encoded(payload)}


def encode(request: Json) -> bytes:
    return json.dumps(request).encode()


def get_request(version: int | None, stage: Stage, *, reveal_values: bool) -> Json:
    return {"version": version, "stage": stage, "reveal": reveal_values}


def read_get(body: bytes) -> tuple[int | None, Stage, bool]:
    """Raises: InvalidParameterError."""
    asked = _object(body, {"version", "stage", "reveal"})
    version = asked.get("version")
    stage, reveal = asked.get("stage", Stage.CURRENT), asked.get("reveal", False)
    if stage not in list(Stage) or not isinstance(reveal, bool):
        raise InvalidParameterError("'stage' must be Current, Previous or Pending, 'reveal' a bool")
    return None if version is None else _number(version, "version"), Stage(stage), reveal


def put_request(values: Mapping[str, SecretValue]) -> Json:
    return {"values": _encoded(values)}


def read_put(body: bytes) -> Payload:
    """Read the values of a put; the caller zeroes them. Raises: InvalidParameterError."""
    values = _object(body, {"values"}).get("values")
    if not isinstance(values, dict) or not values:
        raise InvalidParameterError("'values' must be an object of keys and values in base64")
    return Payload(values_of({"values": values}))


def values_of(document: Json) -> dict[str, SecretValue]:
    """Read the values out of a document; the caller zeroes them.

    Raises:
        InvalidParameterError: a value is not base64.
    """
    return {key: _decoded(key, value) for key, value in document["values"].items()}


def rollback_request(to: int, by: str, *, force: bool = False) -> Json:
    return {"to": to, "by": by, "force": force}


def read_rollback(body: bytes) -> tuple[int, str, bool]:
    """Read the version, who asks, and whether consumers count. Raises: InvalidParameterError."""
    asked = _object(body, {"to", "by", "force"})
    return _number(asked.get("to"), "to"), _label(asked, "by"), _flag(asked, "force")


def rotate_request(by: str, token: str = "", *, force: bool = False) -> Json:
    return {"by": by, "token": token, "force": force}


def read_rotate(body: bytes) -> tuple[str, str, bool]:
    """Read who asks, the token, and whether consumers count. Raises: InvalidParameterError."""
    asked = _object(body, {"by", "token", "force"})
    return _label(asked, "by"), _label(asked, "token"), _flag(asked, "force")


def rotation_document(rotation: Rotation) -> Json:
    """Tell all about one rotation."""
    failure, lasted = rotation.failure, rotation.lasted
    return {
        "id": str(rotation.id),
        "version": rotation.number,
        "cause": rotation.cause,
        "by": rotation.requested_by,
        "token": rotation.token,
        "step": None if rotation.outcome else rotation.step,
        "outcome": rotation.outcome,
        "beganTime": time_of(rotation.began_at),
        "endedTime": time_of(rotation.ended_at),
        "duration": format_duration(lasted) if lasted is not None else None,
        "failures": rotation.failures,
        "code": failure.code if failure else None,
        "message": f"{failure.step} failed: {failure.message}" if failure else None,
        "retryTime": time_of(rotation.retry_at),
        "givenUp": rotation.give_up or None,
    }


def journal_document(name: SecretName, journal: Journal) -> Json:
    """Tell what is known of the rotations of a secret, the newest first."""
    return {
        "namespace": name.namespace,
        "name": name.name,
        "items": [rotation_document(rotation) for rotation in journal.rotations],
    }


def outlook_document(
    spec: RotationSpec, journal: Journal, next_time: datetime | None, waiting: str = ""
) -> Json:
    """Tell how a secret is rotated; the newest rotation is the one that is open, if one is."""
    newest = journal.rotations[0] if journal.rotations else None
    frozen = journal.frozen
    return {
        "strategy": spec.strategy,
        "rotator": f"{spec.rotator.kind}/{spec.rotator.name}" if spec.rotator else None,
        "suspended": spec.suspend,
        "frozen": {"version": frozen.version, "workload": frozen.workload} if frozen else None,
        "nextTime": time_of(next_time),
        "waiting": waiting or None,
        "newest": rotation_document(newest) if newest else None,
    }


def unread_document(name: SecretName, problem: str) -> Json:
    """Tell of a secret whose resource cannot be read."""
    return {"namespace": name.namespace, "name": name.name, "problem": problem}


def rotated_document(resource: ManagedSecret) -> Json:
    """Tell of a resource that is rotated what a selection of them needs."""
    return {
        "namespace": resource.namespace,
        "name": resource.name.name,
        "labels": dict(resource.labels),
    }


def read_purge(body: bytes) -> bool:
    """Raises: InvalidParameterError."""
    return _flag(_object(body, {"confirm"}), "confirm")


def key_document(line: SecretValue) -> Json:
    """Hold the exported form of the default key, and zero the one that was given."""
    with line:
        return {"key": bytes(line.reveal()).decode()}


def _encoded(values: Mapping[str, SecretValue]) -> dict[str, str]:
    return {key: base64.b64encode(value.reveal()).decode() for key, value in values.items()}


def _decoded(key: str, value: object) -> SecretValue:
    try:
        if isinstance(value, str):
            return SecretValue(bytearray(base64.b64decode(value, validate=True)))
    except (binascii.Error, ValueError):
        pass  # Not raised from here: the error would bring the value with it.
    raise InvalidParameterError(f"the value of {key!r} is not base64")


def _object(body: bytes, fields: set[str]) -> Json:
    """Read a JSON object of known fields; no error shows what stands in it."""
    try:
        parsed = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict) or parsed.keys() - fields:
        raise InvalidParameterError(
            f"the body must be a JSON object of {', '.join(sorted(fields))}"
        )
    return parsed


def _flag(asked: Mapping[str, Any], field: str) -> bool:
    value = asked.get(field, False)
    if not isinstance(value, bool):
        raise InvalidParameterError(f"{field!r} must be true or false")
    return value


def _label(asked: Mapping[str, Any], field: str) -> str:
    """Read a short text that is shown to people."""
    text = asked.get(field, "")
    if not isinstance(text, str) or len(text) > MAX_LABEL or not text.isprintable():
        raise InvalidParameterError(f"{field!r} must be a text of at most {MAX_LABEL} characters")
    return text


def _number(value: object, field: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise InvalidParameterError(f"'{field}' must be the number of a version")
    return value
