"""The table of the restarts of workloads; each function runs on the writer's thread."""

from collections.abc import Sequence
from uuid import UUID

from apsw import Connection

from keyturn.domain.consumers import WorkloadRef
from keyturn.domain.rollout import Rollout, Verdict
from keyturn.store import reading
from keyturn.store.rotating import require_epoch
from keyturn.store.rows import Row, from_microseconds, to_microseconds

_COLUMNS = "kind, name, version, was_healthy, restarted_at, template, got_well, verdict"
_OF_SECRET = (
    f"SELECT {_COLUMNS} FROM rollouts"  # noqa: S608 - constant columns, no values
    " WHERE secret_id = ? ORDER BY kind, name"
)
_INSERT = (
    f"INSERT INTO rollouts (secret_id, {_COLUMNS})"  # noqa: S608 - as above
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def rollouts(connection: Connection, secret_id: UUID) -> Sequence[Rollout]:
    rows: Sequence[Row] = connection.execute(_OF_SECRET, (secret_id.bytes,)).fetchall()
    return [_to_rollout(row) for row in rows]


def note_rollouts(
    connection: Connection, epoch: int, secret_id: UUID, noted: Sequence[Rollout]
) -> None:
    require_epoch(connection, epoch)
    reading.get(connection, secret_id)
    connection.execute("DELETE FROM rollouts WHERE secret_id = ?", (secret_id.bytes,))
    connection.executemany(_INSERT, [(secret_id.bytes, *_row(rollout)) for rollout in noted])


def _row(rollout: Rollout) -> tuple[object, ...]:
    restarted_at, verdict = rollout.restarted_at, rollout.verdict
    return (
        *rollout.workload,
        rollout.version,
        rollout.was_healthy,
        None if restarted_at is None else to_microseconds(restarted_at),
        rollout.template,
        rollout.got_well,
        None if verdict is None else verdict.value,
    )


def _to_rollout(row: Row) -> Rollout:
    kind, name, version, was_healthy, restarted_at, template, got_well, verdict = row
    return Rollout(
        workload=WorkloadRef(kind, name),
        version=version,
        was_healthy=bool(was_healthy),
        restarted_at=None if restarted_at is None else from_microseconds(restarted_at),
        template=template,
        got_well=bool(got_well),
        verdict=None if verdict is None else Verdict(verdict),
    )
