"""What is read from the tables; each function runs on the writer's thread."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from apsw import Connection

from keyturn.domain.errors import SecretNotFoundError, VersionNotFoundError
from keyturn.domain.secret import Claim, Secret, SecretName
from keyturn.domain.stage import Stage
from keyturn.domain.version import SealedVersion
from keyturn.store.interface import StoreIdentity
from keyturn.store.rows import (
    COLUMNS,
    PROJECTION_COLUMNS,
    VERSION_COLUMNS,
    Row,
    from_microseconds,
    to_microseconds,
    to_projected,
    to_secret,
    to_version,
)

_SECRETS = f"SELECT {COLUMNS} FROM secrets"  # noqa: S608 - constant columns, no values
_BY_ID = f"{_SECRETS} WHERE id = ?"
_BY_IDENTITY = f"{_SECRETS} WHERE namespace_uid = ? AND name = ?"
_BY_NAME = (
    f"{_SECRETS} WHERE namespace = ? AND name = ?"
    " ORDER BY deleted_at IS NOT NULL, created_at DESC, id"
)
_PAGE = f"{_SECRETS} WHERE (namespace, name, id) > (?, ?, ?) ORDER BY namespace, name, id LIMIT ?"
_PAGE_OF_NAMESPACE = (
    f"{_SECRETS} WHERE namespace = ? AND (name, id) > (?, ?) ORDER BY name, id LIMIT ?"
)
_DUE = f"{_SECRETS} WHERE purge_after <= ? ORDER BY purge_after, id"
_PARTS = f"""
SELECT 'version', {VERSION_COLUMNS}, NULL FROM versions WHERE secret_id = ?1
UNION ALL
SELECT 'stage', stage, number, NULL, NULL, NULL, NULL, NULL, NULL FROM stages WHERE secret_id = ?1
UNION ALL
SELECT 'claim', native_name, key, NULL, NULL, NULL, NULL, NULL, NULL FROM claims
    WHERE secret_id = ?1
UNION ALL
SELECT 'projection', {PROJECTION_COLUMNS} FROM projections WHERE secret_id = ?1
ORDER BY 1, 2
"""  # noqa: S608 - constant columns, no values
"""All that hangs on a secret. One statement, as each one costs a change of the interpreter's lock:
the first column tells the table, and within one the rows are in the order of the second."""
_SEALED = (
    f"SELECT {VERSION_COLUMNS}, sealed FROM versions"  # noqa: S608 - constant columns, no values
    " WHERE secret_id = ? AND number = ?"
)
_CLAIMS = "SELECT native_name, key FROM claims WHERE secret_id = ?"
_CONFLICT = (
    "SELECT secret_id FROM claims WHERE namespace_uid = ? AND native_name = ?"
    " AND secret_id <> ? AND (key = '' OR ?4 = '' OR key = ?4) ORDER BY key LIMIT 1"
)

NOBODY = b""
"""Stands for no secret at all where a holder other than a certain secret is asked for."""


def identity(connection: Connection) -> StoreIdentity:
    store_id, cluster_uid, sealed_root = connection.execute(
        "SELECT store_id, cluster_uid, sealed_root FROM store"
    ).get
    return StoreIdentity(UUID(bytes=store_id), cluster_uid, sealed_root)


def count(connection: Connection) -> int:
    number: int = connection.execute("SELECT count(*) FROM secrets").get
    return number


def find(connection: Connection, namespace_uid: str, name: str) -> Secret | None:
    row = connection.execute(_BY_IDENTITY, (namespace_uid, name)).fetchone()
    return None if row is None else _whole(connection, row)


def get(connection: Connection, secret_id: UUID) -> Secret:
    return _whole(connection, _row(connection, secret_id))


def bare(connection: Connection, secret_id: UUID) -> Secret:
    """Read a secret without its versions, stages, claims and projections."""
    return to_secret(_row(connection, secret_id))


def lookup(connection: Connection, name: SecretName) -> Sequence[Secret]:
    rows = connection.execute(_BY_NAME, (name.namespace, name.name)).fetchall()
    return [_whole(connection, row) for row in rows]


def page(
    connection: Connection, namespace: str | None, after: Secret | None, limit: int
) -> Sequence[Secret]:
    """Read the secrets that follow `after` in the order of their names."""
    start = (after.name.namespace, after.name.name, after.id.bytes) if after else ("", "", b"")
    if namespace is None:
        rows = connection.execute(_PAGE, (*start, limit)).fetchall()
    else:
        rows = connection.execute(
            _PAGE_OF_NAMESPACE, (namespace, start[1], start[2], limit)
        ).fetchall()
    return [_whole(connection, row) for row in rows]


def sealed(connection: Connection, secret_id: UUID, number: int) -> SealedVersion:
    row = connection.execute(_SEALED, (secret_id.bytes, number)).fetchone()
    if row is None:
        name = get(connection, secret_id).name
        raise VersionNotFoundError(f"{name} has no version {number}")
    return SealedVersion(to_version(row[:-1]), row[-1])


def claims(connection: Connection, secret_id: UUID) -> frozenset[Claim]:
    """Tell what a secret has claimed."""
    return frozenset(Claim(*row) for row in connection.execute(_CLAIMS, (secret_id.bytes,)))


def holder(connection: Connection, namespace_uid: str, claim: Claim) -> Secret | None:
    secret_id = conflict(connection, namespace_uid, claim, but=NOBODY)
    return None if secret_id is None else get(connection, UUID(bytes=secret_id))


def conflict(
    connection: Connection, namespace_uid: str, claim: Claim, *, but: bytes
) -> bytes | None:
    """Tell the id of a secret, other than `but`, whose claim conflicts with this one."""
    row = connection.execute(
        _CONFLICT, (namespace_uid, claim.native_name, but, claim.key)
    ).fetchone()
    return None if row is None else row[0]


def due_for_purge(connection: Connection, now: datetime) -> Sequence[Secret]:
    rows = connection.execute(_DUE, (to_microseconds(now),)).fetchall()
    return [_whole(connection, row) for row in rows]


def next_purge(connection: Connection) -> datetime | None:
    due = connection.execute("SELECT min(purge_after) FROM secrets").get
    return None if due is None else from_microseconds(due)


def _row(connection: Connection, secret_id: UUID) -> Row:
    row: Row | None = connection.execute(_BY_ID, (secret_id.bytes,)).fetchone()
    if row is None:
        raise SecretNotFoundError(f"the store holds no secret with the id {secret_id}")
    return row


def _whole(connection: Connection, row: Row) -> Secret:
    parts: dict[str, list[Row]] = {"version": [], "stage": [], "claim": [], "projection": []}
    for kind, *columns in connection.execute(_PARTS, (row[0],)):
        parts[kind].append(columns)
    return to_secret(
        row,
        versions=tuple(to_version(found[:7]) for found in parts["version"]),
        stages={Stage(stage): number for stage, number, *_ in parts["stage"]},
        claims=frozenset(Claim(native, key) for native, key, *_ in parts["claim"]),
        projected=tuple(to_projected(found) for found in parts["projection"]),
    )
