"""What a look at a secret's rotation found."""

from dataclasses import dataclass, field
from datetime import datetime

from keyturn.domain.consumers import WorkloadRef
from keyturn.domain.errors import KeyturnError, RotationPendingError
from keyturn.domain.rotation import Failure
from keyturn.domain.secret import Secret
from keyturn.services.rotation.gating import Waiting
from keyturn.services.rotation.turn import Turn
from keyturn.store.journal import Journal


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a secret's rotation found.

    `error` keeps the secret from being ready; `trouble` keeps a rotation from beginning, or the
    previous credential from being retired. `next_time` is when the schedule says. `is_acting`
    tells that something is to be done, and how it goes is not known yet. `waiting` is there while
    the previous credential has to stay valid for consumers; `unwell` are those of them that did not
    become healthy with the current version. `begins` is a rotation that begins once every native
    Secret shows the current version; `wants_change` that a value beside the credential is to be
    another one.
    """

    secret: Secret
    journal: Journal = field(default_factory=lambda: Journal(None))
    error: KeyturnError | None = None
    trouble: Failure | None = None
    next_time: datetime | None = None
    is_acting: bool = False
    waiting: Waiting | None = None
    unwell: tuple[WorkloadRef, ...] = ()
    begins: Turn | None = None
    wants_change: bool = False


def unless_current(
    secret: Secret, journal: Journal, trouble: Failure | None
) -> RotationPendingError | None:
    """Say what keeps the first version from being there; nothing once one is Current."""
    if secret.stages.current is not None:
        return None
    failure = journal.open.failure if journal.open is not None else None
    failure = failure or trouble
    if failure is None:
        return RotationPendingError("the first version is being set in its target")
    return RotationPendingError(f"{failure.step} failed: {failure.message}")
