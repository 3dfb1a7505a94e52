"""What the journal of the rotations promises: a part of the store, with the same rules.

Every write carries the epoch of the operator that wants it, and is refused with
`LeadershipLostError` in its own transaction if another operator has taken a newer one: an operator
that was paused, or that does not know yet that it was replaced, changes nothing.
"""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from keyturn.domain.rollout import Rollout
from keyturn.domain.rotation import (
    Cause,
    Failure,
    Frozen,
    Outcome,
    Rotation,
    RotationState,
    Step,
)
from keyturn.domain.rotation_event import Channel, RotationEvent
from keyturn.domain.secret import Secret
from keyturn.domain.version import SealedVersion

KEPT_ROTATIONS = 20
"""So many rotations of a secret are remembered, the one that is open included."""


@dataclass(frozen=True, slots=True)
class Journal:
    """What is known of a secret's rotations; `rotations` are the newest first."""

    state: RotationState | None
    rotations: Sequence[Rotation] = ()

    @property
    def open(self) -> Rotation | None:
        """The rotation that is not over."""
        newest = self.rotations[0] if self.rotations else None
        return newest if newest is not None and newest.is_open else None

    @property
    def mark(self) -> Hashable:
        """Tell whether something was begun, failed, given up or ended since."""
        newest = self.rotations[0] if self.rotations else None
        if newest is None:
            return None
        return newest.id, newest.failures, bool(newest.give_up), newest.outcome

    @property
    def frozen(self) -> Frozen | None:
        """Why no rotation begins by itself."""
        return self.state.frozen if self.state is not None else None

    def cause_of(self, number: int) -> Cause | None:
        """Tell why the rotation to a version began; None if it was none, or long ago."""
        return next((one.cause for one in self.rotations if one.number == number), None)

    def is_given_up(self, rotation_id: UUID) -> bool:
        return any(one.id == rotation_id and one.give_up for one in self.rotations)

    @property
    def abandoned(self) -> frozenset[int]:
        """The numbers of the versions whose rotation was given up."""
        over = (one for one in self.rotations if one.outcome is Outcome.ABANDONED)
        return frozenset(one.number for one in over)


@dataclass(frozen=True, slots=True)
class Telling:
    """When something happened, and for which channels its event is kept."""

    now: datetime
    channels: Collection[Channel] = ()


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a rotation begins with: its row, its pending version, and who it rotates.

    `identity` is a keyed digest of the target and the user: at most one secret holds it; empty
    where there is no target. `base`, `rotator` and `base_user` are the digests that are kept in the
    state from now on. `channels` are those that the events are kept for. `handled_token` is the
    resource's rotate token, if that is what began it. `frozen` tells why no other begins by itself
    from now on; a request ends that.
    """

    rotation: Rotation
    sealed: SealedVersion
    history_limit: int
    identity: str = ""
    base: str = ""
    rotator: str = ""
    base_user: str = ""
    channels: Collection[Channel] = ()
    handled_token: str = ""
    frozen: Frozen | None = None


class RotationJournal(Protocol):
    """Keeps the rotations. All times are given by the caller, in UTC."""

    async def take_epoch(self) -> int:
        """Take the next epoch; the writes of all earlier ones are refused from now on."""

    async def check_epoch(self, epoch: int) -> None:
        """Raises: LeadershipLostError: it is not the newest."""

    async def hold_user(self, epoch: int, secret_id: UUID) -> None:
        """Make sure that a secret still rotates the user of its last rotation; `record` does too.

        Raises:
            LeadershipLostError.
            TargetOwnedByOtherError: while it was deleted another secret took the user.
        """

    async def journal(self, secret_id: UUID) -> Journal:
        """Read what is known of a secret's rotations."""

    async def unfinished(self) -> Sequence[UUID]:
        """List the secrets with an open rotation, or with a credential to be retired."""

    async def anchor(self, epoch: int, secret_id: UUID, anchor: datetime) -> RotationState:
        """Remember since when a secret is to be rotated; return what stands, if it is known.

        Raises:
            LeadershipLostError, SecretNotFoundError.
        """

    async def settle(
        self, epoch: int, secret_id: UUID, anchor: datetime, retire_at: datetime | None
    ) -> RotationState:
        """Replace the times that stand: they were written by a clock that was wrong.

        Raises:
            LeadershipLostError, SecretNotFoundError.
        """

    async def begin(self, epoch: int, beginning: Beginning) -> Secret:
        """Add the pending version and open the rotation, in one step.

        Repeating it with the same rotation id changes nothing.

        Raises:
            LeadershipLostError, SecretNotFoundError, SecretDeletedError.
            StageMovedError: a rotation is open, or the version is not the next.
            TargetOwnedByOtherError: another secret rotates the same user.
        """

    async def record(self, epoch: int, rotation_id: UUID, step: Step) -> None:
        """Remember the step that is to be done next; with the same step, only check the epoch.

        Raises:
            LeadershipLostError.
            TargetOwnedByOtherError: another secret took the user while this one was deleted.
            StageMovedError: the rotation is over; so for all that follow.
        """

    async def fail(
        self,
        epoch: int,
        rotation_id: UUID,
        failure: Failure,
        retry_at: datetime,
        telling: Telling,
    ) -> Rotation:
        """Count a failed try; the first one of a rotation is told.

        One that went forward while the rotation was given up counts no more.
        """

    async def give_up(self, epoch: int, rotation_id: UUID, why: str) -> None:
        """Turn a rotation back: what it began is undone. One that was promoted is not."""

    async def promote(
        self, epoch: int, rotation_id: UUID, *, unless_given_up: bool = False
    ) -> Secret:
        """Make the pending version Current; the rotation's next step is to project it.

        Raises:
            StageMovedError: it was given up, and that is to be minded.
        """

    async def finish(
        self,
        epoch: int,
        rotation_id: UUID,
        retire_at: datetime | None,
        telling: Telling,
    ) -> Rotation:
        """End a rotation whose version was made Current, and is projected.

        The version that is Previous is retired at `retire_at`, or, where it stayed Previous, at the
        time that was set for it before. The next due time is counted from now on, if the cause was
        one by which the credential was to be a new one.
        """

    async def drop(self, epoch: int, rotation_id: UUID, telling: Telling) -> Secret:
        """End a rotation that was turned back: its version holds no stage any more.

        Whom the secret rotates, and what is left behind, is as it was before it began, unless
        another secret took that user meanwhile. The next due time is counted as after `finish`.
        """

    async def record_retired(self, epoch: int, secret_id: UUID, number: int) -> Secret:
        """Take the stage Previous off a version that the target accepts no more.

        Raises:
            LeadershipLostError.
            StageMovedError: another version is Previous, or a rotation is open.
        """

    async def note_token(self, epoch: int, secret_id: UUID, token: str) -> None:
        """Remember a rotate token as handled, where it led to no rotation."""

    async def rollouts(self, secret_id: UUID) -> Sequence[Rollout]:
        """List what is known of the restarts for a secret, by kind and name of the workload."""

    async def note_rollouts(self, epoch: int, secret_id: UUID, rollouts: Sequence[Rollout]) -> None:
        """Remember these, and none but these, one for each workload.

        Raises:
            LeadershipLostError, SecretNotFoundError.
        """

    async def waiting(self, channel: Channel, limit: int) -> Sequence[RotationEvent]:
        """List the oldest events that are still to be delivered."""

    async def delivered(self, channel: Channel, event_id: UUID) -> None:
        """Forget an event that was delivered."""
