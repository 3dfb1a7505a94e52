"""What is told to the outside of a rotation."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid5

from keyturn.domain.rotation import Rotation
from keyturn.domain.secret import Secret, SecretName


class EventKind(StrEnum):
    """The events of a rotation; each is told at most once of it. All names but the last are AWS's.

    RolledBack comes beside RotationSucceeded where the rotation went back from a failed rollout.
    """

    STARTED = "RotationStarted"
    SUCCEEDED = "RotationSucceeded"
    FAILED = "RotationFailed"
    ABANDONED = "RotationAbandoned"
    ROLLED_BACK = "RolledBack"


class Channel(StrEnum):
    """Where an event is delivered: as an Event of the cluster, and to the sink over HTTP."""

    CLUSTER = "cluster"
    SINK = "sink"


@dataclass(frozen=True, slots=True)
class RotationEvent:
    """One event; it holds no value, and no text that came from a target.

    The `id` is made of the rotation and the kind, so that whoever gets it twice can tell.
    """

    id: UUID
    kind: EventKind
    time: datetime
    secret_id: UUID
    name: SecretName
    resource_uid: str
    rotation_id: UUID
    version: int
    cause: str
    requested_by: str = ""
    step: str = ""
    code: str = ""

    @classmethod
    def of(
        cls, kind: EventKind, secret: Secret, rotation: Rotation, time: datetime
    ) -> "RotationEvent":
        """Make the event of a kind about a rotation as it stands."""
        failure = rotation.failure if kind is not EventKind.STARTED else None
        return cls(
            id=uuid5(rotation.id, kind.value),
            kind=kind,
            time=time,
            secret_id=secret.id,
            name=secret.name,
            resource_uid=secret.resource_uid,
            rotation_id=rotation.id,
            version=rotation.number,
            cause=rotation.cause.value,
            requested_by=rotation.requested_by,
            step=failure.step.value if failure else "",
            code=failure.code if failure else "",
        )
