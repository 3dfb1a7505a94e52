"""The file of the store on its disk: what SQLite does not do itself."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

OWNER_ALONE = 0o600

SETTINGS: Mapping[str, str | int] = MappingProxyType(
    {
        # Exclusive comes before WAL: then no -shm file is made and no other process gets in.
        "locking_mode": "EXCLUSIVE",
        "synchronous": "FULL",
        "foreign_keys": "ON",
        "secure_delete": "ON",
        "temp_store": "MEMORY",
        "cell_size_check": "ON",
        "trusted_schema": "OFF",
        "cache_size": -8000,
        "journal_size_limit": 16 * 1024 * 1024,
        # The writer checkpoints: SQLite's own checkpoint hides a failed fsync.
        "wal_autocheckpoint": 0,
    }
)
"""The pragmas of the connection; docs/store.md says why each is set."""


@dataclass(frozen=True, slots=True)
class Disk:
    """How the file is reached; tests put one below the store that fails, or loses power.

    `vfs` names SQLite's access layer (empty for its own), `patience` is how many seconds the lock
    of another process is waited for, and a WAL of `checkpoint_pages` pages is copied into the file.
    """

    vfs: str = ""
    settings: Mapping[str, str | int] = field(default_factory=lambda: SETTINGS)
    patience: float = 3.0
    checkpoint_pages: int = 1000

    def prepare(self, path: Path) -> None:
        """Make the folder (0700) and the file (0600), or take the rights of others off the file.

        Raises:
            OSError: the folder cannot be made or written.
        """
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, parents=True)
            path.parent.chmod(0o700)
            self.sync_folder(path.parent.parent)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, OWNER_ALONE))
        # An existing file is never opened here: closing it would release SQLite's lock on it.
        if path.stat().st_mode & 0o777 != OWNER_ALONE:
            # A volume may belong to another user and be ours by its group alone.
            with suppress(PermissionError):
                path.chmod(OWNER_ALONE)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in the folder durable: a power cut may else bring back a deleted journal.

        Raises:
            OSError: the disk failed.
        """
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
