"""What becomes of a rotation that is open when `spec.rotation` is taken away."""

from typing import NamedTuple
from uuid import UUID

from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.rotation import Cause, Failure, Rotation, Step
from keyturn.domain.secret import Secret
from keyturn.services.rotation.leadership import Leadership
from keyturn.store.journal import Journal, RotationJournal, Telling


class Left(NamedTuple):
    """What is left of the rotations of a secret that is not rotated any more.

    `failure` tells why the open one cannot be ended.
    """

    secret: Secret
    journal: Journal
    failure: Failure | None = None


class Leaving:
    """Ends what can be ended without the target, which nobody names any more.

    What the target did not take yet cannot be: it may have, and only it can tell. That waits until
    `spec.rotation` is put back, or until a person who was told so cancels it, and sees to the
    target. It waits as well where it was given up before, and what it changed is not undone yet.
    Whom this process did not tell is told once more.
    """

    def __init__(self, journal: RotationJournal, leadership: Leadership) -> None:
        self._journal = journal
        self._leadership = leadership
        self._unfinished: set[UUID] | None = None
        self._told: set[UUID] = set()
        self._let_go: set[UUID] = set()

    def note(self, secret_id: UUID | None) -> None:
        """Remember a secret whose rotation was asked for until now."""
        if secret_id is None:
            return
        if self._unfinished is not None:
            self._unfinished.add(secret_id)
        self._told.discard(secret_id)
        self._let_go.discard(secret_id)

    def cancelled(self, secret_id: UUID) -> None:
        """Hear of a person who cancels: here it counts from who was told what is to be seen to."""
        if secret_id in self._told:
            self._let_go.add(secret_id)

    async def leave(self, secret: Secret, telling: Telling) -> Left:
        """Look what is left, and end it if that can be done.

        Raises:
            LeadershipLostError, UnavailableError.
        """
        if self._unfinished is None:
            self._unfinished = set(await self._journal.unfinished())
        if secret.id not in self._unfinished:
            return Left(secret, Journal(None))
        journal = await self._journal.journal(secret.id)
        if journal.open is not None:
            if not self._leadership.is_leading():
                return Left(secret, journal)
            ended = await self._end(journal.open, telling)
            if ended is None:
                return await self._tell(secret, journal.open, telling)
            secret, journal = ended, await self._journal.journal(secret.id)
        self._unfinished.discard(secret.id)
        return Left(secret, journal)

    async def _end(self, rotation: Rotation, telling: Telling) -> Secret | None:
        epoch = self._leadership.epoch
        if rotation.step is Step.PROJECT or rotation.cause is Cause.INITIAL:
            # Of a first version there is nothing that could be gone back to.
            secret = await self._journal.promote(epoch, rotation.id)
            await self._journal.finish(epoch, rotation.id, None, telling)
            return secret
        if rotation.give_up and rotation.secret_id in self._let_go:
            return await self._journal.drop(epoch, rotation.id, telling)
        return None

    async def _tell(self, secret: Secret, rotation: Rotation, telling: Telling) -> Left:
        stopped, epoch = _stopped(rotation), self._leadership.epoch
        if secret.id not in self._told:
            # A command may wait for the end of the rotation, or of its next try: that failed.
            await self._journal.fail(epoch, rotation.id, stopped, telling.now, telling)
            self._told.add(secret.id)
        return Left(secret, await self._journal.journal(secret.id), stopped)


def _stopped(rotation: Rotation) -> Failure:
    return Failure(
        rotation.step,
        InvalidSpecError.code,
        f"spec.rotation was removed while the rotation to version {rotation.number} is open, and "
        "the target may have taken it: put spec.rotation back until it is over; or run keyturn "
        "rotate --cancel, and see yourself that the target takes the current credential",
    )
