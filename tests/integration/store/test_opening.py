"""What opening a store makes, checks and refuses."""

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from keyturn.domain.errors import (
    StoreCorruptError,
    StoreFormatError,
    StoreInUseError,
    StoreUnavailableError,
)
from keyturn.store.disk import SETTINGS, Disk
from keyturn.store.sqlite import SQLiteStore
from keyturn.testing.store_samples import a_secret

IMPATIENT = Disk(patience=0.1)
ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "keyturn.db"


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


async def make(path: Path, *, secrets: int = 0) -> None:
    store = await SQLiteStore.open(path)
    for number in range(secrets):
        await a_secret(store, f"s{number}", versions=1)
    await store.close()


def rights(path: Path) -> int:
    return path.stat().st_mode & 0o777


def edit(path: Path, *statements: str) -> None:
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("mask", [0o000, 0o277])
async def test_the_folder_and_the_files_are_for_their_owner_alone(
    path: Path, umask: Callable[[int], int], mask: int
) -> None:
    umask(mask)
    store = await SQLiteStore.open(path)

    await a_secret(store)

    found = {child.name: rights(child) for child in path.parent.iterdir()}
    assert rights(path.parent) == 0o700
    assert found == {"keyturn.db": 0o600, "keyturn.db-wal": 0o600}
    await store.close()


async def test_rights_that_others_were_given_are_taken_back(path: Path) -> None:
    await make(path)
    path.chmod(0o644)

    await make(path)

    assert rights(path) == 0o600


async def test_a_clean_close_leaves_one_file(path: Path) -> None:
    await make(path, secrets=3)

    assert [child.name for child in path.parent.iterdir()] == ["keyturn.db"]


async def test_every_setting_is_in_force(path: Path) -> None:
    store = await SQLiteStore.open(path)

    def read(connection: apsw.Connection) -> dict[str, object]:
        return {name: connection.execute(f"PRAGMA {name}").get for name in SETTINGS}

    in_force = await store._writer.read(read)

    assert in_force == {
        **SETTINGS,
        "locking_mode": "exclusive",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "temp_store": 2,
        "cell_size_check": 1,
        "trusted_schema": 0,
    }
    await store.close()


async def test_a_second_process_is_refused_and_told_whom_to_stop(path: Path) -> None:
    store = await SQLiteStore.open(path)
    before = await asyncio.to_thread(checksum, path)

    refused = await asyncio.to_thread(open_elsewhere, path)

    assert refused == (
        f"StoreInUseError: {path} is open in process {os.getpid()}:"
        " a store is for one process; stop that one first"
    )
    assert await asyncio.to_thread(checksum, path) == before
    await store.check()
    await store.close()
    assert await asyncio.to_thread(open_elsewhere, path) == "opened"


def open_elsewhere(path: Path) -> str:
    program = (
        "import asyncio, sys; from pathlib import Path\n"
        "from keyturn.store.disk import Disk; from keyturn.store.sqlite import SQLiteStore\n"
        "async def main():\n"
        "    await (await SQLiteStore.open(Path(sys.argv[1]), disk=Disk(patience=0.1))).close()\n"
        "try:\n"
        "    asyncio.run(main())\n"
        "    print('opened')\n"
        "except Exception as error: print(f'{type(error).__name__}: {error}')\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def checksum(path: Path) -> str:
    """Read the file in another process: closing it in this one would release SQLite's lock."""
    found = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True)
    return found.stdout.split()[0]


async def test_the_same_process_cannot_open_it_twice(path: Path) -> None:
    store = await SQLiteStore.open(path)

    with pytest.raises(StoreInUseError, match=str(path)):
        await SQLiteStore.open(path, disk=IMPATIENT)
    await store.check()
    await store.close()


async def test_waits_for_a_process_that_is_about_to_end(path: Path) -> None:
    store = await SQLiteStore.open(path)
    opening = asyncio.ensure_future(SQLiteStore.open(path))
    await asyncio.sleep(0.05)

    await store.close()

    await (await opening).close()


@pytest.mark.parametrize("damage", ["header", "page", "half"])
async def test_a_damaged_file_is_refused_and_left_as_it_is(path: Path, damage: str) -> None:
    await make(path, secrets=50)
    content = bytearray(path.read_bytes())
    match damage:
        case "header":
            content[:16] = b"not a database!!"
        case "page":
            for start in range(4096, len(content), 4096):
                content[start : start + 512] = os.urandom(512)
        case _:
            del content[len(content) // 2 :]
    path.write_bytes(content)
    before = hashlib.sha256(content).digest()

    with pytest.raises(StoreCorruptError, match=str(path)):
        await SQLiteStore.open(path)
    assert hashlib.sha256(path.read_bytes()).digest() == before


async def test_another_programs_database_is_refused_and_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    edit(path, "CREATE TABLE theirs (a)")
    before = path.read_bytes()

    with pytest.raises(StoreFormatError, match="not a store of Keyturn"):
        await SQLiteStore.open(path)
    assert path.read_bytes() == before


async def test_a_store_of_a_newer_release_is_refused_and_left_as_it_is(path: Path) -> None:
    await make(path)
    edit(path, "INSERT INTO migrations VALUES (999, 'future', x'00')")
    edit(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()

    with pytest.raises(StoreFormatError, match="newer release"):
        await SQLiteStore.open(path)
    assert path.read_bytes() == before


async def test_a_store_of_other_migrations_is_refused(path: Path) -> None:
    await make(path)
    edit(path, "UPDATE migrations SET checksum = x'00'")

    with pytest.raises(StoreFormatError, match="migration 1"):
        await SQLiteStore.open(path)


async def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.parent.mkdir()
    path.touch()

    await make(path)

    assert rights(path) == 0o600


async def test_a_folder_that_cannot_be_made_is_an_error_that_names_the_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "keyturn.db"

    with pytest.raises(StoreUnavailableError, match=str(path)):
        await SQLiteStore.open(path)


async def test_an_open_that_was_refused_leaves_no_thread_and_no_lock(path: Path) -> None:
    await make(path)
    edit(path, "UPDATE migrations SET checksum = x'00'")
    with pytest.raises(StoreFormatError):
        await SQLiteStore.open(path)

    edit(path, "DELETE FROM migrations")

    with pytest.raises(StoreUnavailableError):
        await SQLiteStore.open(path)
