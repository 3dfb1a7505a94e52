"""One target: gather, decide, write."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Self

from keyturn.crypto.root_keys import RootKeys
from keyturn.domain.errors import StageMovedError
from keyturn.domain.managed_secret import DriftPolicy, ManagedSecret, Target
from keyturn.domain.payload import Payload
from keyturn.domain.secret import Projected, Secret, SecretName
from keyturn.domain.stage import Stage
from keyturn.kube.client import Json
from keyturn.kube.kubernetes_events import Notice
from keyturn.kube.native_secrets import NativeSecrets, Written, data_since, field_manager
from keyturn.projection.desired import DesiredNativeSecret, desired_native_secret
from keyturn.projection.drift import Drift, DriftReason, find_drift, fingerprint
from keyturn.projection.existing import ExistingNativeSecret
from keyturn.projection.native_body import native_body
from keyturn.projection.ownership import Action, Holder
from keyturn.services.clock import Clock
from keyturn.services.importing import Importing
from keyturn.services.sightings import Place, Seen, Sightings
from keyturn.services.status import TargetReport
from keyturn.services.targets import NativeView, Targets, is_merging, refusal
from keyturn.services.versions import Versions
from keyturn.store.interface import SecretStore

IMPORTS = (Action.IMPORT, Action.IMPORT_LOST_STORE)

_CONTENT = frozenset({DriftReason.DATA_CHANGED, DriftReason.KEY_MISSING, DriftReason.KEY_LEFT})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one target."""

    report: TargetReport
    notices: tuple[Notice, ...] = ()


class Payloads:
    """The payloads that one reconcile shows: decrypted when first needed, zeroed at the end."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._opened: dict[int, Payload] = {}

    async def of(self, secret: Secret, target: Target) -> dict[Stage, Payload]:
        """Open the versions of the stages that the target shows."""
        shown: dict[Stage, Payload] = {}
        for stage in {stage for stage, _ in target.stages} | {Stage.CURRENT}:
            number = secret.stages.version(stage)
            if number is None:
                continue
            if number not in self._opened:
                self._opened[number] = await self._versions.open(secret, number)
            shown[stage] = self._opened[number]
        return shown

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for payload in self._opened.values():
            payload.zero()


class TargetWriter:
    """Brings one native Secret in line with its version."""

    def __init__(  # noqa: PLR0913 - the composition root names each collaborator
        self,
        store: SecretStore,
        versions: Versions,
        natives: NativeSecrets,
        targets: Targets,
        importing: Importing,
        *,
        sightings: Sightings,
        keys: RootKeys,
        touched: Callable[[SecretName], None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._versions = versions
        self._natives = natives
        self._targets = targets
        self._importing = importing
        self._sightings = sightings
        self._keys = keys
        self._touched = touched
        self._clock = clock

    def payloads(self) -> Payloads:
        return Payloads(self._versions)

    async def bring_in_line(
        self,
        resource: ManagedSecret,
        secret: Secret,
        target: Target,
        view: NativeView,
        payloads: Payloads,
        claimed_by: Holder | None,
    ) -> Outcome:
        """Write the target's native Secret if it is not what it should be.

        `claimed_by` is who holds a claim of it already, if not this secret.

        Raises:
            ConflictError: it may not be written (whose it is, what it is), or it was changed
                while this ran.
            InvalidError: it cannot be rendered.
        """
        if claimed_by is not None:
            raise refusal(
                await self._targets.decide(resource, secret, target, None, claimed_by=claimed_by)
            )
        record = secret.projection(target.name)
        if record is not None and self._is_untouched(resource, secret, target, record):
            return Outcome(synced(target, secret))
        actual = await view.get(target.name)
        existing = ExistingNativeSecret.of(actual) if actual is not None else None
        merging = is_merging(target, secret, existing)
        desired = desired_native_secret(
            target,
            await payloads.of(secret, target),
            self._targets.identity(resource, secret),
            version=secret.current,
            merging=merging,
        )
        digest = self._targets.digest(resource, secret, target, merging=merging)
        with desired:
            return await self._act(_Work(resource, secret, target, desired, actual, digest))

    def _is_untouched(
        self, resource: ManagedSecret, secret: Secret, target: Target, record: Projected
    ) -> bool:
        place = (resource.namespace, target.name)
        if not self._sightings.is_as_written(place, record.uid, record.resource_version):
            return False
        digest = self._targets.digest(resource, secret, target, merging=not record.owned)
        return record.rendered_from == digest

    async def _act(self, work: "_Work") -> Outcome:
        drifts = work.drifts()
        decision = await self._targets.decide(
            work.resource,
            work.secret,
            work.target,
            work.actual,
            drifts=drifts,
            written=work.desired.data,
        )
        if decision.action is Action.REFUSE:
            raise refusal(decision)
        if decision.action is Action.CREATE or work.actual is None:
            return await self._create(work)
        if (
            decision.action in IMPORTS
            and _has_other_data(drifts)
            and await self._importing.add(work.resource, work.secret, work.target, work.actual)
        ):
            raise StageMovedError("the values of the Secret are the next version; read again")
        if decision.action is Action.RECREATE:
            await self._natives.delete(*work.place, _written(work.actual))
            return await self._create(work)
        if drifts and work.is_somebody_elses_change:
            return await self._mend(work, work.actual, drifts)
        same_data = _CONTENT.isdisjoint(drift.reason for drift in drifts)
        if drifts:
            await self._apply(work, work.actual, same_data=same_data)
        else:
            await self._take_over(work, work.actual)
        imported = (Notice.IMPORTED,) if decision.action in IMPORTS else ()
        return Outcome(synced(work.target, work.secret), imported)

    async def _mend(self, work: "_Work", actual: Json, drifts: Sequence[Drift]) -> Outcome:
        if work.target.drift is DriftPolicy.IGNORE:
            return Outcome(synced(work.target, work.secret))
        if work.target.drift is DriftPolicy.REPORT:
            described = tuple(str(drift) for drift in drifts)
            return Outcome(synced(work.target, work.secret, drifted=described))
        await self._apply(work, actual)
        return Outcome(synced(work.target, work.secret), (Notice.DRIFT_CORRECTED,))

    async def _create(self, work: "_Work") -> Outcome:
        body = native_body(work.desired)
        writing = self._natives.create(work.resource.namespace, body, manager=work.manager)
        await self._record(work, await self._written_by(writing, work, body))
        notices = (Notice.RECREATED,) if work.record is not None else ()
        return Outcome(synced(work.target, work.secret), notices)

    async def _apply(self, work: "_Work", actual: Json, *, same_data: bool = False) -> None:
        body = native_body(work.desired, uid=actual["metadata"]["uid"])
        writing = self._natives.apply(
            actual, body, manager=work.manager, labels=work.desired.labels
        )
        await self._record(work, await self._written_by(writing, work, body), same_data=same_data)

    async def _take_over(self, work: "_Work", actual: Json) -> None:
        """Record a native Secret that is right as it stands."""
        written = _written(actual)
        self._sightings.settle(work.place, _seen(written))
        await self._record(work, written, same_data=True)

    async def _written_by(
        self, writing: Awaitable[Written], work: "_Work", body: bytearray
    ) -> Written:
        """Wait for our write, and let nobody take its echo in the watch for drift."""
        self._sightings.begin(work.place)
        seen: Seen | None = None
        try:
            written = await writing
            seen = _seen(written)
        finally:
            body[:] = bytes(len(body))
            if self._sightings.settle(work.place, seen):
                self._touched(work.resource.name)
        return written

    async def _record(self, work: "_Work", written: Written, *, same_data: bool = False) -> None:
        """Remember what was written; with `same_data` the native Secret said the same before."""
        # After the answer: a time before it would make pods look newer than they are.
        since = self._clock()
        if same_data and work.actual is not None:
            # Who read the same data before the version came holds that version.
            since = min(data_since(work.actual) or since, since)
        record = work.record
        projected = Projected(
            native_name=work.target.name,
            uid=written.uid,
            resource_version=str(written.resource_version),
            version=work.secret.stages.current or 0,
            rendered_from=work.digest,
            fingerprint=fingerprint(work.desired.data, self._keys.fingerprint),
            owned=not work.desired.merging,
            keys=tuple(work.desired.data),
        )
        if projected != record:
            await self._store.record_projection(
                work.secret.id,
                projected,
                since=since,
                same_data=same_data
                and record is not None
                and record.fingerprint == projected.fingerprint,
            )


@dataclass(frozen=True, slots=True)
class _Work:
    """All that is known of one target in one reconcile."""

    resource: ManagedSecret
    secret: Secret
    target: Target
    desired: DesiredNativeSecret
    actual: Json | None
    digest: str

    @property
    def place(self) -> Place:
        return self.resource.namespace, self.target.name

    @property
    def manager(self) -> str:
        return field_manager(self.secret.id)

    @property
    def record(self) -> Projected | None:
        return self.secret.projection(self.target.name)

    @property
    def is_somebody_elses_change(self) -> bool:
        """Tell whether nothing that we render from has changed since the last write."""
        return self.record is not None and self.record.rendered_from == self.digest

    def drifts(self) -> Sequence[Drift]:
        if self.actual is None:
            return ()
        written_keys = self.record.keys if self.record is not None else ()
        return find_drift(self.desired, self.actual, written_keys=written_keys)


def _has_other_data(drifts: Sequence[Drift]) -> bool:
    return any(drift.reason is DriftReason.DATA_CHANGED for drift in drifts)


def synced(target: Target, secret: Secret, *, drifted: tuple[str, ...] = ()) -> TargetReport:
    """Report a target whose native Secret stands as it should, or as its drift policy lets it."""
    return TargetReport(
        target.name,
        target.template.type,
        synced=not drifted,
        version=secret.stages.current,
        drifted=drifted,
    )


def unsynced(target: Target) -> TargetReport:
    """Report a target whose native Secret could not be written."""
    return TargetReport(target.name, target.template.type, synced=False)


def _written(actual: Json) -> Written:
    metadata = actual["metadata"]
    return Written(metadata["uid"], int(metadata["resourceVersion"]))


def _seen(written: Written) -> Seen:
    return Seen(written.uid, written.resource_version, present=True)
