"""The lock of a credential in the target: a session's advisory lock, made from the user's name."""

import hashlib
from dataclasses import dataclass
from typing import Self

from keyturn.domain.errors import TargetLockedError, TargetUnavailableError
from keyturn.rotators.postgresql.connecting import Connection
from keyturn.rotators.postgresql.failures import replaced

_NAMESPACE = b"keyturn.dev/rotation/postgresql\0"
"""Keeps our keys apart from those that applications choose for their own locks."""


@dataclass(frozen=True, slots=True)
class AdvisoryLock:
    """A lock that this backend, and no other, holds as long as its connection lives."""

    key: int
    backend: int

    @classmethod
    async def take(cls, connection: Connection, base_username: str) -> Self:
        """Wait for the lock.

        Raises:
            TargetLockedError: another session holds it.
            TargetUnavailableError: the server is not reached directly.
        """
        key = key_of(base_username)
        with replaced("taking the lock of the credential"):
            lock = cls(key, await _backend(connection))
            # A pooler makes up the id of the backend, and may give the lock to somebody else.
            if lock.backend != connection.info.backend_pid:
                raise _pooled()
            await connection.execute("SELECT pg_advisory_lock(%s)", (key,))
        if not await lock.is_held(connection):
            raise _pooled()
        return lock

    async def is_held(self, connection: Connection) -> bool:
        """Tell whether the connection still is with the backend that holds the lock."""
        try:
            with replaced("looking for the lock of the credential"):
                found = await connection.execute(_IS_HELD, {"pid": self.backend, **_halves(self)})
                row = await found.fetchone()
        except (TargetUnavailableError, TargetLockedError):
            return False
        return row is not None and row[0] is True


_IS_HELD = """
SELECT pg_backend_pid() = %(pid)s AND EXISTS (
    SELECT FROM pg_locks AS held
    JOIN pg_database AS here ON here.oid = held.database AND here.datname = current_database()
    WHERE held.locktype = 'advisory' AND held.pid = %(pid)s AND held.granted
    AND held.classid::bigint = %(high)s AND held.objid::bigint = %(low)s AND held.objsubid = 1
)
"""


def key_of(base_username: str) -> int:
    """Make the key, a signed 64-bit number, from the name of the user."""
    digest = hashlib.sha256(_NAMESPACE + base_username.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _halves(lock: AdvisoryLock) -> dict[str, int]:
    """Split the key as `pg_locks` shows it: two unsigned 32-bit numbers."""
    return {"high": (lock.key >> 32) & 0xFFFFFFFF, "low": lock.key & 0xFFFFFFFF}


async def _backend(connection: Connection) -> int:
    row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    return int(str(row[0])) if row is not None else 0


def _pooled() -> TargetUnavailableError:
    return TargetUnavailableError(
        "a connection pooler stands before the server, and a lock does not outlive it; write the "
        "server's own address into the Rotator"
    )
