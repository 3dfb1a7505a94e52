"""SQLite's and the operating system's errors as errors of the domain.

Every message names the file and says what to do. SQLite's own text names tables and codes, never
values, and stays as the cause.
"""

import errno
import os
from pathlib import Path

import apsw

from keyturn.domain.errors import (
    ConflictError,
    KeyturnError,
    StorageFullError,
    StorageReadOnlyError,
    StoreCorruptError,
    StoreInUseError,
    StoreStoppedError,
    StoreUnavailableError,
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FAILED_SYNC = frozenset({apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC})


def is_failed_sync(error: BaseException) -> bool:
    """Tell whether the disk may have dropped what it was asked to keep.

    After a failed fsync Linux marks the pages clean: a second fsync succeeds without them.
    """
    return getattr(error, "extendedresult", 0) in _FAILED_SYNC


def translate(error: Exception, path: Path, *, system_errno: int = 0) -> KeyturnError:
    """Replace a driver's or the system's error; `system_errno` is what SQLite saw last."""
    number = (error.errno or 0) if isinstance(error, OSError) else system_errno
    translated = _of_the_disk(error, path, number) or _of_the_file(error, path)
    translated = translated or _unknown(error, path, number)
    translated.__cause__ = error
    return translated


def failed_sync(path: Path) -> StoreStoppedError:
    return StoreStoppedError(
        f"the disk failed to keep a write to {path}: nothing more is written;"
        " check the disk, then restart the process"
    )


def _of_the_disk(error: Exception, path: Path, number: int) -> KeyturnError | None:
    if is_failed_sync(error):
        return failed_sync(path)
    if isinstance(error, apsw.FullError) or number in _FULL:
        return StorageFullError(f"the disk of {path} is full: free space or enlarge the volume")
    if isinstance(error, apsw.ReadOnlyError) or number == errno.EROFS:
        return StorageReadOnlyError(
            f"{path} is on a read-only disk, or its rights refuse writing:"
            " mount it read-write and let this user write"
        )
    return None


def _of_the_file(error: Exception, path: Path) -> KeyturnError | None:
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return corrupt(path, "SQLite cannot read it as a database")
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return in_use(path)
    if isinstance(error, apsw.ConstraintError):
        return ConflictError(f"the change contradicts what {path} holds: read again")
    return None


def _unknown(error: Exception, path: Path, number: int) -> StoreUnavailableError:
    reason = os.strerror(number) if number else type(error).__name__
    return StoreUnavailableError(
        f"{path} cannot be read or written ({reason}):"
        " check that its folder exists, belongs to this user, and that the disk is healthy"
    )


def corrupt(path: Path, finding: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"{path} is damaged ({finding}): nothing was changed; stop, keep a copy of the file,"
        " and restore the latest backup"
    )


def in_use(path: Path) -> StoreInUseError:
    """Name the process that holds the file, where the kernel tells."""
    holder = _lock_holder(path)
    by = f"process {holder}" if holder else "another process"
    return StoreInUseError(
        f"{path} is open in {by}: a store is for one process; stop that one first"
    )


def _lock_holder(path: Path, locks: Path = Path("/proc/locks")) -> int | None:
    """Find the process that holds a lock on the file, in the kernel's table of locks.

    Its lines read `1: POSIX  ADVISORY  WRITE 4711 fe:00:1234 ...`: process, device and inode. The
    process is 0 or negative where it lives in a namespace that cannot be seen from here.
    """
    try:
        status = path.stat()
        lines = locks.read_text().splitlines()
    except OSError:
        return None
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in lines:
        fields = line.split()
        if device in fields and "POSIX" in fields:
            process = int(fields[fields.index(device) - 1])
            return process if process > 0 else None
    return None
