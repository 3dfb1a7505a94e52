"""Rotation: what a ManagedSecret asks for, and what the journal keeps of each rotation."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

DEFAULT_MAX_FAILURES = 10


class Strategy(StrEnum):
    """How a credential is replaced.

    Regenerate makes new values and has no target system. SingleUser changes the password of the
    one user. AlternatingUsers lets two users with the same privileges take turns, so that the
    credential that consumers hold stays valid until the rotation after the next.
    """

    REGENERATE = "Regenerate"
    SINGLE_USER = "SingleUser"
    ALTERNATING_USERS = "AlternatingUsers"


class RotatorRef(NamedTuple):
    """The rotator that a ManagedSecret names: `kind` is Rotator or ClusterRotator."""

    kind: str
    name: str


class Step(StrEnum):
    """The steps of a rotation; each is durable before the next begins.

    A journal stands on the step that is to be done next. `undo` is the way out of a rotation that
    was given up or cancelled: it makes sure that the target takes the current credential.
    """

    CREATE_PENDING = "createPending"
    SET_PENDING = "setPending"
    TEST_PENDING = "testPending"
    PROMOTE = "promote"
    PROJECT = "project"
    RETIRE = "retire"
    UNDO = "undo"


class Cause(StrEnum):
    """Why a rotation began.

    Change: a value beside the credential changed; the credential stays, and is tested again.
    Health: workloads did not become healthy with the version that is current, and it goes back.
    """

    INITIAL = "Initial"
    SCHEDULE = "Schedule"
    REQUEST = "Request"
    CHANGE = "Change"
    ROLLBACK = "Rollback"
    HEALTH = "Health"

    @property
    def renews(self) -> bool:
        """Whether the pending version has a new credential."""
        return self in (Cause.SCHEDULE, Cause.REQUEST)

    @property
    def goes_back(self) -> bool:
        """Whether the pending version has the values of an older one."""
        return self in (Cause.ROLLBACK, Cause.HEALTH)


class Outcome(StrEnum):
    """How a rotation ended."""

    SUCCEEDED = "Succeeded"
    ABANDONED = "Abandoned"


@dataclass(frozen=True, slots=True)
class Failure:
    """The last thing that went wrong in a rotation: at which step, and the error's code."""

    step: Step
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Rotation:
    """One rotation as the journal keeps it; `number` is its one pending version.

    `requested_by` and `token` tell who asked, where somebody did; `failures` counts the tries that
    failed, `retry_at` is when the next may begin. `give_up` says why it is undone instead of gone
    on with: empty as long as it is not. An `outcome` means that it is over.
    """

    id: UUID
    secret_id: UUID
    number: int
    step: Step
    cause: Cause
    began_at: datetime
    requested_by: str = ""
    token: str = ""
    failures: int = 0
    failure: Failure | None = None
    retry_at: datetime | None = None
    give_up: str = ""
    outcome: Outcome | None = None
    ended_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.outcome is None

    @property
    def lasted(self) -> timedelta | None:
        """How long it took, to a tenth of a second; None as long as it is open."""
        if self.ended_at is None:
            return None
        # A clock that was put back must not make a negative one.
        seconds = max((self.ended_at - self.began_at).total_seconds(), 0)
        return timedelta(seconds=round(seconds, 1))


class Frozen(NamedTuple):
    """Why no rotation begins by itself: `workload` failed with `version`, which was gone back from.

    `workload` is written as kind and name, such as Deployment/web.
    """

    version: int
    workload: str


NO_ROTATOR = "none"
"""Stands where the digest of a rotator's name would, if there is no target system."""


@dataclass(frozen=True, slots=True)
class RotationState:
    """What the store remembers of a secret's rotations beside the journal.

    `anchor` is the time that the next due time is counted from. `handled_token` is the last
    rotate token that was acted on. `base` is a keyed digest of the rotator and of the user name
    that alternates with its clone, `rotator` and `base_user` are those of each alone; empty of
    before there were any. `retire_at` is when the previous credential ends to be valid in the
    target; None if nothing is to be retired. `frozen` holds until a person asks for a rotation.
    `left_behind`: up to that version another rotator was named.
    """

    anchor: datetime
    handled_token: str = ""
    base: str = ""
    retire_at: datetime | None = None
    frozen: Frozen | None = None
    rotator: str = ""
    base_user: str = ""
    left_behind: int | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """When a secret is rotated, as its author wrote it; at most one of the first two is given.

    `schedule` is a cron expression of five fields, or AWS's `rate(...)` or `cron(...)`; `window`
    is how long after its time a rotation may begin, none: any time later. `jitter` spreads the
    due times of different secrets over so long a time.
    """

    schedule: str = ""
    interval: timedelta | None = None
    time_zone: str = "Etc/UTC"
    window: timedelta | None = None
    jitter: timedelta = timedelta(0)


class Until(StrEnum):
    """What ends the time for which the previous credential stays valid."""

    TIME = "Time"
    CONSUMERS_MOVED = "ConsumersMoved"


@dataclass(frozen=True, slots=True)
class Overlap:
    """How long the previous credential stays valid after a rotation: `longest` at most.

    Until ConsumersMoved, it is over as soon as no running pod was started with it or an older one.
    """

    longest: timedelta
    until: Until = Until.TIME


@dataclass(frozen=True, slots=True)
class RotationSpec:
    """`spec.rotation`, its defaults resolved.

    `keys` maps the rotator's own names of its values (username, password, …) to the keys of
    `spec.data`, where they differ. `overlap` is how long the previous credential stays valid;
    None: until the rotation after. After `max_failures` tries a rotation is given up.
    """

    timing: Timing = Timing()
    strategy: Strategy = Strategy.REGENERATE
    rotator: RotatorRef | None = None
    keys: tuple[tuple[str, str], ...] = ()
    suspend: bool = False
    overlap: Overlap | None = None
    max_failures: int = DEFAULT_MAX_FAILURES
