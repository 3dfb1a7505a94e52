"""The store in one SQLite file.

Nothing here waits on the event loop: every method hands a function of `reading` or `writing` to
the one thread that owns the connection (`writer`) and awaits its future.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from keyturn.domain.consumers import Spell
from keyturn.domain.secret import Claim, Projected, Secret, SecretName
from keyturn.domain.stage import Stage
from keyturn.domain.version import SealedVersion
from keyturn.store import reading, reloads, spells, writing
from keyturn.store.disk import Disk
from keyturn.store.interface import Attachment, StoreIdentity
from keyturn.store.sqlite_journal import SQLiteJournal
from keyturn.store.writer import Writer

PAGE_SIZE = 200
"""So many secrets are read at once while all are iterated over."""


class SQLiteStore:
    """A `SecretStore` that one process holds open; see docs/store.md."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.rotations = SQLiteJournal(writer)
        """The journal of the rotations, in the same file."""

    @classmethod
    async def open(cls, path: Path, *, disk: Disk | None = None) -> "SQLiteStore":
        """Open the file, or make it with its folder; check it and bring its schema up to date.

        Raises:
            StoreInUseError: another process has it open.
            StoreCorruptError: it is damaged.
            StoreFormatError: it is not a store, or not one of this release.
            StoreUnavailableError: the disk is full, read-only, missing or failing.
        """
        writer = Writer(path, disk or Disk())
        await writer.open()
        return cls(writer)

    async def identity(self) -> StoreIdentity:
        return await self._writer.read(reading.identity)

    async def bind(self, cluster_uid: str) -> None:
        await self._writer.write(writing.bind, cluster_uid)

    async def set_sealed_root(self, sealed_root: bytes) -> bytes:
        return await self._writer.write(writing.set_sealed_root, sealed_root)

    async def count(self) -> int:
        return await self._writer.read(reading.count)

    async def find(self, namespace_uid: str, name: str) -> Secret | None:
        return await self._writer.read(reading.find, namespace_uid, name)

    async def get(self, secret_id: UUID) -> Secret:
        return await self._writer.read(reading.get, secret_id)

    async def lookup(self, name: SecretName) -> Sequence[Secret]:
        return await self._writer.read(reading.lookup, name)

    async def secrets(self, *, namespace: str | None = None) -> AsyncIterator[Secret]:
        last: Secret | None = None
        while page := await self._writer.read(reading.page, namespace, last, PAGE_SIZE):
            for secret in page:
                yield secret
            last = page[-1]

    async def attach(self, attachment: Attachment, *, now: datetime) -> Secret:
        return await self._writer.write(writing.attach, attachment, now)

    async def add_version(
        self, secret_id: UUID, sealed: SealedVersion, *, promote: bool, history_limit: int
    ) -> Secret:
        return await self._writer.write(
            writing.add_version,
            secret_id,
            sealed,
            stage=Stage.CURRENT if promote else None,
            history_limit=history_limit,
        )

    async def promote(self, secret_id: UUID, number: int, *, expected: int | None) -> Secret:
        return await self._writer.write(writing.promote, secret_id, number, expected)

    async def sealed(self, secret_id: UUID, number: int) -> SealedVersion:
        return await self._writer.read(reading.sealed, secret_id, number)

    async def claim(self, secret_id: UUID, claims: Collection[Claim]) -> frozenset[Claim]:
        return await self._writer.write(writing.claim, secret_id, claims)

    async def holder(self, namespace_uid: str, claim: Claim) -> Secret | None:
        return await self._writer.read(reading.holder, namespace_uid, claim)

    async def record_projection(
        self, secret_id: UUID, projected: Projected, *, since: datetime, same_data: bool = False
    ) -> None:
        await self._writer.write(
            writing.record_projection, secret_id, projected, since, same_data=same_data
        )

    async def forget_projection(self, secret_id: UUID, native_name: str, *, now: datetime) -> None:
        await self._writer.write(writing.forget_projection, secret_id, native_name, now)

    async def spells(self, secret_id: UUID) -> Sequence[Spell]:
        return await self._writer.read(spells.spells, secret_id)

    async def reloads(self, secret_id: UUID) -> Mapping[str, datetime]:
        return await self._writer.read(reloads.reloads, secret_id)

    async def note_reloads(
        self,
        secret_id: UUID,
        pod_uids: Collection[str],
        read_at: datetime,
        *,
        running: Collection[str],
    ) -> None:
        await self._writer.write(reloads.note_reloads, secret_id, pod_uids, read_at, running)

    async def mark_deleted(self, secret_id: UUID, *, resource_uid: str, now: datetime) -> Secret:
        return await self._writer.write(writing.mark_deleted, secret_id, resource_uid, now)

    async def restore(self, secret_id: UUID) -> Secret:
        return await self._writer.write(writing.restore, secret_id)

    async def due_for_purge(self, now: datetime) -> Sequence[Secret]:
        return await self._writer.read(reading.due_for_purge, now)

    async def purge(self, secret_id: UUID, *, now: datetime) -> None:
        await self._writer.write(writing.purge, secret_id, now)

    async def next_purge(self) -> datetime | None:
        return await self._writer.read(reading.next_purge)

    async def check(self) -> None:
        await self._writer.write(writing.touch)

    async def close(self) -> None:
        await self._writer.close()
