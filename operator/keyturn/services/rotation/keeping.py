"""What is written to the journal of a secret without a word to its target."""

from collections.abc import Callable
from dataclasses import replace

from keyturn.domain.errors import ConflictError, LeadershipLostError
from keyturn.domain.rotation import Cause, Rotation, RotationSpec, Step
from keyturn.domain.schedule import settled
from keyturn.domain.secret import Secret, SecretName
from keyturn.observability import failpoints
from keyturn.services.rotation.deciding import next_rotation
from keyturn.services.rotation.leadership import Leadership
from keyturn.services.rotation.look import Look
from keyturn.services.rotation.turns import Turns
from keyturn.store.journal import Journal, RotationJournal, Telling


class Keeping:
    """Keeps the journals: since when a secret is rotated, what was asked for, and what is over.

    A secret of which something cannot be written, as this operator does not lead, is withheld.
    """

    def __init__(
        self,
        journal: RotationJournal,
        leadership: Leadership,
        turns: Turns,
        *,
        changed: Callable[[SecretName], None],
        telling: Callable[[], Telling],
        told: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._leadership = leadership
        self._turns = turns
        self._changed = changed
        self._telling = telling
        self._told = told

    async def anchored(self, secret: Secret, rotation: RotationSpec) -> Journal:
        """Read the journal; its times are put right first, or begun to be counted."""
        journal, now = await self._journal.journal(secret.id), self._telling().now
        stood = journal.state
        times = None if stood is None else settled(stood, rotation.overlap, now)
        if stood is not None and times == (stood.anchor, stood.retire_at):
            return journal
        if not self._leadership.is_leading():
            self._turns.withhold(secret.name)
            return journal
        epoch = self._leadership.epoch
        if times is None:
            state = await self._journal.anchor(epoch, secret.id, now)
        else:
            state = await self._journal.settle(epoch, secret.id, *times)
        return replace(journal, state=state)

    async def handled(self, secret: Secret, journal: Journal, token: str) -> Journal:
        """Count a token that a resource was made with as handled by its first version."""
        if not token or journal.state is None or not self._leadership.is_leading():
            return journal
        await self._journal.note_token(self._leadership.epoch, secret.id, token)
        return replace(journal, state=replace(journal.state, handled_token=token))

    async def finished(self, look: Look, rotation: RotationSpec) -> Look:
        """End the rotation whose version is Current in every target now."""
        rotated, current = look.journal.open, look.secret.stages.current or 0
        # One that is newer than what was projected was promoted while that was done.
        if rotated is None or rotated.step is not Step.PROJECT or rotated.number > current:
            return look
        if not self._leadership.is_leading():
            self._turns.withhold(look.secret.name)
            return look
        telling = self._telling()
        retire_at = None if rotation.overlap is None else telling.now + rotation.overlap.longest
        failpoints.reach("before.finish")
        try:
            await self._journal.finish(self._leadership.epoch, rotated.id, retire_at, telling)
        except LeadershipLostError:
            self._leadership.lose()
            return look
        failpoints.reach("after.finish")
        self._told()
        # Once more, for the next due time.
        self._changed(look.secret.name)
        journal = await self._journal.journal(look.secret.id)
        next_time = next_rotation(rotation, look.secret, journal, self._telling().now)
        return replace(look, journal=journal, next_time=next_time)

    async def given_up(self, secret: Secret, by: str) -> Rotation:
        """Turn the open rotation back; what it changed is still to be undone.

        Raises:
            ConflictError: none is open, or it is past the point of return.
        """
        rotation = (await self._journal.journal(secret.id)).open
        if rotation is None:
            raise ConflictError(f"no rotation of {secret.name} is under way")
        if rotation.cause is Cause.INITIAL:
            raise ConflictError(
                f"{secret.name} has no credential that could be gone back to; mend or delete it"
            )
        await self._journal.give_up(self._leadership.epoch, rotation.id, f"cancelled by {by}")
        if not (await self._journal.journal(secret.id)).is_given_up(rotation.id):
            raise ConflictError(
                f"version {rotation.number} of {secret.name} is Current already; roll it back"
            )
        return rotation
