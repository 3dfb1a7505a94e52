"""The tables of the rotations; each function runs on the writer's thread, see `writing`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from apsw import Connection

from keyturn.domain.errors import LeadershipLostError, StageMovedError
from keyturn.domain.rotation import (
    NO_ROTATOR,
    Cause,
    Failure,
    Frozen,
    Outcome,
    Rotation,
    RotationState,
    Step,
)
from keyturn.domain.rotation_event import Channel, EventKind, RotationEvent
from keyturn.domain.secret import Secret
from keyturn.domain.stage import Stage
from keyturn.store import identities, reading, writing
from keyturn.store.journal import KEPT_ROTATIONS, Beginning, Journal, Telling
from keyturn.store.rotation_rows import (
    ROTATION_COLUMNS,
    decode_event,
    encode_event,
    rotation_row,
    to_rotation,
)
from keyturn.store.rows import Row, from_microseconds, to_microseconds

_ROTATIONS = f"SELECT {ROTATION_COLUMNS} FROM rotations"  # noqa: S608 - constant columns, no values
_OF_SECRET = f"{_ROTATIONS} WHERE secret_id = ? ORDER BY sequence DESC LIMIT ?"
_BY_ID = f"{_ROTATIONS} WHERE id = ?"
_PLACES = ", ".join("?" * len(ROTATION_COLUMNS.split(",")))
_INSERT = (
    f"INSERT INTO rotations ({ROTATION_COLUMNS})"  # noqa: S608 - constant columns, no values
    f" VALUES ({_PLACES})"
)
_UPDATE = (
    "UPDATE rotations SET step = ?, failures = ?, failed_step = ?, failed_code = ?,"
    " failed_text = ?, retry_at = ?, give_up = ?, outcome = ?, ended_at = ? WHERE id = ?"
)
_FORGET_OLD = (
    "DELETE FROM rotations WHERE secret_id = ?1 AND sequence <= (SELECT sequence FROM rotations"
    " WHERE secret_id = ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2)"
)
_UNFINISHED = (
    "SELECT secret_id FROM rotations WHERE outcome IS NULL"
    " UNION SELECT secret_id FROM rotation_states WHERE retire_at IS NOT NULL"
)
_WAITING = "SELECT document FROM outbox WHERE channel = ? ORDER BY sequence LIMIT ?"


def take_epoch(connection: Connection) -> int:
    connection.execute("UPDATE store SET epoch = epoch + 1")
    epoch: int = connection.execute("SELECT epoch FROM store").get
    return epoch


def journal(connection: Connection, secret_id: UUID) -> Journal:
    rows = connection.execute(_OF_SECRET, (secret_id.bytes, KEPT_ROTATIONS)).fetchall()
    return Journal(_state(connection, secret_id), tuple(to_rotation(row) for row in rows))


def unfinished(connection: Connection) -> Sequence[UUID]:
    rows: Sequence[Row] = connection.execute(_UNFINISHED).fetchall()
    return [UUID(bytes=secret_id) for (secret_id,) in rows]


def anchor(connection: Connection, epoch: int, secret_id: UUID, moment: datetime) -> RotationState:
    stood = _state(connection, secret_id)
    if stood is not None:
        return stood
    return settle(connection, epoch, secret_id, moment, None)


def settle(
    connection: Connection,
    epoch: int,
    secret_id: UUID,
    moment: datetime,
    retire_at: datetime | None,
) -> RotationState:
    require_epoch(connection, epoch)
    reading.bare(connection, secret_id)
    stood = _state(connection, secret_id) or RotationState(moment)
    state = replace(stood, anchor=moment, retire_at=retire_at)
    _put_state(connection, secret_id, state)
    return state


def begin(connection: Connection, epoch: int, beginning: Beginning) -> Secret:
    rotation = beginning.rotation
    require_epoch(connection, epoch)
    secret = reading.get(connection, rotation.secret_id)
    if connection.execute("SELECT 1 FROM rotations WHERE id = ?", (rotation.id.bytes,)).fetchone():
        return secret
    if secret.stages.pending is not None or journal(connection, secret.id).open is not None:
        raise StageMovedError(f"a rotation of {secret.name} is open already")
    state = _state(connection, secret.id) or RotationState(rotation.began_at)
    identities.remember(connection, secret.id, state)
    if beginning.identity:
        identities.claim(connection, secret, beginning.identity)
    secret = writing.add_version(
        connection,
        secret.id,
        beginning.sealed,
        stage=Stage.PENDING,
        history_limit=beginning.history_limit,
    )
    connection.execute(_INSERT, rotation_row(rotation))
    connection.execute(_FORGET_OLD, (secret.id.bytes, KEPT_ROTATIONS))
    handled = beginning.handled_token or state.handled_token
    state = replace(
        state,
        handled_token=handled,
        base=beginning.base,
        rotator=beginning.rotator,
        base_user=beginning.base_user,
        left_behind=_left_behind(beginning, state, secret),
        frozen=_frozen_after(beginning, state),
    )
    _put_state(connection, secret.id, state)
    telling = Telling(rotation.began_at, beginning.channels)
    _tell(connection, EventKind.STARTED, secret, rotation, telling)
    return secret


def hold_user(connection: Connection, epoch: int, secret_id: UUID) -> None:
    require_epoch(connection, epoch)
    identities.require(connection, secret_id, _state(connection, secret_id))


def record(connection: Connection, epoch: int, rotation_id: UUID, step: Step) -> None:
    require_epoch(connection, epoch)
    rotation = _open(connection, rotation_id)
    identities.require(connection, rotation.secret_id, _state(connection, rotation.secret_id))
    if rotation.step is not step:
        _update(connection, replace(rotation, step=step))


def fail(
    connection: Connection,
    epoch: int,
    rotation_id: UUID,
    failure: Failure,
    retry_at: datetime,
    telling: Telling,
) -> Rotation:
    require_epoch(connection, epoch)
    rotation = _open(connection, rotation_id)
    if rotation.give_up and failure.step is not Step.UNDO:
        # It was given up during this try, and whoever cancelled waits for the undo alone.
        return rotation
    failed = replace(rotation, failures=rotation.failures + 1, failure=failure, retry_at=retry_at)
    _update(connection, failed)
    if not rotation.failures:
        secret = reading.get(connection, rotation.secret_id)
        _tell(connection, EventKind.FAILED, secret, failed, telling)
    return failed


def give_up(connection: Connection, epoch: int, rotation_id: UUID, why: str) -> None:
    require_epoch(connection, epoch)
    rotation = _open(connection, rotation_id)
    if rotation.step is not Step.PROJECT and not rotation.give_up:
        turned = replace(rotation, step=Step.UNDO, give_up=why, retry_at=None)
        _update(connection, turned)


def promote(
    connection: Connection, epoch: int, rotation_id: UUID, *, unless_given_up: bool
) -> Secret:
    require_epoch(connection, epoch)
    rotation = _open(connection, rotation_id)
    secret = reading.get(connection, rotation.secret_id)
    if rotation.step is Step.PROJECT:
        return secret
    if unless_given_up and rotation.give_up:
        raise StageMovedError("the rotation was given up meanwhile")
    secret = writing.move(connection, secret, secret.promoted(rotation.number))
    _update(connection, replace(rotation, step=Step.PROJECT, retry_at=None, give_up=""))
    return secret


def finish(
    connection: Connection,
    epoch: int,
    rotation_id: UUID,
    retire_at: datetime | None,
    telling: Telling,
) -> Rotation:
    require_epoch(connection, epoch)
    rotation = _open(connection, rotation_id)
    secret = reading.get(connection, rotation.secret_id)
    if rotation.step is not Step.PROJECT:
        raise StageMovedError(f"version {rotation.number} of {secret.name} was not promoted")
    over = replace(rotation, outcome=Outcome.SUCCEEDED, ended_at=telling.now, retry_at=None)
    _update(connection, over)
    state = _state(connection, secret.id) or RotationState(telling.now)
    # A version that was Previous before keeps the time that it was promised.
    due = state.retire_at or retire_at if secret.stages.previous is not None else None
    anchor = _anchor_after(rotation, state, telling.now)
    _put_state(connection, secret.id, replace(state, anchor=anchor, retire_at=due))
    _tell(connection, EventKind.SUCCEEDED, secret, over, telling)
    if rotation.cause is Cause.HEALTH:
        _tell(connection, EventKind.ROLLED_BACK, secret, over, telling)
    return over


def drop(connection: Connection, epoch: int, rotation_id: UUID, telling: Telling) -> Secret:
    require_epoch(connection, epoch)
    rotation = _open(connection, rotation_id)
    secret = reading.get(connection, rotation.secret_id)
    if secret.stages.pending == rotation.number:
        secret = writing.move(connection, secret, secret.stages.retire(Stage.PENDING))
    over = replace(rotation, outcome=Outcome.ABANDONED, ended_at=telling.now, retry_at=None)
    _update(connection, over)
    state = _state(connection, secret.id) or RotationState(telling.now)
    state = identities.put_back(connection, secret, state)
    anchor = _anchor_after(rotation, state, telling.now)
    _put_state(connection, secret.id, replace(state, anchor=anchor))
    _tell(connection, EventKind.ABANDONED, secret, over, telling)
    return secret


def record_retired(connection: Connection, epoch: int, secret_id: UUID, number: int) -> Secret:
    require_epoch(connection, epoch)
    secret = reading.get(connection, secret_id)
    if secret.stages.previous not in (number, None) or secret.stages.pending is not None:
        raise StageMovedError(f"a rotation of {secret.name} began meanwhile")
    return writing.move(connection, secret, secret.stages.retire(Stage.PREVIOUS))


def note_token(connection: Connection, epoch: int, secret_id: UUID, token: str) -> None:
    require_epoch(connection, epoch)
    state = _state(connection, secret_id)
    if state is not None and state.handled_token != token:
        _put_state(connection, secret_id, replace(state, handled_token=token))


def waiting(connection: Connection, channel: Channel, limit: int) -> Sequence[RotationEvent]:
    rows: Sequence[Row] = connection.execute(_WAITING, (channel.value, limit)).fetchall()
    return [decode_event(document) for (document,) in rows]


def delivered(connection: Connection, channel: Channel, event_id: UUID) -> None:
    connection.execute(
        "DELETE FROM outbox WHERE id = ? AND channel = ?", (event_id.bytes, channel.value)
    )


def require_epoch(connection: Connection, epoch: int) -> None:
    if connection.execute("SELECT epoch FROM store").get != epoch:
        raise LeadershipLostError("another operator rotates now; this one has to stop")


def _anchor_after(rotation: Rotation, state: RotationState, now: datetime) -> datetime:
    """Count from now where there was to be a new credential: else others could put that off."""
    is_new = rotation.cause.renews or rotation.cause is Cause.INITIAL
    return now if is_new else state.anchor


def _frozen_after(beginning: Beginning, state: RotationState) -> Frozen | None:
    """Stand still since a rollout failed; a request ends that, and nothing else does."""
    if beginning.rotation.cause is Cause.REQUEST:
        return None
    return beginning.frozen or state.frozen


def _left_behind(beginning: Beginning, state: RotationState, secret: Secret) -> int | None:
    """Name the last version of before another rotator was named, until the rotation after."""
    if state.rotator not in ("", NO_ROTATOR, beginning.rotator):
        return secret.stages.current
    return None if beginning.rotation.cause.renews else state.left_behind


def _open(connection: Connection, rotation_id: UUID) -> Rotation:
    row = connection.execute(_BY_ID, (rotation_id.bytes,)).fetchone()
    rotation = None if row is None else to_rotation(row)
    if rotation is None or not rotation.is_open:
        raise StageMovedError("the rotation was ended by another run")
    return rotation


def _update(connection: Connection, rotation: Rotation) -> None:
    named = dict(zip(ROTATION_COLUMNS.split(", "), rotation_row(rotation), strict=True))
    changed = ("step", "failures", "failed_step", "failed_code", "failed_text", "retry_at")
    values = [named[column] for column in (*changed, "give_up", "outcome", "ended_at", "id")]
    connection.execute(_UPDATE, values)


def _state(connection: Connection, secret_id: UUID) -> RotationState | None:
    row = connection.execute(
        "SELECT anchor, handled_token, base, retire_at, frozen_version, frozen_by, rotator,"
        " base_user, left_behind FROM rotation_states WHERE secret_id = ?",
        (secret_id.bytes,),
    ).fetchone()
    if row is None:
        return None
    moment, token, base, retire_at, version, workload, rotator, base_user, left_behind = row
    return RotationState(
        anchor=from_microseconds(moment),
        handled_token=token,
        base=base,
        retire_at=None if retire_at is None else from_microseconds(retire_at),
        frozen=None if version is None else Frozen(version, workload),
        rotator=rotator,
        base_user=base_user,
        left_behind=left_behind,
    )


def _put_state(connection: Connection, secret_id: UUID, state: RotationState) -> None:
    retire_at = None if state.retire_at is None else to_microseconds(state.retire_at)
    connection.execute(
        "INSERT OR REPLACE INTO rotation_states (secret_id, anchor, handled_token, base, retire_at,"
        " frozen_version, frozen_by, rotator, base_user, left_behind)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            secret_id.bytes,
            to_microseconds(state.anchor),
            state.handled_token,
            state.base,
            retire_at,
            *(state.frozen or (None, "")),
            state.rotator,
            state.base_user,
            state.left_behind,
        ),
    )


def _tell(
    connection: Connection,
    kind: EventKind,
    secret: Secret,
    rotation: Rotation,
    telling: Telling,
) -> None:
    event = RotationEvent.of(kind, secret, rotation, telling.now)
    for channel in telling.channels:
        connection.execute(
            "INSERT OR IGNORE INTO outbox (id, channel, document) VALUES (?, ?, ?)",
            (event.id.bytes, channel.value, encode_event(event)),
        )
