"""The targets of a secret: what stands there, whose it is, and what may be done about it."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from keyturn.crypto.root_keys import RootKeys
from keyturn.domain.errors import (
    ConflictError,
    KeyturnError,
    RaceError,
    SecretNotFoundError,
    StoreRollbackError,
    TargetOwnedByOtherError,
)
from keyturn.domain.managed_secret import CreationPolicy, ManagedSecret, Target
from keyturn.domain.secret import Claim, Secret, SecretName
from keyturn.kube.client import Json
from keyturn.kube.errors import ObjectNotFoundError
from keyturn.kube.native_secrets import NativeSecrets
from keyturn.projection.desired import Identity, rendered_from
from keyturn.projection.drift import Drift, needs_recreation
from keyturn.projection.existing import ExistingNativeSecret
from keyturn.projection.ownership import Decision, Facts, Holder, RefusalReason, decide
from keyturn.services.sightings import Sightings
from keyturn.store.interface import SecretStore, StoreIdentity


class SecretMissingError(ConflictError):
    """A native Secret that somebody else has to make is not there."""

    code = "SecretMissing"


class CannotChangeError(ConflictError):
    """Kubernetes does not let the native Secret be changed, and it is not ours to replace."""

    code = "SecretSyncedError"


class NativeView:
    """The native Secrets of one namespace as one reconcile sees them: each is read once."""

    def __init__(self, natives: NativeSecrets, sightings: Sightings, namespace: str) -> None:
        self._natives = natives
        self._sightings = sightings
        self._namespace = namespace
        self._read: dict[str, Json | None] = {}

    async def get(self, name: str) -> Json | None:
        """Read one with its data; None if it does not exist."""
        if name not in self._read:
            try:
                self._read[name] = await self._natives.get(self._namespace, name)
            except ObjectNotFoundError:
                self._read[name] = None
        return self._read[name]

    def is_absent(self, name: str) -> bool:
        """Tell whether it was looked for and not found; one that was not looked for may exist."""
        return name in self._read and self._read[name] is None

    async def glance(self, name: str) -> Json | None:
        """Read one with its data if the watch has seen it, which it does where it is ours.

        One that is somebody else's is taken for absent: that costs no request, and the create of
        it, which never overwrites, tells.
        """
        if not self._sightings.is_present((self._namespace, name)):
            self._read.setdefault(name, None)
        return await self.get(name)


class Targets:
    """Gathers what the store and the cluster know of a target, and decides."""

    def __init__(
        self,
        store: SecretStore,
        identity: StoreIdentity,
        keys: RootKeys,
        author_checked: Callable[[SecretName], Awaitable[bool]],
    ) -> None:
        self._author_checked = author_checked
        self._store = store
        self._identity = identity
        self._keys = keys

    def identity(self, resource: ManagedSecret, secret: Secret) -> Identity:
        return Identity(secret.id, self._identity.store_id, resource.name, resource.uid)

    def digest(
        self, resource: ManagedSecret, secret: Secret, target: Target, *, merging: bool
    ) -> str:
        """Digest everything that a rendering of the target depends on."""
        identity = self.identity(resource, secret)
        inputs = rendered_from(target, secret.stages, identity, merging=merging)
        return self._keys.fingerprint("rendered", inputs)

    async def decide(  # noqa: PLR0913 - all that a decision is made from
        self,
        resource: ManagedSecret,
        secret: Secret,
        target: Target,
        actual: Json | None,
        *,
        drifts: Sequence[Drift] = (),
        written: Collection[str] = (),
        claimed_by: Holder | None = None,
    ) -> Decision:
        """Decide what to do about a target, given the native Secret that stands there.

        `written` are the keys that are about to be written, where that is known: a version may
        have others than the resource, after a rollback for example. `claimed_by` is what `claim`
        told of the target.
        """
        existing = None if actual is None else ExistingNativeSecret.of(actual)
        merging = is_merging(target, secret, existing)
        labelled = await self._labelled(secret, existing)
        named = native_keys(resource, target)
        facts = Facts(
            target=target,
            name=resource.name,
            secret_id=secret.id,
            adoption=resource.spec.adoption_policy,
            current=secret.current,
            newest=secret.newest.number if secret.newest else 0,
            held={version.number: version.id for version in secret.versions},
            projected=secret.projection(target.name),
            is_shown=bool(secret.projected),
            claimed_by=claimed_by,
            labelled=labelled,
            keys=named,
            unnamed=frozenset(written).difference(named),
            rendered_from=(
                self.digest(resource, secret, target, merging=merging) if existing else ""
            ),
            needs_recreation=actual is not None and needs_recreation(drifts, actual),
            author_checked=(
                _is_of_lost_store(secret, existing, labelled)
                and await self._author_checked(resource.name)
            ),
        )
        return decide(facts, existing)

    async def claim(self, secret: Secret, wanted: frozenset[Claim]) -> Mapping[str, Holder]:
        """Have a secret hold these claims and no others; the first holder of a claim wins.

        Returns who holds the targets that another secret has claimed already, by their name.

        Raises:
            RaceError: a claim was given up while its holder was asked for.
        """
        if wanted == secret.claims:
            return {}
        refused = await self._store.claim(secret.id, wanted)
        return {
            claim.native_name: await self._holder(secret, claim)
            # Of several keys the first is told.
            for claim in sorted(refused, key=lambda c: c.key, reverse=True)
        }

    async def _holder(self, secret: Secret, claim: Claim) -> Holder:
        holder = await self._store.holder(secret.namespace_uid, claim)
        if holder is None:
            raise RaceError(f"the Secret {claim.native_name} has just become free")
        return Holder(holder.name, claim.key)

    async def _labelled(
        self, secret: Secret, existing: ExistingNativeSecret | None
    ) -> SecretName | None:
        """Name the other secret that the label of a native Secret names, if the store has it."""
        labelled = existing.secret_id if existing is not None else None
        if labelled is None or labelled == secret.id:
            return None
        try:
            return (await self._store.get(labelled)).name
        except SecretNotFoundError:
            return None


def _is_of_lost_store(
    secret: Secret, existing: ExistingNativeSecret | None, labelled: SecretName | None
) -> bool:
    is_of_other = existing is not None and existing.secret_id not in (None, secret.id)
    return is_of_other and labelled is None


def is_merging(target: Target, secret: Secret, existing: ExistingNativeSecret | None) -> bool:
    """Tell whether the target's native Secret is somebody else's, so that only keys are ours."""
    projected = secret.projection(target.name)
    if existing is not None and projected is not None and projected.uid == existing.uid:
        return not projected.owned
    if target.creation_policy is CreationPolicy.MERGE:
        return True
    if target.creation_policy is CreationPolicy.CREATE_OR_MERGE:
        return existing is not None and not existing.is_made_by_keyturn
    return False


def native_keys(resource: ManagedSecret, target: Target) -> tuple[str, ...]:
    """Name the keys of a native Secret that the target writes."""
    keys = set(target.template.data)
    if target.template.shows_payload:
        keys.update(resource.spec.keys)
    return tuple(sorted(key + suffix for key in keys for _, suffix in target.stages))


def refusal(decision: Decision) -> KeyturnError:
    """Make the error that a refusal ends in."""
    match decision.reason:
        case RefusalReason.STORE_ROLLBACK:
            return StoreRollbackError(decision.message)
        case RefusalReason.MISSING:
            return SecretMissingError(decision.message)
        case RefusalReason.CANNOT_CHANGE:
            return CannotChangeError(decision.message)
        case _:
            return TargetOwnedByOtherError(decision.message)


def claims_of(resource: ManagedSecret, merged: frozenset[str]) -> frozenset[Claim]:
    """Name what a resource claims: its targets, but of those that are merged only its keys."""
    return frozenset(
        claim
        for target in resource.effective_targets
        if target.creation_policy is not CreationPolicy.NONE
        for claim in _claims(resource, target, merged)
    )


def _claims(resource: ManagedSecret, target: Target, merged: frozenset[str]) -> list[Claim]:
    if target.name in merged:
        return [Claim(target.name, key) for key in native_keys(resource, target)]
    return [Claim(target.name)]
