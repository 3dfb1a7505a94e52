"""What the journal of the rotations leaves on the disk."""

from pathlib import Path

import apsw

from keyturn.store.journal import KEPT_ROTATIONS
from keyturn.store.sqlite import SQLiteStore
from keyturn.testing.store_rotation_samples import a_beginning, begun, rotated
from keyturn.testing.store_samples import LATER, NOW, a_secret


def rows(path: Path, table: str) -> int:
    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READWRITE)
    try:
        count: int = connection.execute(f"SELECT count(*) FROM {table}").get  # noqa: S608
        return count
    finally:
        connection.close()


async def test_only_the_rotations_that_are_remembered_take_up_room(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    store = await SQLiteStore.open(path)
    epoch = await store.rotations.take_epoch()
    secret, other = await a_secret(store, versions=1), await a_secret(store, "other", versions=1)
    await rotated(store, epoch, other)
    for _ in range(KEPT_ROTATIONS + 5):
        await rotated(store, epoch, await store.get(secret.id))
    await begun(store, epoch, await store.get(secret.id))
    await store.close()

    assert rows(path, "rotations") == KEPT_ROTATIONS + 1


async def test_a_purge_leaves_nothing_of_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    store = await SQLiteStore.open(path)
    epoch = await store.rotations.take_epoch()
    secret = await a_secret(store, versions=1)
    await store.rotations.begin(epoch, a_beginning(secret, identity="who"))
    await store.mark_deleted(secret.id, resource_uid=secret.resource_uid, now=NOW)
    await store.purge(secret.id, now=LATER)
    await store.close()

    tables = ("rotations", "rotation_states", "rotated_identities", "former_identities")
    assert [rows(path, table) for table in tables] == [0, 0, 0, 0]
