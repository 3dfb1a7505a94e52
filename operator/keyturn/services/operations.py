"""What people ask for by the CLI: put, get, history, list, restore, rollback, describe, purge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from keyturn.domain.errors import (
    AwaitingInputError,
    SecretDeletedError,
    SecretNotFoundError,
    UnavailableError,
    VersionNotFoundError,
)
from keyturn.domain.managed_secret import Input, ManagedSecret
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.rotation import Cause, Rotation, RotationSpec
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.stage import Stage
from keyturn.domain.version import VersionReason
from keyturn.services import next_version
from keyturn.services.generating import Generating
from keyturn.services.lifecycle import Lifecycle
from keyturn.services.next_version import Fingerprint
from keyturn.services.rotation.pending import Wanted
from keyturn.services.rotation.rotations import Rotations
from keyturn.services.versions import Versions
from keyturn.store.interface import SecretStore
from keyturn.store.journal import Journal

ParseManifest = Callable[[Secret], ManagedSecret]
"""Read a secret's resource back from what the store keeps of it."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One version of a secret; its payload is there only when it was asked for."""

    secret: Secret
    number: int
    payload: Payload | None


class Operations:
    """The use cases of people. `changed` is called with each name that has to be projected."""

    def __init__(  # noqa: PLR0913 - the composition root names each collaborator
        self,
        store: SecretStore,
        versions: Versions,
        generating: Generating,
        fingerprint: Fingerprint,
        resource_of: ParseManifest,
        *,
        lifecycle: Lifecycle | None,
        rotations: Rotations | None,
        changed: Callable[[SecretName], None],
    ) -> None:
        self._store = store
        self._versions = versions
        self._generating = generating
        self._fingerprint = fingerprint
        self._resource_of = resource_of
        self._lifecycle = lifecycle
        self._rotations = rotations
        self._changed = changed

    async def list(self, namespace: str | None = None) -> Sequence[Secret]:
        """List the secrets, deleted ones included, by name."""
        return [secret async for secret in self._store.secrets(namespace=namespace)]

    async def find(self, name: SecretName) -> Secret:
        """Find a secret, live or deleted. Raises: SecretNotFoundError."""
        found = await self._store.lookup(name)
        if not found:
            raise SecretNotFoundError(f"there is no secret {name}")
        return found[0]

    async def get(
        self, name: SecretName, *, version: int | None, stage: Stage, reveal: bool
    ) -> Chosen:
        """Choose a version by number or stage; decrypt it only with `reveal`.

        Raises:
            SecretNotFoundError, VersionNotFoundError: there is none.
        """
        secret = await self.find(name)
        number = version if version is not None else secret.stages.version(stage)
        if number is None:
            raise VersionNotFoundError(f"{name} has no version with the stage {stage}")
        secret.version(number)
        payload = await self._versions.open(secret, number) if reveal else None
        return Chosen(secret, number, payload)

    async def put(self, name: SecretName, given: Mapping[str, SecretValue]) -> Secret:
        """Give values to keys whose source is `input` or `generate`; makes one version.

        Where other keys still wait for a value, what was given is kept all the same.

        Raises:
            SecretNotFoundError: there is no such resource; apply it first.
            SecretDeletedError: it is deleted; restore it first.
            InvalidSpecError: a key does not exist, or has a source of its own.
        """
        secret = await self.find(name)
        if secret.deleted_at is not None:
            raise SecretDeletedError(f"{name} is deleted; run keyturn restore first")
        resource = self._resource_of(secret)
        plan = next_version.plan_put(
            resource.spec,
            secret,
            given,
            fingerprint=self._fingerprint,
            siblings_of=self._generating.siblings_of,
        )
        current = secret.stages.current
        opened = await self._versions.open(secret, current) if current else Payload({})
        with opened:
            try:
                payload = await next_version.payload_of(
                    plan, resource.spec, name, opened, self._generating
                )
                origins = plan.origins
            except AwaitingInputError:
                fields = {key: opened[key].copy() for key in opened}
                fields.update({key: value.copy() for key, value in given.items()})
                payload = Payload(fields)
                known = secret.newest.origins if secret.newest else {}
                origins = {k: plan.origins[k] if k in given else known[k] for k in fields}
        with payload:
            added = await self._versions.add(
                secret,
                payload,
                origins=origins,
                reason=VersionReason.PUT,
                history_limit=resource.spec.history_limit,
            )
        self._changed(name)
        return added

    def awaited(self, secret: Secret) -> Sequence[str]:
        """List the keys that wait for a value."""
        stood = secret.newest.origins if secret.newest else {}
        entries = self._resource_of(secret).spec.data
        return [e.key for e in entries if isinstance(e.source, Input) and e.key not in stood]

    async def rollback(self, name: SecretName, number: int, *, by: str) -> Secret:
        """Make an older version Current again; the one that was Current becomes Previous.

        With a rotator its values become a new version, which is set and tested in the target
        before it is Current; that goes on after this returns.

        Raises:
            SecretNotFoundError, VersionNotFoundError: there is none.
            DecryptionFailedError: that version does not open, so it must not become Current.
            ConflictError: a rotation is under way.
        """
        secret = await self.find(name)
        secret.version(number)
        (await self._versions.open(secret, number)).zero()
        rotation = self._rotation_of(secret)
        if rotation is not None and rotation.rotator is not None:
            await self._begin(secret, Wanted(Cause.ROLLBACK, by, back_to=number))
            return await self._store.get(secret.id)
        moved = await self._store.promote(secret.id, number, expected=secret.stages.current)
        self._changed(name)
        return moved

    async def rotate(self, name: SecretName, *, by: str, token: str) -> Rotation | None:
        """Begin a rotation now; None if this token has begun one already. It goes on by itself.

        Raises:
            SecretNotFoundError: there is none.
            SecretDeletedError: it is deleted; restore it first.
            InvalidSpecError: it is not rotated.
            ConflictError: a rotation is under way.
        """
        secret = await self.find(name)
        if secret.deleted_at is not None:
            raise SecretDeletedError(f"{name} is deleted; run keyturn restore first")
        if token and any(token == done.token for done in (await self.journal(name)).rotations):
            return None
        return await self._begin(secret, Wanted(Cause.REQUEST, by, token))

    async def rotated(self, namespace: str | None = None) -> Sequence[ManagedSecret]:
        """List the resources of the live secrets that are rotated, by name."""
        resources = [
            self._resource_of(secret)
            for secret in await self.list(namespace)
            if secret.deleted_at is None and secret.sealed_manifest
        ]
        return [resource for resource in resources if resource.spec.rotation is not None]

    async def cancel(self, name: SecretName, *, by: str) -> Rotation:
        """Give up the rotation that is under way. Raises: ConflictError: there is none."""
        return await self._engine().cancel(await self.find(name), by)

    async def journal(self, name: SecretName) -> Journal:
        """Read what is known of the rotations of a secret."""
        return await self._engine().journal_of(await self.find(name))

    def _rotation_of(self, secret: Secret) -> RotationSpec | None:
        return self._resource_of(secret).spec.rotation

    async def _begin(self, secret: Secret, wanted: Wanted) -> Rotation:
        return await self._engine().begin(self._resource_of(secret), secret, wanted)

    def _engine(self) -> Rotations:
        if self._rotations is None:
            raise UnavailableError("this needs the running operator; start keyturn run")
        return self._rotations

    async def restore(self, name: SecretName) -> Secret:
        """Make a deleted ManagedSecret again, with its values."""
        try:
            return await self._cluster().restore(name)
        finally:
            # Also when the cluster refused the resource: then the secret is a deleted one again.
            self._changed(name)

    async def purge(self, *, confirmed: bool) -> int:
        """Destroy what is due. Raises: InvalidParameterError: too much at once, unconfirmed."""
        return await self._cluster().purge_due(confirmed=confirmed)

    def _cluster(self) -> Lifecycle:
        if self._lifecycle is None:
            raise UnavailableError("this needs the running operator; start keyturn run")
        return self._lifecycle
