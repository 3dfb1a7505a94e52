"""What is to be done about a secret's rotation now, and when to look again; pure."""

from datetime import datetime
from typing import NamedTuple

from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.rotation import Cause, Rotation, RotationSpec, Step
from keyturn.domain.schedule import next_due
from keyturn.domain.secret import Secret
from keyturn.services.clock import earliest
from keyturn.services.rotation.gating import (
    UNSEEN,
    Sight,
    is_held,
    promised_until,
    retirement,
    waits_for_consumers,
)
from keyturn.services.rotation.matching import Trouble
from keyturn.services.rotation.pausing import is_over
from keyturn.store.journal import Journal

TOKEN_ANNOTATION = "keyturn.dev/rotate"  # noqa: S105 - the name of an annotation
"""A new value of it is a new request to rotate; the value itself means nothing."""

MAX_TOKEN = 256


class Decision(NamedTuple):
    """What is to be done: begin a rotation for a `cause`, go on with the open one, or retire.

    `wake` is when to look again, if nothing happens before. `held_back` is the cause of a rotation
    that would begin now, and would lock out consumers that have not moved yet.
    """

    cause: Cause | None = None
    resumes: bool = False
    retires: bool = False
    wake: datetime | None = None
    held_back: Cause | None = None

    @property
    def acts(self) -> bool:
        return self.cause is not None or self.resumes or self.retires


def decide(  # noqa: PLR0913 - all that a decision depends on
    resource: ManagedSecret,
    rotation: RotationSpec,
    secret: Secret,
    journal: Journal,
    *,
    now: datetime,
    urgent: bool,
    wants_change: bool = False,
    sight: Sight = UNSEEN,
    trouble: Trouble | None = None,
) -> Decision:
    """Decide; `urgent` says that something changed, so that a back-off is over.

    `wants_change` says that a value beside the credential is to be another one, `trouble` why what
    was decided last could not begin.

    Raises:
        InvalidParameterError: the schedule cannot be read.
    """
    if journal.open is not None:
        return _of_open(journal.open, now, urgent=urgent)
    if rotation.rotator is not None and secret.stages.current is None:
        return Decision(Cause.INITIAL)
    is_asked = token_of(resource) not in ("", journal.state.handled_token if journal.state else "")
    # Where there is no way back, a person may go forward.
    if sight.failed and not (trouble is not None and is_asked):
        return Decision(Cause.HEALTH)
    held = is_held(rotation, secret, journal, sight, now)
    if is_asked and not held:
        return Decision(Cause.REQUEST)
    decision = _of_time(rotation, secret, journal, sight, now)
    # By turns with a retirement that cannot be done now: neither is to wait for the other for ever.
    is_free = not decision.acts or (decision.retires and _is_of_retirement(trouble))
    if wants_change and is_free:
        decision = decision._replace(held_back=Cause.CHANGE) if held else Decision(Cause.CHANGE)
    return decision._replace(held_back=Cause.REQUEST) if is_asked else decision


def _is_of_retirement(trouble: Trouble | None) -> bool:
    failure = None if trouble is None else trouble.failure
    return failure is not None and failure.step is Step.RETIRE


def _of_open(open_rotation: Rotation, now: datetime, *, urgent: bool) -> Decision:
    if open_rotation.step is Step.PROJECT:
        return Decision()
    retry_at = open_rotation.retry_at
    if retry_at is None or urgent or is_over(retry_at, now):
        return Decision(resumes=True)
    return Decision(wake=retry_at)


def _of_time(
    rotation: RotationSpec, secret: Secret, journal: Journal, sight: Sight, now: datetime
) -> Decision:
    if journal.state is None:
        return Decision()
    retire_at = retirement(rotation, secret, journal)
    due = next_rotation(rotation, secret, journal, now)
    is_due = due is not None and due <= now
    # Before the retirement: one that the target refuses must not end all rotation, and where the
    # next rotation needs it, it is a part of that.
    held = is_held(rotation, secret, journal, sight, now)
    if is_due and not held:
        return Decision(Cause.SCHEDULE)
    if retire_at is not None and (retire_at <= now or _has_moved(rotation, sight)):
        return Decision(retires=True)
    wake = earliest((None if is_due else due, retire_at, sight.wake))
    return Decision(wake=wake, held_back=Cause.SCHEDULE if is_due else None)


def _has_moved(rotation: RotationSpec, sight: Sight) -> bool:
    return waits_for_consumers(rotation) and sight.has_moved


def next_rotation(
    rotation: RotationSpec, secret: Secret, journal: Journal, now: datetime
) -> datetime | None:
    """Tell when the next rotation is due by the schedule; None if there is none, or it is off.

    Where it has to wait for consumers, nobody knows for how long: then it is due when it is due.
    """
    if journal.state is None or journal.frozen is not None or rotation.suspend:
        return None
    due = next_due(rotation.timing, anchor=journal.state.anchor, secret_id=secret.id, now=now)
    until = promised_until(rotation, secret, journal)
    if due is None or until is None or waits_for_consumers(rotation):
        return due
    return max(due, until)


def token_of(resource: ManagedSecret) -> str:
    """Read the rotate token of a resource; empty if there is none."""
    return resource.annotations.get(TOKEN_ANNOTATION, "")[:MAX_TOKEN]
