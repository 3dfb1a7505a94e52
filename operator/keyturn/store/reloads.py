"""Which pods have read a Secret anew, and as of when; run on the writer's thread."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from apsw import Connection

from keyturn.store.rows import from_microseconds, to_microseconds

_ALL = "SELECT pod_uid, read_at FROM reloads WHERE secret_id = ?"
_NOTE = (
    "INSERT INTO reloads (secret_id, pod_uid, read_at) SELECT id, ?2, ?3 FROM secrets WHERE id = ?1"
    " ON CONFLICT (secret_id, pod_uid) DO UPDATE SET read_at = max(read_at, excluded.read_at)"
)
_FORGET = "DELETE FROM reloads WHERE secret_id = ? AND pod_uid = ?"


def reloads(connection: Connection, secret_id: UUID) -> Mapping[str, datetime]:
    """Tell of each pod, by its UID, the moment as of which it has read a secret anew."""
    rows = connection.execute(_ALL, (secret_id.bytes,))
    return {pod_uid: from_microseconds(read_at) for pod_uid, read_at in rows}


def note_reloads(
    connection: Connection,
    secret_id: UUID,
    pod_uids: Collection[str],
    read_at: datetime,
    running: Collection[str],
) -> None:
    """Note it of some pods, and forget those that run no more; a moment never goes back."""
    key, moment = secret_id.bytes, to_microseconds(read_at)
    for pod_uid in reloads(connection, secret_id).keys() - set(running):
        connection.execute(_FORGET, (key, pod_uid))
    for pod_uid in pod_uids:
        connection.execute(_NOTE, (key, pod_uid, moment))
