"""A store of a release that kept no spells."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw

from keyturn.domain.consumers import Spell
from keyturn.store.migrating import migrate, shipped
from keyturn.store.sqlite import SQLiteStore

ID = bytes(range(16))
NAME = ("shop", "db")


async def test_what_was_projected_before_counts_from_the_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with apsw.Connection(str(path)) as old:
        migrate(old, [migration for migration in shipped() if migration.name != "spells"][:2])
        old.execute(
            "INSERT INTO secrets VALUES (?, 'n', ?, ?, 'r', 0, 'Recover', 0, NULL, NULL, x'')",
            (ID, *NAME),
        )
        old.executemany(
            "INSERT INTO projections VALUES (?, ?, 'u', '1', ?, '', '', 1, '[]')",
            [(ID, "db", 3), (ID, "never-current", 0)],
        )
    old.close()
    before = datetime.now(UTC)

    store = await SQLiteStore.open(path)
    secret = await store.find("n", "db")
    assert secret is not None
    (spell,) = await store.spells(secret.id)
    await store.close()

    assert spell == Spell("db", 3, spell.since)
    assert before - timedelta(seconds=1) <= spell.since <= datetime.now(UTC)
