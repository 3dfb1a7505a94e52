"""Versions in clear: the only place where the store's ciphertext and plaintext meet."""

from collections.abc import Mapping
from uuid import UUID, uuid4

from keyturn.crypto.envelope import Context, Envelope, key_id_of
from keyturn.domain.payload import Payload
from keyturn.domain.secret import Secret
from keyturn.domain.version import KeyOrigin, SealedVersion, Version, VersionReason
from keyturn.services.clock import Clock
from keyturn.store.interface import SecretStore


class Versions:
    """Seals payloads into the store and opens them again."""

    def __init__(
        self,
        store: SecretStore,
        envelope: Envelope,
        store_id: UUID,
        clock: Clock,
    ) -> None:
        self._store = store
        self._envelope = envelope
        self._store_id = store_id
        self._clock = clock

    async def open(self, secret: Secret, number: int) -> Payload:
        """Decrypt a version; the caller leaves the payload's `with` soon.

        Raises:
            VersionNotFoundError: there is none of that number.
            DecryptionFailedError: its row is not what was written.
        """
        sealed = await self._store.sealed(secret.id, number)
        return await self._envelope.open(sealed.sealed, self._context(secret, number))

    async def add(  # noqa: PLR0913 - all that a version is made of
        self,
        secret: Secret,
        payload: Payload,
        *,
        origins: Mapping[str, KeyOrigin],
        reason: VersionReason,
        history_limit: int,
        promote: bool = True,
        credential: int | None = None,
    ) -> Secret:
        """Encrypt the payload as the next version, and make it Current; durable on return.

        `credential` is that of the version, where it is not its own: see `Version`.

        Raises:
            StageMovedError: another version was added meanwhile.
            ValueTooLargeError: the payload is over the limit.
        """
        sealed = await self.seal(
            secret, payload, origins=origins, reason=reason, credential=credential
        )
        return await self._store.add_version(
            secret.id, sealed, promote=promote, history_limit=history_limit
        )

    async def seal(
        self,
        secret: Secret,
        payload: Payload,
        *,
        origins: Mapping[str, KeyOrigin],
        reason: VersionReason,
        credential: int | None = None,
    ) -> SealedVersion:
        """Encrypt the payload as the next version; nothing is stored yet.

        Raises:
            ValueTooLargeError: the payload is over the limit.
        """
        number = secret.newest.number + 1 if secret.newest else 1
        sealed = await self._envelope.seal(payload, self._context(secret, number))
        version = Version(
            number=number,
            id=uuid4(),
            created_at=self._clock(),
            reason=reason,
            key_id=key_id_of(sealed),
            origins=origins,
            credential=credential,
        )
        return SealedVersion(version, sealed)

    def _context(self, secret: Secret, number: int) -> Context:
        return Context(self._store_id, secret.namespace_uid, secret.id, number)
