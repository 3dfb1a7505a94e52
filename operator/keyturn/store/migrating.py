"""Numbered SQL migrations: each is applied once, in order, and remembered by its checksum."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from uuid import uuid4

from apsw import Connection

from keyturn.domain.errors import StoreFormatError

APPLICATION_ID = 0x4B54524E
"""What the header of the file says that it is: 'KTRN'."""

_APPLIED = (
    "CREATE TABLE IF NOT EXISTS migrations"
    " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum BLOB NOT NULL) STRICT"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema; the file is named `<number>_<name>.sql`."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> bytes:
        return hashlib.sha256(self.sql.encode()).digest()


def shipped() -> Sequence[Migration]:
    """Read the migrations that this release brings, in order."""
    folder = resources.files("keyturn.store").joinpath("migrations")
    return sorted(
        (
            Migration(int(entry.name[:4]), entry.name[5:-4], entry.read_text("utf-8"))
            for entry in folder.iterdir()
            if entry.name.endswith(".sql")
        ),
        key=lambda migration: migration.number,
    )


def require_store(connection: Connection) -> None:
    """Refuse a database that is not ours, before anything in it is changed.

    Raises:
        StoreFormatError: it has tables, and they are not a store's.
    """
    marked = connection.execute("PRAGMA application_id").get == APPLICATION_ID
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    if tables and not marked:
        raise StoreFormatError(
            f"{connection.filename} is a SQLite database, but not a store of Keyturn:"
            " name another file"
        )


def migrate(connection: Connection, migrations: Sequence[Migration]) -> None:
    """Bring the schema up to date in one transaction; give a new store its identity.

    Raises:
        StoreFormatError: the store was written by a newer release, or its migrations are not
            the ones that this release knows.
    """
    with connection:
        connection.execute(_APPLIED)
        applied = connection.execute(
            "SELECT number, name, checksum FROM migrations ORDER BY number"
        ).fetchall()
        for known, (number, name, checksum) in zip(migrations, applied, strict=False):
            if (known.number, known.checksum) != (number, checksum):
                raise StoreFormatError(
                    f"migration {number} ({name}) of {connection.filename} is not the one of this"
                    " release: use the release that wrote the store"
                )
        if len(applied) > len(migrations):
            raise StoreFormatError(
                f"{connection.filename} was written by a newer release (migration {applied[-1][0]},"
                f" this release knows {len(migrations)}): use that release, or a newer one"
            )
        for migration in migrations[len(applied) :]:
            connection.execute(migration.sql)
            connection.execute(
                "INSERT INTO migrations VALUES (?, ?, ?)",
                (migration.number, migration.name, migration.checksum),
            )
        connection.execute(
            "INSERT OR IGNORE INTO store (one, store_id, cluster_uid, sealed_root, checks)"
            " VALUES (1, ?, '', x'', 0)",
            (uuid4().bytes,),
        )
