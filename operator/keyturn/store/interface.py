"""What every store promises.

Each method is one atomic step: when it returns, all of it is durable (it survives a power cut);
when it raises, nothing of it happened. The one exception is `StoreUnavailableError` during the
commit itself: then a caller reads again before it decides.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from keyturn.domain.consumers import Spell
from keyturn.domain.recovery import Retention
from keyturn.domain.secret import Claim, Projected, Secret, SecretName
from keyturn.domain.version import SealedVersion
from keyturn.store.journal import RotationJournal


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """What the store says of itself.

    `store_id` is made when the store is created. `cluster_uid` (the UID of the namespace
    kube-system) is empty until the store is bound. `sealed_root` is the store's own root secret,
    wrapped by the key provider; empty until it is set, once.
    """

    store_id: UUID
    cluster_uid: str
    sealed_root: bytes


@dataclass(frozen=True, slots=True)
class Attachment:
    """A ManagedSecret as it attaches to its secret: who it is and what it wants kept."""

    namespace_uid: str
    name: SecretName
    resource_uid: str
    retention: Retention
    sealed_manifest: bytes


class SecretStore(Protocol):
    """Keeps secrets. All times are given by the caller, in UTC."""

    @property
    def rotations(self) -> RotationJournal:
        """The journal of the rotations, in the same store."""

    async def identity(self) -> StoreIdentity: ...

    async def bind(self, cluster_uid: str) -> None:
        """Bind the store to a cluster, once.

        Raises:
            ForeignStoreError: it is bound to another cluster.
        """

    async def set_sealed_root(self, sealed_root: bytes) -> bytes:
        """Set the root secret if there is none yet; return the one that stands."""

    async def count(self) -> int:
        """Count all secrets, deleted ones included."""

    async def find(self, namespace_uid: str, name: str) -> Secret | None:
        """Find a secret by its identity, deleted or not, with all metadata of its versions."""

    async def get(self, secret_id: UUID) -> Secret:
        """Raises: SecretNotFoundError."""

    async def lookup(self, name: SecretName) -> Sequence[Secret]:
        """Find by the name that people use: live secrets first, then the newest first."""

    def secrets(self, *, namespace: str | None = None) -> AsyncIterator[Secret]:
        """Iterate over all secrets in the order of their names, in bounded pages."""

    async def attach(self, attachment: Attachment, *, now: datetime) -> Secret:
        """Make the secret of this identity, or attach the resource to the one that exists.

        Attaching takes back a deletion. The id of a new secret is a random UUID.
        """

    async def add_version(
        self, secret_id: UUID, sealed: SealedVersion, *, promote: bool, history_limit: int
    ) -> Secret:
        """Add the next version; with `promote` make it Current in the same step.

        Afterwards the oldest versions without a stage are destroyed until `history_limit`
        versions without a stage are left; the newest is never destroyed, so that no number comes
        twice. Repeating it with the same version id changes nothing. Where another version becomes
        Previous, what was set for the one before (`RotationState.retire_at`) is forgotten.

        Raises:
            SecretNotFoundError: there is no such secret.
            SecretDeletedError: the secret is deleted.
            StageMovedError: the number is not the newest number plus one.
        """

    async def promote(self, secret_id: UUID, number: int, *, expected: int | None) -> Secret:
        """Make a version Current by the rules of `Stages.promote`; Previous is as in `add_version`.

        Raises:
            SecretNotFoundError, VersionNotFoundError: there is none.
            StageMovedError: Current is not the `expected` version.
        """

    async def sealed(self, secret_id: UUID, number: int) -> SealedVersion:
        """Raises: SecretNotFoundError, VersionNotFoundError."""

    async def claim(self, secret_id: UUID, claims: Collection[Claim]) -> frozenset[Claim]:
        """Claim targets, release the secret's other claims; return those that another holds.

        A claim of a whole native Secret conflicts with each claim of a key of it. Claims of one
        namespace only (its UID is the secret's). `mark_deleted` releases them.

        Raises:
            SecretNotFoundError: there is no such secret.
            SecretDeletedError: the secret is deleted.
        """

    async def holder(self, namespace_uid: str, claim: Claim) -> Secret | None:
        """Tell which secret holds a claim that conflicts with this one."""

    async def record_projection(
        self, secret_id: UUID, projected: Projected, *, since: datetime, same_data: bool = False
    ) -> None:
        """Remember a native Secret as it was just written.

        With another version than before a spell of it begins, at `since`: a time at which the
        native Secret surely said so, so one after the write. With `same_data` the version before
        said the same there, so that the spell begins with the one of that version.

        Raises:
            SecretNotFoundError: there is no such secret.
            SecretDeletedError: the secret is deleted.
        """

    async def forget_projection(self, secret_id: UUID, native_name: str, *, now: datetime) -> None:
        """Forget a native Secret that was deleted or released; its spell ends."""

    async def spells(self, secret_id: UUID) -> Sequence[Spell]:
        """List from when each native Secret showed which version, in the order of time.

        They outlive their versions, and the projections; the newest of each native Secret are
        kept. Without a secret there are none.
        """

    async def reloads(self, secret_id: UUID) -> Mapping[str, datetime]:
        """Tell of each pod that was told to, by its UID, as of when it has read a secret anew."""

    async def note_reloads(
        self,
        secret_id: UUID,
        pod_uids: Collection[str],
        read_at: datetime,
        *,
        running: Collection[str],
    ) -> None:
        """Note that some pods have read what their files said at a moment, and forget others.

        Only of the pods that are `running` anything is kept. A moment never goes back. Without a
        secret nothing is noted.
        """

    async def mark_deleted(self, secret_id: UUID, *, resource_uid: str, now: datetime) -> Secret:
        """Record that the resource was deleted; its retention says when the purge is due.

        Does nothing when another resource was attached meanwhile. Releases the claims, forgets
        the projections and ends their spells.
        """

    async def restore(self, secret_id: UUID) -> Secret:
        """Take back a deletion. Raises: SecretNotFoundError."""

    async def due_for_purge(self, now: datetime) -> Sequence[Secret]:
        """List the deleted secrets whose recovery window is over."""

    async def purge(self, secret_id: UUID, *, now: datetime) -> None:
        """Destroy a secret that is due, all its versions included; else do nothing."""

    async def next_purge(self) -> datetime | None:
        """Tell when the next purge is due."""

    async def check(self) -> None:
        """Prove that the store can be read and written now. Raises: StoreUnavailableError."""

    async def close(self) -> None: ...
