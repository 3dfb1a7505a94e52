"""What the store does when its disk fails: it says so, loses nothing, and goes on or stops."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import apsw
import pytest

from integration.store.faulty import (
    Faults,
    disk_full,
    failed_read,
    failed_sync,
    failed_write,
    faulty_disk,
)
from integration.store.writing import sealed_version
from keyturn.domain.errors import (
    StorageFullError,
    StorageReadOnlyError,
    StoreStoppedError,
    StoreUnavailableError,
)
from keyturn.domain.secret import Secret
from keyturn.store.disk import Disk
from keyturn.store.sqlite import SQLiteStore
from keyturn.testing.store_samples import NOW, a_secret, add, an_attachment, numbers


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def disk(faults: Faults) -> Iterator[Disk]:
    with faulty_disk(faults) as disk:
        yield disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyturn.db"


@pytest.fixture
async def store(path: Path, disk: Disk) -> AsyncIterator[SQLiteStore]:
    store = await SQLiteStore.open(path, disk=disk)
    yield store
    await store.close()


@pytest.mark.parametrize(
    ("error", "number", "expected"),
    [
        pytest.param(disk_full, 0, StorageFullError, id="no space"),
        pytest.param(failed_write, errno.EDQUOT, StorageFullError, id="quota"),
        pytest.param(failed_write, errno.EROFS, StorageReadOnlyError, id="read-only"),
        pytest.param(failed_write, errno.EIO, StoreUnavailableError, id="input/output"),
    ],
)
async def test_a_write_that_fails_is_named_and_heals_by_itself(
    store: SQLiteStore,
    faults: Faults,
    path: Path,
    error: Callable[[], apsw.Error],
    number: int,
    expected: type[Exception],
) -> None:
    secret = await a_secret(store, versions=1)
    faults.call, faults.error, faults.errno = "write", error, number

    with pytest.raises(expected, match=str(path)) as caught:
        await add(store, secret, 2)

    assert type(caught.value) is expected
    assert await store.get(secret.id) == secret
    faults.heal()
    assert numbers(await add(store, secret, 2)) == [1, 2]


async def test_all_writes_of_a_batch_fail_with_it_and_reads_do_not(
    store: SQLiteStore, faults: Faults
) -> None:
    secret = await a_secret(store, versions=1)
    faults.call = "write"

    *writes, read = await asyncio.gather(
        add(store, secret, 2),
        store.check(),
        store.get(secret.id),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in writes] == [StorageFullError] * 2
    assert read == secret


async def test_after_a_failed_fsync_nothing_is_written_any_more(
    store: SQLiteStore, faults: Faults
) -> None:
    secret = await a_secret(store, versions=1)
    faults.call, faults.error = "sync", failed_sync
    with pytest.raises(StoreStoppedError, match="restart the process"):
        await add(store, secret, 2)
    faults.heal()
    written, synced = faults.met["write"], faults.met["sync"]

    with pytest.raises(StoreStoppedError, match="restart the process"):
        await add(store, secret, 2)
    with pytest.raises(StoreStoppedError, match="restart the process"):
        await store.check()
    assert await store.get(secret.id) == secret
    await store.close()

    assert (faults.met["write"], faults.met["sync"]) == (written, synced)


async def test_a_failed_fsync_of_a_checkpoint_stops_writing_too(
    store: SQLiteStore, faults: Faults, path: Path
) -> None:
    secret = await a_secret(store)
    faults.call, faults.error = "checkpoint", failed_sync

    async def write_until_it_fails() -> None:
        for number in range(1, 1000):
            await add(store, secret, number)
            acknowledged.append(number)

    acknowledged: list[int] = []
    with pytest.raises(StoreStoppedError, match="restart the process"):
        await write_until_it_fails()
    faults.heal()
    await store.close()

    again = await SQLiteStore.open(path)
    assert numbers(await again.get(secret.id)) == acknowledged
    await again.close()


async def test_a_restart_after_a_failed_fsync_finds_all_that_was_acknowledged(
    store: SQLiteStore, faults: Faults, path: Path
) -> None:
    secret = await a_secret(store, versions=3)
    faults.call, faults.error = "sync", failed_sync
    with pytest.raises(StoreUnavailableError):
        await add(store, secret, 4)
    faults.heal()
    await store.close()

    again = await SQLiteStore.open(path)

    assert numbers(await again.get(secret.id))[:3] == [1, 2, 3]
    await again.close()


async def session(store: SQLiteStore, told: dict[str, int]) -> None:
    """Write what needs checkpoints, and note what was acknowledged."""
    for number in range(1, 6):
        for name in ("a", "b"):
            secret = await store.attach(an_attachment(name), now=NOW)
            sealed = sealed_version(name, number)
            await store.add_version(secret.id, sealed, promote=True, history_limit=2)
            told[name] = number


async def survivors(path: Path) -> dict[str, Secret]:
    store = await SQLiteStore.open(path)
    found = {secret.name.name: secret async for secret in store.secrets()}
    for name, secret in found.items():
        for version in secret.versions:
            expected = sealed_version(name, version.number)
            assert await store.sealed(secret.id, version.number) == expected
    await store.close()
    return found


@pytest.mark.parametrize(
    ("call", "error"),
    [
        pytest.param("write", disk_full, id="no space"),
        pytest.param("write", failed_write, id="write"),
        pytest.param("sync", failed_sync, id="sync"),
        pytest.param("read", failed_read, id="read"),
    ],
)
async def test_a_fault_at_any_call_loses_nothing_that_was_acknowledged(
    tmp_path: Path, call: str, error: Callable[[], apsw.Error]
) -> None:
    at, met = 0, True
    while met:
        path, told = tmp_path / f"{at}.db", dict[str, int]()
        faults = Faults(call=call, error=error, spared=at, times=1)
        with faulty_disk(faults) as disk:
            try:
                store = await SQLiteStore.open(path, disk=disk)
                try:
                    await session(store, told)
                finally:
                    await store.close()
            except StoreUnavailableError:
                pass

        found = await survivors(path)

        for name, number in told.items():
            assert (found[name].stages.current or 0) >= number
        at, met = at + 1, faults.times == 0
    assert at > 1
