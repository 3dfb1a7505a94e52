"""What a ManagedSecret's status says; pure.

A condition changes only when what it says changes, and no message holds a time or a value, so a
resource that did not change is never written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyturn.domain.errors import DecryptionFailedError, KeyturnError
from keyturn.domain.secret import Secret
from keyturn.services.clock import timestamp
from keyturn.services.consumers.reporting import CONDITION as MOVED
from keyturn.services.consumers.reporting import ConsumersReport
from keyturn.services.rotation.reporting import CONDITION, RotationReport

READY = "Ready"
SYNCED = "SecretSynced"
MESSAGE_LIMIT = 1024
VERSION_FIELDS = ("currentVersion", "previousVersion", "history")
OTHER_FIELDS = (
    "lastRotationTime",
    "nextRotationTime",
    "rotation",
    "rotations",
    "targets",
    "consumers",
)
FIELDS = ("observedGeneration", *VERSION_FIELDS, *OTHER_FIELDS, "conditions")


@dataclass(frozen=True, slots=True)
class TargetReport:
    """What became of one target."""

    name: str
    type: str
    synced: bool
    version: int | None = None
    drifted: tuple[str, ...] = ()
    """What differs, where the target only reports it."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a reconcile.

    One that is cut short by its error saw nothing of what would have come after it, and without a
    `secret` nothing of its versions: what the status says of these may still be true, and stays.
    """

    generation: int
    secret: Secret | None = None
    targets: Sequence[TargetReport] = ()
    error: KeyturnError | None = None
    rotation: RotationReport | None = None
    consumers: ConsumersReport | None = None
    is_cut_short: bool = False


def reason_of(error: KeyturnError) -> str:
    """Name the reason of a condition."""
    return DecryptionFailedError.code if isinstance(error, DecryptionFailedError) else error.code


def status_of(report: Report, old: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Make the whole status."""
    status: dict[str, Any] = {"observedGeneration": report.generation}
    if report.secret is not None:
        status.update(_versions(report.secret))
    elif report.is_cut_short:
        status.update(_kept(old, VERSION_FIELDS))
    status.update(_kept(old, OTHER_FIELDS) if report.is_cut_short else _others(report, old))
    status["conditions"] = _conditions(report, old.get("conditions") or [], now)
    return status


def patch_of(status: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any] | None:
    """Make the JSON merge patch (RFC 7396) from the old status; None if nothing changes."""
    patch = {field: status.get(field) for field in FIELDS if status.get(field) != old.get(field)}
    return patch or None


def _kept(old: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    return {field: old[field] for field in fields if field in old}


def _versions(secret: Secret) -> dict[str, Any]:
    history = [
        {
            "version": version.number,
            **({"stage": stage.value} if (stage := secret.stages.of(version.number)) else {}),
            "createdTime": timestamp(version.created_at),
            "reason": version.reason.value,
            "encryptionKey": "default",
        }
        for version in reversed(secret.versions)
    ]
    numbers = {
        "currentVersion": secret.stages.current,
        "previousVersion": secret.stages.previous,
    }
    return {**{name: n for name, n in numbers.items() if n is not None}, "history": history}


def _others(report: Report, old: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(report.rotation.fields) if report.rotation is not None else {}
    fields["targets"] = [_target(target) for target in report.targets]
    consumers = _consumers(report, old)
    if consumers is not None:
        fields["consumers"] = consumers
    return fields


def _target(target: TargetReport) -> dict[str, Any]:
    described: dict[str, Any] = {"name": target.name, "type": target.type, "synced": target.synced}
    if target.version is not None:
        described["version"] = target.version
    return described


def _conditions(
    report: Report, old: Sequence[Mapping[str, Any]], now: datetime
) -> list[dict[str, Any]]:
    stood = {condition["type"]: condition for condition in old}
    wanted = [_ready(report)]
    if report.is_cut_short:
        ready = _condition(wanted[0], stood.get(READY), report.generation, now)
        return [ready, *(dict(c) for c in old if c["type"] != READY)]
    drifted = [target for target in report.targets if target.drifted]
    if drifted:
        wanted.append(("Drifted", "True", "SecretDataDrift", _drift_message(drifted)))
    elif "Drifted" in stood:
        wanted.append(("Drifted", "False", SYNCED, "Every target says what its version says."))
    wanted += filter(None, (_rotated(report, stood), _consumers_moved(report, stood)))
    return [_condition(c, stood.get(c[0]), report.generation, now) for c in wanted]


def _rotated(
    report: Report, stood: Mapping[str, Mapping[str, Any]]
) -> tuple[str, str, str, str] | None:
    if report.rotation is None:
        return None
    told, old = report.rotation.condition, stood.get(CONDITION)
    if told is None:
        return None if old is None else (CONDITION, old["status"], old["reason"], old["message"])
    status, reason, message = told
    return (CONDITION, status, reason, message[:MESSAGE_LIMIT])


def _consumers(report: Report, old: Mapping[str, Any]) -> Any:
    if report.consumers is not None:
        return report.consumers.fields
    # A reconcile that failed did not look; one that did not look is not asked for it any more.
    return None if report.error is None else old.get("consumers")


def _consumers_moved(
    report: Report, stood: Mapping[str, Mapping[str, Any]]
) -> tuple[str, str, str, str] | None:
    if report.consumers is None:
        old = None if report.error is None else stood.get(MOVED)
        return None if old is None else (MOVED, old["status"], old["reason"], old["message"])
    status, reason, message = report.consumers.condition
    return (MOVED, status, reason, message[:MESSAGE_LIMIT])


def _ready(report: Report) -> tuple[str, str, str, str]:
    if report.error is not None:
        return (READY, "False", reason_of(report.error), report.error.message[:MESSAGE_LIMIT])
    number = report.secret.stages.current if report.secret else None
    if any(target.drifted for target in report.targets):
        message = f"Version {number} is Current; a target drifted, see the condition Drifted."
    else:
        message = f"Version {number} is Current in every target."
    return (READY, "True", SYNCED, message)


def _drift_message(drifted: Sequence[TargetReport]) -> str:
    described = "; ".join(f"{target.name}: {', '.join(target.drifted)}" for target in drifted)
    return f"Changed by somebody else, and left so as the target asks: {described}"[:MESSAGE_LIMIT]


def _condition(
    wanted: tuple[str, str, str, str],
    stood: Mapping[str, Any] | None,
    generation: int,
    now: datetime,
) -> dict[str, Any]:
    kind, status, reason, message = wanted
    unmoved = stood is not None and stood.get("status") == status
    since = stood["lastTransitionTime"] if stood is not None and unmoved else timestamp(now)
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": since,
    }
