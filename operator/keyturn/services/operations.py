"""What people ask for by the CLI: to look, to put, to rotate, to roll back, to restore."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from keyturn.domain.errors import (
    AwaitingInputError,
    InvalidError,
    InvalidSpecError,
    KeyturnError,
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
from keyturn.domain.version import KeyOrigin, VersionReason
from keyturn.services import next_version
from keyturn.services.clock import Clock
from keyturn.services.credentials import credential_of
from keyturn.services.generating import Generating
from keyturn.services.lifecycle import Lifecycle
from keyturn.services.next_version import Fingerprint, Plan, Standing
from keyturn.services.rotation.deciding import next_rotation
from keyturn.services.rotation.gating import is_under_way
from keyturn.services.rotation.pending import Wanted
from keyturn.services.rotation.rotations import Rotations
from keyturn.services.standing import standing
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


@dataclass(frozen=True, slots=True)
class Changed:
    """A secret after a change, and the rotation that makes the change; that goes on by itself."""

    secret: Secret
    rotation: Rotation | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """How a secret is rotated, what became of its rotations, and when the next one is due.

    `waiting` says whom the previous credential stays valid for, as far as this process has looked.
    """

    spec: RotationSpec
    journal: Journal
    next_time: datetime | None
    waiting: str = ""


@dataclass(frozen=True, slots=True)
class Rotated:
    """The resources that are rotated; `unread` tells why one cannot be read, by its name."""

    resources: Sequence[ManagedSecret]
    unread: Mapping[SecretName, str]


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
        clock: Clock,
    ) -> None:
        self._store = store
        self._versions = versions
        self._generating = generating
        self._fingerprint = fingerprint
        self._resource_of = resource_of
        self._lifecycle = lifecycle
        self._rotations = rotations
        self._changed = changed
        self._clock = clock

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

    async def put(self, name: SecretName, given: Mapping[str, SecretValue]) -> Changed:
        """Give values to keys whose source is `input` or `generate`; makes one version.

        Where other keys still wait for a value, what was given is kept all the same. With a
        rotator the version becomes Current by a rotation, as each one there does.

        Raises:
            SecretNotFoundError: there is no such resource; apply it first.
            SecretDeletedError: it is deleted; restore it first.
            InvalidSpecError: a key does not exist, has a source of its own or is the rotator's.
            ConflictError: a rotation is under way.
        """
        secret = await self.find(name)
        _require_live(secret)
        resource = self._resource_of(secret)
        if resource.spec.rotation is not None:
            await self._require_free(resource, secret, given)
        plan = next_version.plan_put(
            resource.spec,
            secret,
            given,
            fingerprint=self._fingerprint,
            siblings_of=self._generating.siblings_of,
        )
        if resource.spec.rotation is None or resource.spec.rotation.rotator is None:
            return Changed(await self._add(resource, secret, plan))
        if secret.stages.current is None:
            return Changed(await self._keep(resource, secret, plan))
        return await self._begin(secret, Wanted(Cause.CHANGE, "keyturn put", put=plan))

    async def _require_free(
        self, resource: ManagedSecret, secret: Secret, given: Mapping[str, SecretValue]
    ) -> None:
        """Refuse what only a rotation changes, and all while one is open.

        Its version was made before, and would be Current without what is given now.
        """
        rotation, name = resource.spec.rotation, secret.name
        if rotation is not None and rotation.rotator is not None:
            held = sorted(await self._engine().held(resource) & given.keys())
            if held:
                raise InvalidSpecError(
                    f"{', '.join(held)} of {name} belongs to the rotator, which sets it in the "
                    f"target too; for new values run: keyturn rotate {name.name} -n "
                    f"{name.namespace}"
                )
        await self._require_no_rotation(secret)

    async def _require_no_rotation(self, secret: Secret) -> None:
        if (await self._store.rotations.journal(secret.id)).open is not None:
            raise is_under_way(secret.name)

    async def _add(self, resource: ManagedSecret, secret: Secret, plan: Plan) -> Secret:
        """Make the version that is planned, and make it Current."""
        async with standing(self._versions, secret, plan) as stands:
            try:
                payload = await next_version.payload_of(
                    plan, resource.spec, secret.name, stands, self._generating
                )
                # A key claims its source only with a value: else it would never be made.
                origins: Mapping[str, KeyOrigin] = {key: plan.origins[key] for key in payload}
            except AwaitingInputError:
                payload, origins = self._of_given(resource, secret, plan, stands)
        with payload:
            added = await self._versions.add(
                secret,
                payload,
                origins=origins,
                reason=VersionReason.PUT,
                history_limit=resource.spec.history_limit,
                credential=await credential_of(self._versions, resource.spec, secret, payload),
            )
        self._changed(secret.name)
        return added

    async def _keep(self, resource: ManagedSecret, secret: Secret, plan: Plan) -> Secret:
        """Keep what was given in a version without a stage, until the first rotation takes it."""
        async with standing(self._versions, secret, plan) as stands:
            payload, origins = self._of_given(resource, secret, plan, stands)
        with payload:
            kept = await self._versions.add(
                secret,
                payload,
                origins=origins,
                reason=VersionReason.PUT,
                history_limit=resource.spec.history_limit,
                promote=False,
            )
        self._engine().news(secret.name)
        self._changed(secret.name)
        return kept

    def _of_given(
        self, resource: ManagedSecret, secret: Secret, plan: Plan, stands: Standing
    ) -> tuple[Payload, Mapping[str, KeyOrigin]]:
        """Put what was given beside the values that are there; the caller zeroes the payload."""
        siblings_of = self._generating.siblings_of
        fields = next_version.carried_over(resource.spec, stands, siblings_of)
        fields.update({key: value.copy() for key, value in plan.given.items()})
        stood = (version.origins for version in (secret.current, secret.newest) if version)
        known = {k: origin for origins in stood for k, origin in origins.items()}
        known.update({key: plan.origins[key] for key in plan.given})
        # One whose source nobody knows any more counts as changed.
        return Payload(fields), {key: known.get(key, KeyOrigin("")) for key in fields}

    def awaited(self, secret: Secret) -> Sequence[str]:
        """List the keys that wait for a value."""
        stood = secret.newest.origins if secret.newest else {}
        entries = self._resource_of(secret).spec.data
        return [e.key for e in entries if isinstance(e.source, Input) and e.key not in stood]

    async def rollback(
        self, name: SecretName, number: int, *, by: str, force: bool = False
    ) -> Changed:
        """Make an older version Current again; the one that was Current becomes Previous.

        With a rotator its values become a new version, which is set and tested in the target
        before it is Current; that goes on after this returns. `force` is as for `rotate`.

        Raises:
            SecretNotFoundError, VersionNotFoundError: there is none.
            DecryptionFailedError: that version does not open, so it must not become Current.
            InvalidSpecError: the target could not be brought back to that version.
            ConflictError: a rotation is under way.
            RetireBlockedByConsumersError: as for `rotate`.
        """
        secret = await self.find(name)
        older = secret.version(number)
        (await self._versions.open(secret, number)).zero()
        await self._require_no_rotation(secret)
        rotation = self._resource_of(secret).spec.rotation if secret.sealed_manifest else None
        if rotation is not None and rotation.rotator is not None:
            missing = sorted(_keys_of_current(secret) - older.origins.keys())
            if missing:
                raise InvalidSpecError(
                    f"version {number} of {name} has no {missing[0]}; only whole versions can be "
                    "set in the target"
                )
            wanted = Wanted(Cause.ROLLBACK, by, back_to=number)
            return await self._begin(secret, wanted, force=force)
        moved = await self._store.promote(secret.id, number, expected=secret.stages.current)
        self._changed(name)
        return Changed(moved)

    async def rotate(
        self, name: SecretName, *, by: str, token: str, force: bool = False
    ) -> Rotation | None:
        """Begin a rotation now; None if this token has begun one already. It goes on by itself.

        With `force` also where it ends the credential that consumers still hold.

        Raises:
            SecretNotFoundError: there is none.
            SecretDeletedError: it is deleted; restore it first.
            InvalidSpecError: it is not rotated.
            ConflictError: a rotation is under way.
            RetireBlockedByConsumersError: consumers hold the credential that would end.
            SecretLeftBehindError: a native Secret that cannot be written would keep it.
        """
        secret = await self.find(name)
        _require_live(secret)
        if token and any(token == done.token for done in (await self.journal(name)).rotations):
            return None
        wanted = Wanted(Cause.REQUEST, by, token)
        return (await self._begin(secret, wanted, force=force)).rotation

    async def rotated(self, namespace: str | None = None) -> Rotated:
        """List the resources of the live secrets that are rotated, by name."""
        resources: list[ManagedSecret] = []
        unread: dict[SecretName, str] = {}
        async for secret in self._store.secrets(namespace=namespace):
            if secret.deleted_at is not None or not secret.sealed_manifest:
                continue
            try:
                resource = self._resource_of(secret)
            except KeyturnError as error:
                unread[secret.name] = error.message
                continue
            if resource.spec.rotation is not None:
                resources.append(resource)
        return Rotated(resources, unread)

    async def cancel(self, name: SecretName, *, by: str) -> Rotation:
        """Give up the rotation that is under way. Raises: ConflictError: there is none."""
        return await self._engine().cancel(await self.find(name), by)

    async def journal(self, name: SecretName) -> Journal:
        """Read what is known of the rotations of a secret."""
        return await self._store.rotations.journal((await self.find(name)).id)

    async def outlook(self, secret: Secret) -> Outlook | None:
        """Tell how a secret is rotated; None if it is not, or its resource cannot be read."""
        try:
            rotation = self._resource_of(secret).spec.rotation if secret.sealed_manifest else None
            if rotation is None:
                return None
            journal = await self._store.rotations.journal(secret.id)
            due = next_rotation(rotation, secret, journal, self._clock())
        except InvalidError:
            return None
        waiting = self._rotations.waits_for(secret.name) if self._rotations is not None else ""
        return Outlook(rotation, journal, due if secret.deleted_at is None else None, waiting)

    async def _begin(self, secret: Secret, wanted: Wanted, *, force: bool = False) -> Changed:
        resource = self._resource_of(secret)
        rotation = await self._engine().begin(resource, secret, wanted, force=force)
        return Changed(await self._store.get(secret.id), rotation)

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


def _require_live(secret: Secret) -> None:
    if secret.deleted_at is not None:
        raise SecretDeletedError(f"{secret.name} is deleted; run keyturn restore first")


def _keys_of_current(secret: Secret) -> frozenset[str]:
    return frozenset(secret.current.origins) if secret.current is not None else frozenset()
