"""Domain types as rows of the store, and back."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from keyturn.domain.recovery import ReclaimPolicy, Retention
from keyturn.domain.secret import Claim, Projected, Secret, SecretName
from keyturn.domain.stage import Stage, Stages
from keyturn.domain.version import KeyOrigin, SealedVersion, Version, VersionReason

Row = Sequence[Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

COLUMNS = (
    "id, namespace_uid, namespace, name, resource_uid, created_at,"
    " reclaim_policy, recovery_window, deleted_at, purge_after, sealed_manifest"
)
VERSION_COLUMNS = "number, id, created_at, reason, key_id, origins, credential"
PROJECTION_COLUMNS = (
    "native_name, uid, resource_version, version, rendered_from, fingerprint, owned, keys"
)


def to_microseconds(moment: datetime) -> int:
    """Count the microseconds since 1970 in UTC; a datetime without a zone is a TypeError.

    >>> to_microseconds(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    return _EPOCH + timedelta(microseconds=count)


def _moment(count: int | None) -> datetime | None:
    return None if count is None else from_microseconds(count)


def retention_row(retention: Retention) -> tuple[str, int]:
    return retention.policy.value, retention.window // _MICROSECOND


def version_row(sealed: SealedVersion) -> tuple[object, ...]:
    version = sealed.version
    return (
        version.number,
        version.id.bytes,
        to_microseconds(version.created_at),
        version.reason.value,
        version.key_id,
        encode_origins(version.origins),
        version.credential,
        sealed.sealed,
    )


def projection_row(projected: Projected) -> tuple[object, ...]:
    return (
        projected.native_name,
        projected.uid,
        projected.resource_version,
        projected.version,
        projected.rendered_from,
        projected.fingerprint,
        int(projected.owned),
        json.dumps(projected.keys),
    )


def encode_origins(origins: Mapping[str, KeyOrigin]) -> str:
    return json.dumps({key: [origin.spec, origin.value] for key, origin in origins.items()})


def decode_origins(text: str) -> Mapping[str, KeyOrigin]:
    return {key: KeyOrigin(*pair) for key, pair in json.loads(text).items()}


def to_version(row: Row) -> Version:
    number, version_id, created_at, reason, key_id, origins, credential = row
    return Version(
        number=number,
        id=UUID(bytes=version_id),
        created_at=from_microseconds(created_at),
        reason=VersionReason(reason),
        key_id=key_id,
        origins=decode_origins(origins),
        credential=credential,
    )


def to_projected(row: Row) -> Projected:
    native_name, uid, resource_version, version, rendered_from, fingerprint, owned, keys = row
    return Projected(
        native_name=native_name,
        uid=uid,
        resource_version=resource_version,
        version=version,
        rendered_from=rendered_from,
        fingerprint=fingerprint,
        owned=bool(owned),
        keys=tuple(json.loads(keys)),
    )


def to_secret(
    row: Row,
    *,
    versions: Sequence[Version] = (),
    stages: Mapping[Stage, int] | None = None,
    claims: frozenset[Claim] = frozenset(),
    projected: Sequence[Projected] = (),
) -> Secret:
    """Put together a secret from its own row and what was read from the other tables."""
    secret_id, namespace_uid, namespace, name, resource_uid, created_at, *rest = row
    policy, window, deleted_at, purge_after, sealed_manifest = rest
    return Secret(
        id=UUID(bytes=secret_id),
        namespace_uid=namespace_uid,
        name=SecretName(namespace, name),
        resource_uid=resource_uid,
        created_at=from_microseconds(created_at),
        stages=Stages(stages or {}),
        retention=Retention(ReclaimPolicy(policy), timedelta(microseconds=window)),
        deleted_at=_moment(deleted_at),
        purge_after=_moment(purge_after),
        versions=versions,
        claims=claims,
        projected=projected,
        sealed_manifest=sealed_manifest,
    )
