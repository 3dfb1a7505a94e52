"""Open the file of the store: alone, checked, and at this release's schema."""

from pathlib import Path

import apsw
from apsw import Connection

from keyturn.store import faults, migrating
from keyturn.store.disk import Disk


def connect(path: Path, disk: Disk) -> Connection:
    """Open the store, or make it.

    Raises:
        StoreInUseError: another process has it open.
        StoreCorruptError: it is damaged.
        StoreFormatError: it is not a store, or not one of this release.
        StoreUnavailableError: the disk is full, read-only, missing or failing.
    """
    connection: Connection | None = None
    try:
        disk.prepare(path)
        connection = Connection(str(path), apsw.SQLITE_OPEN_READWRITE, disk.vfs or None)
        _set_up(connection, path, disk)
    except (apsw.Error, OSError) as error:
        number = connection.system_errno if connection else 0
        abandon(connection)
        raise faults.translate(error, path, system_errno=number) from error
    except BaseException:
        abandon(connection)
        raise
    return connection


def _set_up(connection: Connection, path: Path, disk: Disk) -> None:
    if connection.readonly("main"):
        raise apsw.ReadOnlyError("opened for reading only")
    connection.set_busy_timeout(int(disk.patience * 1000))
    for setting, value in disk.settings.items():
        connection.execute(f"PRAGMA {setting} = {value}")
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    migrating.require_store(connection)
    mode = connection.execute("PRAGMA journal_mode = WAL").get
    if mode != "wal":
        raise apsw.IOError(f"the journal mode is {mode}, not wal")
    finding = connection.execute("PRAGMA quick_check(1)").get
    if finding != "ok":
        raise faults.corrupt(path, str(finding).replace("\n", " "))
    migrating.migrate(connection, migrating.shipped())
    # The names too must survive: those of the file and its WAL, and that the journal is gone.
    disk.sync_folder(path.parent)


def abandon(connection: Connection | None) -> None:
    """Close without a checkpoint: nothing is written any more."""
    if connection is not None:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.close(force=True)
