"""What is to be done about a secret's rotation now, and when to look again; pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.rotation import Cause, Rotation, RotationSpec, Step
from keyturn.domain.schedule import next_due
from keyturn.domain.secret import Secret
from keyturn.store.journal import Journal

TOKEN_ANNOTATION = "keyturn.dev/rotate"  # noqa: S105 - the name of an annotation
"""A new value of it is a new request to rotate; the value itself means nothing."""

MAX_TOKEN = 256


class Decision(NamedTuple):
    """What is to be done: begin a rotation for a `cause`, go on with the open one, or retire.

    `wake` is when to look again, if nothing happens before.
    """

    cause: Cause | None = None
    resumes: bool = False
    retires: bool = False
    wake: datetime | None = None

    @property
    def acts(self) -> bool:
        return self.cause is not None or self.resumes or self.retires


def decide(
    resource: ManagedSecret,
    rotation: RotationSpec,
    secret: Secret,
    journal: Journal,
    *,
    now: datetime,
    urgent: bool,
) -> Decision:
    """Decide; `urgent` says that something changed, so that a back-off is over.

    Raises:
        InvalidParameterError: the schedule cannot be read.
    """
    if journal.open is not None:
        return _of_open(journal.open, now, urgent=urgent)
    if rotation.rotator is not None and secret.stages.current is None:
        return Decision(Cause.INITIAL)
    if token_of(resource) not in ("", journal.state.handled_token if journal.state else ""):
        return Decision(Cause.REQUEST)
    return _of_time(rotation, secret, journal, now)


def _of_open(open_rotation: Rotation, now: datetime, *, urgent: bool) -> Decision:
    if open_rotation.step is Step.PROJECT:
        return Decision()
    retry_at = open_rotation.retry_at
    if retry_at is None or retry_at <= now or urgent:
        return Decision(resumes=True)
    return Decision(wake=retry_at)


def _of_time(rotation: RotationSpec, secret: Secret, journal: Journal, now: datetime) -> Decision:
    if journal.state is None:
        return Decision()
    retire_at = _retirement(secret, journal)
    due = next_rotation(rotation, secret, journal, now)
    # Before the retirement: one that the target refuses must not end all rotation, and where the
    # next rotation needs it, it is a part of that.
    if due is not None and due <= now:
        return Decision(Cause.SCHEDULE)
    if retire_at is not None and retire_at <= now:
        return Decision(retires=True)
    return Decision(wake=_earliest((due, retire_at)))


def next_rotation(
    rotation: RotationSpec, secret: Secret, journal: Journal, now: datetime
) -> datetime | None:
    """Tell when the next rotation is due by the schedule; None if there is none, or it is off."""
    if journal.state is None or rotation.suspend:
        return None
    due = next_due(rotation.timing, anchor=journal.state.anchor, secret_id=secret.id, now=now)
    retire_at = _retirement(secret, journal)
    # The previous credential was promised to be valid until then.
    return due if due is None or retire_at is None else max(due, retire_at)


def _retirement(secret: Secret, journal: Journal) -> datetime | None:
    """Tell when the previous credential ends to be valid."""
    if journal.state is None or secret.stages.previous is None:
        return None
    return journal.state.retire_at


def token_of(resource: ManagedSecret) -> str:
    """Read the rotate token of a resource; empty if there is none."""
    return resource.annotations.get(TOKEN_ANNOTATION, "")[:MAX_TOKEN]


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
