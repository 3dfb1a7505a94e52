"""Versions: the immutable values of a secret, without their plaintext."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class VersionReason(StrEnum):
    """Why a version was made; shown in the history."""

    CREATED = "Created"
    IMPORTED = "Imported"
    SPEC_CHANGED = "SpecChanged"
    SOURCE_CHANGED = "SourceChanged"
    PUT = "Put"
    ROTATED = "Rotated"
    ROLLED_BACK = "RolledBack"


@dataclass(frozen=True, slots=True)
class KeyOrigin:
    """Where the value of one key came from: keyed digests (HMAC), never plain hashes.

    `spec` is the digest of the key's source as the resource stated it; `value` the digest of the
    value that was read, for a `valueFrom` whose object may change, else empty.
    """

    spec: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable value of a secret: everything about it but its plaintext.

    `credential` is the number of the first version that had the same credential, as far as that is
    known: where values beside it were changed, or were gone back to. None: its own.
    """

    number: int
    id: UUID
    created_at: datetime
    reason: VersionReason
    key_id: str
    origins: Mapping[str, KeyOrigin] = field(default_factory=dict)
    credential: int | None = None


@dataclass(frozen=True, slots=True)
class SealedVersion:
    """A version with its ciphertext, as the store keeps it."""

    version: Version
    sealed: bytes
