"""Projection: the native Secrets made what they should be."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from keyturn.domain.errors import (
    DeniedError,
    KeyturnError,
    RaceError,
    TargetOwnedByOtherError,
    UnavailableError,
)
from keyturn.domain.managed_secret import CreationPolicy, ManagedSecret, Target
from keyturn.domain.secret import Claim, Projected, Secret, SecretName
from keyturn.kube.errors import ObjectNotFoundError
from keyturn.kube.kubernetes_events import Notice
from keyturn.kube.native_secrets import NativeSecrets, Written, field_manager
from keyturn.projection.existing import ExistingNativeSecret
from keyturn.services.clock import Clock
from keyturn.services.sightings import Place, Sightings
from keyturn.services.status import TargetReport
from keyturn.services.target_writing import Outcome, TargetWriter, unsynced
from keyturn.services.targets import NativeView, Targets, claims_of, is_merging
from keyturn.store.interface import SecretStore

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Projection:
    """What became of all targets; `error` is the first thing that keeps one from being right.

    `left_behind` is the first that leaves a native Secret as it stands, so that whoever reads it
    would not hear of a new version.
    """

    targets: list[TargetReport] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    error: KeyturnError | None = None
    left_behind: KeyturnError | None = None


class Projecting:
    """Brings the native Secrets of a secret in line with its versions.

    `touched` is called with each other name that projects into a native Secret which one gives up,
    or some keys of it: it may have waited for that.
    """

    def __init__(  # noqa: PLR0913 - the composition root names each collaborator
        self,
        store: SecretStore,
        natives: NativeSecrets,
        targets: Targets,
        writer: TargetWriter,
        sightings: Sightings,
        *,
        touched: Callable[[SecretName], None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._natives = natives
        self._targets = targets
        self._writer = writer
        self._sightings = sightings
        self._touched = touched
        self._clock = clock

    def view(self, namespace: str) -> NativeView:
        return NativeView(self._natives, self._sightings, namespace)

    def forget(self, name: SecretName) -> None:
        """Forget the targets of a ManagedSecret whose deletion is recorded."""
        self._tell_of(name, self._sightings.assign(name, ()))

    async def project(
        self, resource: ManagedSecret, secret: Secret, view: NativeView
    ) -> Projection:
        """Bring every target in line.

        One target that cannot be written does not keep the others from it.

        Raises:
            UnavailableError: the cluster or the store does not answer.
        """
        wanted = [
            target
            for target in resource.effective_targets
            if target.creation_policy is not CreationPolicy.NONE
        ]
        self._sightings.assign(resource.name, [target.name for target in wanted])
        claims = claims_of(resource, await self._merged(secret, wanted, view))
        given_up = {(resource.namespace, claim.native_name) for claim in secret.claims - claims}
        try:
            return await self._write(resource, secret, wanted, view, claims)
        finally:
            # Not before: they would find written there still what is given up.
            self._tell_of(resource.name, given_up)

    async def _write(
        self,
        resource: ManagedSecret,
        secret: Secret,
        wanted: Sequence[Target],
        view: NativeView,
        claims: frozenset[Claim],
    ) -> Projection:
        result = Projection()
        claimed = await self._targets.claim(secret, claims)
        async with self._writer.payloads() as payloads:
            for target in wanted:
                try:
                    outcome = await self._writer.bring_in_line(
                        resource, secret, target, view, payloads, claimed.get(target.name)
                    )
                except (UnavailableError, RaceError):
                    raise
                except KeyturnError as error:
                    result.error = result.error or error
                    if not view.is_absent(target.name):
                        result.left_behind = result.left_behind or error
                    outcome = Outcome(unsynced(target))
                result.targets.append(outcome.report)
                result.notices.extend(outcome.notices)
        if result.error is None:
            # Not before: pods go on with the old native Secret until the new one is right.
            await self._release(secret, {target.name for target in wanted})
        return result

    def _tell_of(self, name: SecretName, left: Iterable[Place]) -> None:
        """Tell who else projects there; no watch does where nothing was written, or by us."""
        for place in left:
            for other in self._sightings.projectors(place) - {name}:
                self._touched(other)

    async def _merged(
        self, secret: Secret, wanted: Sequence[Target], view: NativeView
    ) -> frozenset[str]:
        merged = set()
        for target in wanted:
            existing = None
            if target.creation_policy is CreationPolicy.CREATE_OR_MERGE:
                try:
                    actual = await view.get(target.name)
                except (DeniedError, TargetOwnedByOtherError):
                    # It is told where it is written; until then no more than its keys is claimed,
                    # and nothing given up of one that we made.
                    record = secret.projection(target.name)
                    if record is None or not record.owned:
                        merged.add(target.name)
                    continue
                existing = ExistingNativeSecret.of(actual) if actual is not None else None
            if is_merging(target, secret, existing):
                merged.add(target.name)
        return frozenset(merged)

    async def _release(self, secret: Secret, wanted: set[str]) -> None:
        """Give up the native Secrets that the resource no longer names."""
        for left in secret.projected:
            if left.native_name in wanted:
                continue
            try:
                await self._release_one(secret, left)
            except DeniedError as error:
                # Remembered, so that the next reconcile tries again.
                logger.info("%s leaves %s as it is: %s", secret.name, left.native_name, error)
                continue
            except (ObjectNotFoundError, TargetOwnedByOtherError):
                logger.debug("%s has gone by itself", left.native_name)
            await self._store.forget_projection(secret.id, left.native_name, now=self._clock())

    async def _release_one(self, secret: Secret, left: Projected) -> None:
        namespace, manager = secret.name.namespace, field_manager(secret.id)
        actual = await self._natives.get(namespace, left.native_name)
        existing = ExistingNativeSecret.of(actual)
        if existing.uid != left.uid:
            return
        if not left.owned:
            body = bytearray(
                b'{"apiVersion":"v1","kind":"Secret","metadata":{"name":"%b","uid":"%b"}}'
                % (left.native_name.encode(), left.uid.encode())
            )
            await self._natives.apply(actual, body, manager=manager, labels={})
        elif existing.controller_name == secret.name.name:
            # Only what was made as Owner goes; an Orphan stays by its own word.
            written = Written(existing.uid, int(existing.resource_version))
            await self._natives.delete(namespace, left.native_name, written)
