"""A disk that is really full, and one that is really read-only.

Where nothing may be mounted, a layer below SQLite stands in and gives the same errors.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.store.faulty import Faults, disk_full, faulty_disk
from integration.store.writing import sealed_version
from keyturn.domain.errors import StorageFullError, StorageReadOnlyError
from keyturn.domain.secret import Secret
from keyturn.store.disk import Disk
from keyturn.store.sqlite import SQLiteStore
from keyturn.testing.store_samples import NOW, an_attachment


@dataclass(frozen=True)
class Mount:
    """A place for the store, and how to make its trouble begin and end."""

    path: Path
    disk: Disk
    break_it: Callable[[], object]
    heal: Callable[[], object]


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def may_mount(folder: Path) -> bool:
    with suppress(OSError, subprocess.CalledProcessError):
        mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
        return True
    return False


@contextmanager
def mounted(folder: Path, broken: str, healed: str) -> Iterator[Mount]:
    def remount(options: str) -> Callable[[], None]:
        return lambda: mount("-o", f"remount,{options}", str(folder))

    try:
        yield Mount(folder / "keyturn.db", Disk(), remount(broken), remount(healed))
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Mount]:
    """A disk of 1 MiB until it is healed."""
    if may_mount(tmp_path):
        with mounted(tmp_path, "size=1m", "size=16m") as made:
            yield made
        return
    faults = Faults(call="write", error=disk_full, spared=400)
    with faulty_disk(faults) as disk:
        yield Mount(tmp_path / "keyturn.db", disk, lambda: None, faults.heal)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Mount]:
    """A disk that can be made read-only while nobody has a file open."""
    if os.geteuid() == 0 and may_mount(tmp_path):
        with mounted(tmp_path, "ro", "rw") as made:
            yield made
        return
    path = tmp_path / "store" / "keyturn.db"
    yield Mount(path, Disk(), lambda: path.chmod(0o400), lambda: path.chmod(0o600))


async def fill(store: SQLiteStore, told: list[int]) -> None:
    secret = await store.attach(an_attachment("s"), now=NOW)
    first = secret.newest.number + 1 if secret.newest else 1
    for number in range(first, first + 2000):
        sealed = sealed_version("s", number)
        await store.add_version(secret.id, sealed, promote=True, history_limit=5000)
        told.append(number)


async def write_the_least(store: SQLiteStore) -> None:
    """Fill what is left of a disk that is too small for a version: a page at a time."""
    for _ in range(20):
        await store.check()


async def read_all(store: SQLiteStore) -> Secret:
    secret = await store.find("uid-of-shop", "s")
    assert secret
    for version in secret.versions:
        sealed = await store.sealed(secret.id, version.number)
        assert sealed == sealed_version("s", version.number)
    return secret


async def test_a_full_disk_is_named_and_loses_nothing(small: Mount) -> None:
    store, told = await SQLiteStore.open(small.path, disk=small.disk), list[int]()

    with pytest.raises(StorageFullError, match=str(small.path)):
        await fill(store, told)
    with pytest.raises(StorageFullError):
        await write_the_least(store)

    assert len(told) > 20
    assert [version.number for version in (await read_all(store)).versions] == told
    await store.close()
    small.heal()
    again = await SQLiteStore.open(small.path)
    assert [version.number for version in (await read_all(again)).versions] == told
    await again.close()


async def test_a_store_goes_on_by_itself_when_there_is_space_again(small: Mount) -> None:
    store, told = await SQLiteStore.open(small.path, disk=small.disk), list[int]()
    with pytest.raises(StorageFullError):
        await fill(store, told)

    small.heal()

    await store.check()
    secret = await read_all(store)
    sealed = sealed_version("s", told[-1] + 1)
    secret = await store.add_version(secret.id, sealed, promote=True, history_limit=5000)
    assert secret.stages.current == told[-1] + 1
    await store.close()


async def test_a_read_only_disk_is_named_and_the_next_try_works(read_only: Mount) -> None:
    store = await SQLiteStore.open(read_only.path)
    identity = await store.identity()
    await store.close()
    read_only.break_it()

    with pytest.raises(StorageReadOnlyError, match=str(read_only.path)):
        await SQLiteStore.open(read_only.path)

    read_only.heal()
    store = await SQLiteStore.open(read_only.path)
    assert await store.identity() == identity
    await store.close()


async def test_a_new_store_on_a_read_only_disk_is_refused(read_only: Mount) -> None:
    store = await SQLiteStore.open(read_only.path)
    await store.close()
    path = read_only.path.with_name("another.db")
    read_only.break_it()
    if read_only.disk.vfs == "" and os.geteuid() != 0:
        path = read_only.path

    with pytest.raises(StorageReadOnlyError):
        await SQLiteStore.open(path)
    read_only.heal()
