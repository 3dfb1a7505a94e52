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
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.stage import Stage
from keyturn.domain.version import VersionReason
from keyturn.services import next_version
from keyturn.services.generating import Generating
from keyturn.services.lifecycle import Lifecycle
from keyturn.services.next_version import Fingerprint
from keyturn.services.versions import Versions
from keyturn.store.interface import SecretStore

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
        changed: Callable[[SecretName], None],
    ) -> None:
        self._store = store
        self._versions = versions
        self._generating = generating
        self._fingerprint = fingerprint
        self._resource_of = resource_of
        self._lifecycle = lifecycle
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

    async def rollback(self, name: SecretName, number: int) -> Secret:
        """Make an older version Current again; the one that was Current becomes Previous.

        Raises:
            SecretNotFoundError, VersionNotFoundError: there is none.
            DecryptionFailedError: that version does not open, so it must not become Current.
        """
        secret = await self.find(name)
        secret.version(number)
        (await self._versions.open(secret, number)).zero()
        moved = await self._store.promote(secret.id, number, expected=secret.stages.current)
        self._changed(name)
        return moved

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
