"""What is written to the tables.

Each function runs on the writer's thread: when it raises, nothing that it wrote stays. It may be
run again after it was rolled back, so it depends on nothing but the tables. One that finds nothing
to change writes nothing, so that it costs no fsync.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid4

from apsw import Connection

from keyturn.domain.errors import (
    ForeignStoreError,
    SecretDeletedError,
    SecretNotFoundError,
    StageMovedError,
)
from keyturn.domain.secret import Claim, Projected, Secret
from keyturn.domain.stage import Stage, Stages
from keyturn.domain.version import SealedVersion, Version
from keyturn.store import reading, spells
from keyturn.store.interface import Attachment
from keyturn.store.rows import (
    COLUMNS,
    PROJECTION_COLUMNS,
    projection_row,
    retention_row,
    to_microseconds,
    to_secret,
    version_row,
)

_INSERT_SECRET = (
    f"INSERT INTO secrets ({COLUMNS})"  # noqa: S608 - constant columns, no values
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ATTACH = (
    "UPDATE secrets SET resource_uid = ?, reclaim_policy = ?, recovery_window = ?,"
    " sealed_manifest = ?, deleted_at = NULL, purge_after = NULL WHERE id = ?"
)
_INSERT_VERSION = (
    "INSERT INTO versions"
    " (secret_id, number, id, created_at, reason, key_id, origins, credential, sealed)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_PROMISE_NOTHING = "UPDATE rotation_states SET retire_at = NULL WHERE secret_id = ?"
_RECORD = (
    f"INSERT OR REPLACE INTO projections (secret_id, {PROJECTION_COLUMNS})"  # noqa: S608 - constant
    " SELECT id, ?, ?, ?, ?, ?, ?, ?, ? FROM secrets WHERE id = ? AND deleted_at IS NULL"
)


def bind(connection: Connection, cluster_uid: str) -> None:
    bound = reading.identity(connection).cluster_uid
    if bound not in ("", cluster_uid):
        raise ForeignStoreError(
            f"the store belongs to the cluster {bound}, not to {cluster_uid}:"
            " give this cluster a store of its own"
        )
    if not bound:
        connection.execute("UPDATE store SET cluster_uid = ?", (cluster_uid,))


def set_sealed_root(connection: Connection, sealed_root: bytes) -> bytes:
    standing = reading.identity(connection).sealed_root
    if standing:
        return standing
    connection.execute("UPDATE store SET sealed_root = ?", (sealed_root,))
    return sealed_root


def attach(connection: Connection, attachment: Attachment, now: datetime) -> Secret:
    found = reading.find(connection, attachment.namespace_uid, attachment.name.name)
    if found is None:
        return _create(connection, attachment, now)
    attached = replace(
        found,
        resource_uid=attachment.resource_uid,
        retention=attachment.retention,
        sealed_manifest=attachment.sealed_manifest,
        deleted_at=None,
        purge_after=None,
    )
    if attached != found:
        connection.execute(
            _ATTACH,
            (
                attachment.resource_uid,
                *retention_row(attachment.retention),
                attachment.sealed_manifest,
                found.id.bytes,
            ),
        )
    return attached


def _create(connection: Connection, attachment: Attachment, now: datetime) -> Secret:
    row = (
        uuid4().bytes,
        attachment.namespace_uid,
        attachment.name.namespace,
        attachment.name.name,
        attachment.resource_uid,
        to_microseconds(now),
        *retention_row(attachment.retention),
        None,
        None,
        attachment.sealed_manifest,
    )
    connection.execute(_INSERT_SECRET, row)
    return to_secret(row)


def add_version(
    connection: Connection,
    secret_id: UUID,
    sealed: SealedVersion,
    *,
    stage: Stage | None,
    history_limit: int,
) -> Secret:
    """Add the next version with the stage Current, Pending or none."""
    secret, version = reading.get(connection, secret_id), sealed.version
    if any(known.id == version.id for known in secret.versions):
        return secret
    _require_live(secret)
    newest = secret.newest.number if secret.newest else 0
    if version.number != newest + 1:
        raise StageMovedError(
            f"the newest version of {secret.name} is {newest}: {version.number} cannot be the next"
        )
    connection.execute(_INSERT_VERSION, (secret_id.bytes, *version_row(sealed)))
    stages, versions = secret.stages, (*secret.versions, version)
    if stage is Stage.CURRENT:
        stages = replace(secret, versions=versions).promoted(version.number)
    elif stage is Stage.PENDING:
        stages = stages.begin(version.number)
    move(connection, secret, stages)
    kept = _prune(connection, secret_id, versions, stages, history_limit)
    return replace(secret, versions=kept, stages=stages)


def _prune(
    connection: Connection,
    secret_id: UUID,
    versions: tuple[Version, ...],
    stages: Stages,
    history_limit: int,
) -> tuple[Version, ...]:
    """Destroy the oldest versions without a stage; never the newest, whose number must stand."""
    loose = [version.number for version in versions if stages.of(version.number) is None]
    excess = max(len(loose) - history_limit, 0)
    doomed = set(loose[:excess]) - {versions[-1].number}
    for number in doomed:
        connection.execute(
            "DELETE FROM versions WHERE secret_id = ? AND number = ?", (secret_id.bytes, number)
        )
    return tuple(version for version in versions if version.number not in doomed)


def promote(connection: Connection, secret_id: UUID, number: int, expected: int | None) -> Secret:
    secret = reading.get(connection, secret_id)
    secret.version(number)
    if secret.stages.current != expected:
        raise StageMovedError(
            f"version {secret.stages.current} of {secret.name} is Current, not {expected}"
        )
    return move(connection, secret, secret.promoted(number))


def move(connection: Connection, secret: Secret, stages: Stages) -> Secret:
    """Put the stages of a secret, as it was just read, where they are to be."""
    if stages == secret.stages:
        return secret
    key = secret.id.bytes
    if stages.previous != secret.stages.previous:
        # It was that of another version.
        connection.execute(_PROMISE_NOTHING, (key,))
    if secret.stages.versions:
        connection.execute("DELETE FROM stages WHERE secret_id = ?", (key,))
    for stage, number in stages.versions.items():
        connection.execute("INSERT INTO stages VALUES (?, ?, ?)", (key, stage.value, number))
    return replace(secret, stages=stages)


def claim(connection: Connection, secret_id: UUID, claims: Collection[Claim]) -> frozenset[Claim]:
    secret = reading.bare(connection, secret_id)
    _require_live(secret)
    held = reading.claims(connection, secret_id)
    key, wanted = secret_id.bytes, frozenset(claims)
    refused = frozenset(
        one
        for one in wanted - held
        if reading.conflict(connection, secret.namespace_uid, one, but=key) is not None
    )
    for one in held - wanted:
        connection.execute(
            "DELETE FROM claims WHERE secret_id = ? AND native_name = ? AND key = ?",
            (key, one.native_name, one.key),
        )
    for one in wanted - held - refused:
        connection.execute(
            "INSERT INTO claims VALUES (?, ?, ?, ?)",
            (secret.namespace_uid, one.native_name, one.key, key),
        )
    return refused


def record_projection(
    connection: Connection,
    secret_id: UUID,
    projected: Projected,
    since: datetime,
    *,
    same_data: bool,
) -> None:
    connection.execute(_RECORD, (*projection_row(projected), secret_id.bytes))
    if connection.changes():
        name, version = projected.native_name, projected.version or None
        spells.begin(connection, secret_id, name, version, since, same_data=same_data)
    else:
        _require_live(reading.bare(connection, secret_id))


def forget_projection(
    connection: Connection, secret_id: UUID, native_name: str, now: datetime
) -> None:
    spells.begin(connection, secret_id, native_name, None, now)
    connection.execute(
        "DELETE FROM projections WHERE secret_id = ? AND native_name = ?",
        (secret_id.bytes, native_name),
    )


def mark_deleted(
    connection: Connection, secret_id: UUID, resource_uid: str, now: datetime
) -> Secret:
    secret = reading.get(connection, secret_id)
    if secret.resource_uid != resource_uid or secret.deleted_at is not None:
        return secret
    key, purge_after = secret_id.bytes, secret.retention.purge_after(now)
    connection.execute(
        "UPDATE secrets SET deleted_at = ?, purge_after = ? WHERE id = ?",
        (to_microseconds(now), purge_after and to_microseconds(purge_after), key),
    )
    connection.execute("DELETE FROM claims WHERE secret_id = ?", (key,))
    connection.execute("DELETE FROM projections WHERE secret_id = ?", (key,))
    for projected in secret.projected:
        spells.begin(connection, secret_id, projected.native_name, None, now)
    return replace(
        secret, deleted_at=now, purge_after=purge_after, claims=frozenset(), projected=()
    )


def restore(connection: Connection, secret_id: UUID) -> Secret:
    secret = reading.get(connection, secret_id)
    if secret.deleted_at is None:
        return secret
    connection.execute(
        "UPDATE secrets SET deleted_at = NULL, purge_after = NULL WHERE id = ?",
        (secret_id.bytes,),
    )
    return replace(secret, deleted_at=None, purge_after=None)


def purge(connection: Connection, secret_id: UUID, now: datetime) -> None:
    try:
        secret = reading.get(connection, secret_id)
    except SecretNotFoundError:
        return
    if secret.purge_after is None or secret.purge_after > now:
        return
    key = (secret_id.bytes,)
    connection.execute("DELETE FROM stages WHERE secret_id = ?", key)
    connection.execute("DELETE FROM secrets WHERE id = ?", key)


def touch(connection: Connection) -> None:
    """Change one number, so that a commit has something to write."""
    connection.execute("UPDATE store SET checks = checks + 1")


def _require_live(secret: Secret) -> None:
    if secret.deleted_at is not None:
        raise SecretDeletedError(
            f"{secret.name} was deleted; restore it, or apply its ManagedSecret again"
        )
