"""The journal of the rotations in the SQLite file of the store."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from keyturn.domain.rollout import Rollout
from keyturn.domain.rotation import Failure, Rotation, RotationState, Step
from keyturn.domain.rotation_event import Channel, RotationEvent
from keyturn.domain.secret import Secret
from keyturn.store import rolling_out, rotating
from keyturn.store.journal import Beginning, Journal, Telling
from keyturn.store.writer import Writer


class SQLiteJournal:
    """A `RotationJournal` on the writer of a store."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def take_epoch(self) -> int:
        return await self._writer.write(rotating.take_epoch)

    async def check_epoch(self, epoch: int) -> None:
        await self._writer.read(rotating.require_epoch, epoch)

    async def hold_user(self, epoch: int, secret_id: UUID) -> None:
        await self._writer.write(rotating.hold_user, epoch, secret_id)

    async def journal(self, secret_id: UUID) -> Journal:
        return await self._writer.read(rotating.journal, secret_id)

    async def unfinished(self) -> Sequence[UUID]:
        return await self._writer.read(rotating.unfinished)

    async def anchor(self, epoch: int, secret_id: UUID, anchor: datetime) -> RotationState:
        return await self._writer.write(rotating.anchor, epoch, secret_id, anchor)

    async def settle(
        self, epoch: int, secret_id: UUID, anchor: datetime, retire_at: datetime | None
    ) -> RotationState:
        return await self._writer.write(rotating.settle, epoch, secret_id, anchor, retire_at)

    async def begin(self, epoch: int, beginning: Beginning) -> Secret:
        return await self._writer.write(rotating.begin, epoch, beginning)

    async def record(self, epoch: int, rotation_id: UUID, step: Step) -> None:
        await self._writer.write(rotating.record, epoch, rotation_id, step)

    async def fail(
        self,
        epoch: int,
        rotation_id: UUID,
        failure: Failure,
        retry_at: datetime,
        telling: Telling,
    ) -> Rotation:
        return await self._writer.write(
            rotating.fail, epoch, rotation_id, failure, retry_at, telling
        )

    async def give_up(self, epoch: int, rotation_id: UUID, why: str) -> None:
        await self._writer.write(rotating.give_up, epoch, rotation_id, why)

    async def promote(
        self, epoch: int, rotation_id: UUID, *, unless_given_up: bool = False
    ) -> Secret:
        return await self._writer.write(
            rotating.promote, epoch, rotation_id, unless_given_up=unless_given_up
        )

    async def finish(
        self,
        epoch: int,
        rotation_id: UUID,
        retire_at: datetime | None,
        telling: Telling,
    ) -> Rotation:
        return await self._writer.write(rotating.finish, epoch, rotation_id, retire_at, telling)

    async def drop(self, epoch: int, rotation_id: UUID, telling: Telling) -> Secret:
        return await self._writer.write(rotating.drop, epoch, rotation_id, telling)

    async def record_retired(self, epoch: int, secret_id: UUID, number: int) -> Secret:
        return await self._writer.write(rotating.record_retired, epoch, secret_id, number)

    async def note_token(self, epoch: int, secret_id: UUID, token: str) -> None:
        await self._writer.write(rotating.note_token, epoch, secret_id, token)

    async def rollouts(self, secret_id: UUID) -> Sequence[Rollout]:
        return await self._writer.read(rolling_out.rollouts, secret_id)

    async def note_rollouts(self, epoch: int, secret_id: UUID, rollouts: Sequence[Rollout]) -> None:
        await self._writer.write(rolling_out.note_rollouts, epoch, secret_id, rollouts)

    async def waiting(self, channel: Channel, limit: int) -> Sequence[RotationEvent]:
        return await self._writer.read(rotating.waiting, channel, limit)

    async def delivered(self, channel: Channel, event_id: UUID) -> None:
        await self._writer.write(rotating.delivered, channel, event_id)
