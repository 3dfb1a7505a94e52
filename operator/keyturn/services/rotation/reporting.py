"""What the status of a ManagedSecret says of its rotation; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyturn.domain.duration import format_duration
from keyturn.domain.errors import RetireBlockedByConsumersError
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.rotation import Cause, Failure, Frozen, Outcome, Rotation
from keyturn.domain.secret import SecretName
from keyturn.services.clock import timestamp
from keyturn.services.rotation.look import Look

CONDITION = "Rotated"
ROTATED = "SecretRotated"
ABANDONED = "RotationAbandoned"
ROLLED_BACK = "RolledBack"
BLOCKED = RetireBlockedByConsumersError.code


@dataclass(frozen=True, slots=True)
class RotationReport:
    """The fields of the status, and what the condition Rotated says: status, reason, message.

    No condition means that the one which stands there still holds. `is_hindered` tells that it says
    what the journal does not hold, and so no event of a rotation tells.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    condition: tuple[str, str, str] | None = None
    is_hindered: bool = False


def rotation_report(resource: ManagedSecret, look: Look) -> RotationReport | None:
    """Describe the rotation of a secret; None if it has none, and none is open."""
    if resource.spec.rotation is None and look.journal.open is None:
        return None
    rotations = look.journal.rotations
    over = [rotation for rotation in rotations if not rotation.is_open]
    fields: dict[str, Any] = {}
    # After a change the credential is the same: that was no rotation of it.
    succeeded = next(
        (r for r in over if r.outcome is Outcome.SUCCEEDED and r.cause is not Cause.CHANGE), None
    )
    if succeeded is not None and succeeded.ended_at is not None:
        fields["lastRotationTime"] = timestamp(succeeded.ended_at)
    if look.next_time is not None:
        fields["nextRotationTime"] = timestamp(look.next_time)
    if look.journal.open is not None:
        fields["rotation"] = _under_way(look.journal.open)
    if over:
        fields["rotations"] = [_over(rotation) for rotation in over]
    return RotationReport(fields, _condition(look, resource.name), look.trouble is not None)


def _under_way(rotation: Rotation) -> dict[str, Any]:
    return {
        "step": rotation.step.value,
        "cause": rotation.cause.value,
        "version": rotation.number,
        "beganTime": timestamp(rotation.began_at),
        "failures": rotation.failures,
        **_code(rotation),
    }


def _over(rotation: Rotation) -> dict[str, Any]:
    described: dict[str, Any] = {"version": rotation.number, "cause": rotation.cause.value}
    if rotation.requested_by:
        described["by"] = rotation.requested_by
    lasted = rotation.lasted
    if rotation.outcome is not None and rotation.ended_at is not None and lasted is not None:
        described |= {
            "outcome": rotation.outcome.value,
            "beganTime": timestamp(rotation.began_at),
            "endedTime": timestamp(rotation.ended_at),
            "duration": format_duration(lasted),
        }
    return {**described, **_code(rotation)}


def _code(rotation: Rotation) -> dict[str, str]:
    return {"code": rotation.failure.code} if rotation.failure is not None else {}


def _condition(look: Look, name: SecretName) -> tuple[str, str, str] | None:
    rotation = look.journal.open
    failure = look.trouble or (rotation.failure if rotation is not None else None)
    if failure is not None:
        return _failed(failure)
    if rotation is not None or look.is_acting or not look.journal.rotations:
        return None
    newest = look.journal.rotations[0]
    return _held_back(look, name) or _stopped(look, newest, name) or _succeeded(look, newest)


def _held_back(look: Look, name: SecretName) -> tuple[str, str, str] | None:
    waiting = look.waiting
    if waiting is None or waiting.held_back is None:
        return None
    told = f"A rotation ({waiting.held_back}) waits: {waiting.sight.why}."
    return ("False", BLOCKED, f"{told} It does not wait with: {_by_hand(name)} --force")


def _stopped(look: Look, newest: Rotation, name: SecretName) -> tuple[str, str, str] | None:
    frozen = look.journal.frozen
    if frozen is not None:
        return ("False", ROLLED_BACK, f"{_gone_back(frozen, newest)} To go on: {_by_hand(name)}")
    if newest.outcome is not Outcome.ABANDONED:
        return None
    current = look.secret.stages.current
    stays = "None is" if current is None else f"Version {current} stays"
    given_up = f"The rotation to version {newest.number} was given up: {_why(newest)}."
    return ("False", ABANDONED, f"{given_up} {stays} Current.")


def _succeeded(look: Look, newest: Rotation) -> tuple[str, str, str]:
    told = f"Version {newest.number} is the result of the last rotation.{_left_behind(look)}"
    if look.waiting is None or look.waiting.sight.is_brief:
        return ("True", ROTATED, told)
    stays = f"Version {look.secret.stages.previous} stays valid: {look.waiting.sight.why}."
    return ("True", BLOCKED, f"{told} {stays}")


def _left_behind(look: Look) -> str:
    left = look.journal.state.left_behind if look.journal.state is not None else None
    if left is None:
        return ""
    return (
        f" Up to version {left} another rotator was named: if its target is another one, end there "
        "yourself what it still accepts."
    )


def _gone_back(frozen: Frozen, newest: Rotation) -> str:
    """Say what failed and what was done about it; the newest rotation may be a later one."""
    failed = f"{frozen.workload} did not become healthy with version {frozen.version}"
    is_undone = newest.cause is Cause.HEALTH and newest.outcome is Outcome.ABANDONED
    done = f"and to go back was given up: {_why(newest)}" if is_undone else "which was rolled back"
    return f"{failed}, {done}; no rotation begins by itself."


def _why(rotation: Rotation) -> str:
    return rotation.give_up or "it could not be gone on with"


def _by_hand(name: SecretName) -> str:
    return f"keyturn rotate {name.name} -n {name.namespace}"


def _failed(failure: Failure) -> tuple[str, str, str]:
    step = failure.step.value
    reason = f"{step[0].upper()}{step[1:]}Failed"
    return ("False", reason, f"{step} failed with {failure.code}: {failure.message}")
