"""From when each native Secret showed which version; run on the writer's thread."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from apsw import Connection

from keyturn.domain.consumers import Spell
from keyturn.store.rows import from_microseconds, to_microseconds

KEPT = 128
"""So many spells of a native Secret are kept; of a pod that is older nobody knows the version."""

_ALL = "SELECT native_name, version, since FROM spells WHERE secret_id = ? ORDER BY sequence"
_LAST = (
    "SELECT version, since FROM spells WHERE secret_id = ? AND native_name = ?"
    " ORDER BY sequence DESC LIMIT 1"
)
_INSERT = "INSERT INTO spells (secret_id, native_name, version, since) VALUES (?, ?, ?, ?)"
_PRUNE = (
    "DELETE FROM spells WHERE secret_id = ?1 AND native_name = ?2 AND sequence <= ("
    "SELECT sequence FROM spells WHERE secret_id = ?1 AND native_name = ?2"
    " ORDER BY sequence DESC LIMIT 1 OFFSET ?3)"
)


def spells(connection: Connection, secret_id: UUID) -> Sequence[Spell]:
    """List the spells of all native Secrets of a secret, in the order of time."""
    return tuple(
        Spell(native_name, version, from_microseconds(since))
        for native_name, version, since in connection.execute(_ALL, (secret_id.bytes,))
    )


def begin(
    connection: Connection,
    secret_id: UUID,
    native_name: str,
    version: int | None,
    since: datetime,
    *,
    same_data: bool = False,
) -> None:
    """Begin a spell, unless it is the one that lasts; without a version end that.

    With `same_data` it takes the place of that one from the beginning. Any other is later by a
    microsecond at least, also when the clock was put back: of two that begin at once the data are
    the same.
    """
    key, began = secret_id.bytes, to_microseconds(since)
    last = connection.execute(_LAST, (key, native_name)).fetchone()
    if last is None:
        if version is not None:
            connection.execute(_INSERT, (key, native_name, version, began))
        return
    if last[0] != version:
        continues = same_data and last[0] is not None
        begins = last[1] if continues else max(began, last[1] + 1)
        connection.execute(_INSERT, (key, native_name, version, begins))
        connection.execute(_PRUNE, (key, native_name, KEPT))
