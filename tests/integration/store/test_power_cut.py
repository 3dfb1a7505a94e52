"""A power cut at any moment loses nothing that was acknowledged, and leaves a sound file."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from integration.store.recording import Acknowledged, Journal, RecordingDisk, RecordingVFS, states
from integration.store.writing import is_newest_current, sealed_version
from keyturn.domain.errors import KeyturnError
from keyturn.store import reading
from keyturn.store.connection import connect
from keyturn.store.disk import SETTINGS, Disk
from keyturn.store.sqlite import SQLiteStore
from keyturn.testing.store_samples import NOW, a_projection, an_attachment

NAME = "keyturn.db"
SECRETS = 4
SEED = 20300102


async def write_versions(store: SQLiteStore, journal: Journal, name: str, count: int) -> None:
    secret = await store.attach(an_attachment(name), now=NOW)
    first = secret.newest.number + 1 if secret.newest else 1
    for number in range(first, first + count):
        sealed = sealed_version(name, number)
        await store.add_version(secret.id, sealed, promote=True, history_limit=2)
        journal.events.append(Acknowledged({name: number}))
        await store.record_projection(secret.id, a_projection(version=number), since=NOW)


async def use_the_store(path: Path, disk: RecordingDisk) -> None:
    """Write from several callers at once, with checkpoints, and over a restart."""
    for _ in range(2):
        store = await SQLiteStore.open(path, disk=disk)
        await asyncio.gather(
            *(write_versions(store, disk.journal, f"s{n}", 7) for n in range(SECRETS))
        )
        await store.close()


def verdict(folder: Path, files: Mapping[str, bytes], told: Mapping[str, int]) -> str:
    """Open what the cut left, and look for everything that was acknowledged."""
    for left in folder.iterdir():
        left.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    try:
        connection = connect(folder / NAME, Disk())
    except KeyturnError as error:
        return f"does not open: {type(error).__name__}"
    try:
        if connection.execute("PRAGMA integrity_check").get != "ok":
            return "corrupt"
        found = {s.name.name: s for s in reading.page(connection, None, None, SECRETS + 1)}
        if any(
            name not in found or (found[name].stages.current or 0) < n for name, n in told.items()
        ):
            return "lost"
        sound = all(
            is_newest_current(secret)
            and all(
                reading.sealed(connection, secret.id, v.number)
                == sealed_version(secret.name.name, v.number)
                for v in secret.versions
            )
            for secret in found.values()
        )
        return "whole" if sound else "half a transaction"
    finally:
        connection.close(force=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: nothing has to last there."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it is a fresh one
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        yield Path(made)


@pytest.fixture
def disk() -> Iterator[RecordingDisk]:
    disk = RecordingDisk(vfs="recording", journal=Journal(), checkpoint_pages=12)
    vfs = RecordingVFS(disk.vfs, disk.journal)
    yield disk
    vfs.unregister()


async def verdicts(tmp_path: Path, folder: Path, disk: RecordingDisk) -> Iterator[str]:
    """Use the store, and judge one cut after the other, as far as somebody asks."""
    await use_the_store(tmp_path / NAME, disk)
    return (verdict(folder, files, told) for files, told in states(disk.journal, SEED))


async def test_no_power_cut_loses_what_was_acknowledged(
    tmp_path: Path, folder: Path, disk: RecordingDisk
) -> None:
    found = Counter(await verdicts(tmp_path, folder, disk))

    assert set(found) == {"whole"}
    assert found["whole"] > 1000


async def test_nor_does_one_where_sqlite_syncs_no_folder(
    tmp_path: Path, folder: Path, disk: RecordingDisk
) -> None:
    disk.journal.trusts_sqlite = False

    found = Counter(await verdicts(tmp_path, folder, disk))

    assert set(found) == {"whole"}


async def test_the_simulation_finds_that_fewer_syncs_lose(
    tmp_path: Path, folder: Path, disk: RecordingDisk
) -> None:
    hasty = replace(disk, settings={**SETTINGS, "synchronous": "NORMAL"})

    assert "lost" in await verdicts(tmp_path, folder, hasty)


async def test_the_simulation_finds_that_an_unsynced_folder_loses(
    tmp_path: Path, folder: Path, disk: RecordingDisk
) -> None:
    disk.journal.trusts_sqlite = False

    hasty = replace(disk, syncs_folder=False)

    assert "lost" in await verdicts(tmp_path, folder, hasty)
