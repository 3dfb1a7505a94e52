"""Who uses a projected Secret, and which version each running pod started with; pure.

Nobody asks a pod what it holds. What it holds is told by time: from when each version stood in the
native Secret (`Spell`), and from when a container can have read it. Where two answers are possible
the older version is given, so that nobody is taken for moved who is not.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from keyturn.domain.consumers_spec import LAG


class Via(StrEnum):
    """The ways in which a native Secret is used."""

    ENV = "env"
    ENV_FROM = "envFrom"
    VOLUME = "volume"
    SUB_PATH = "subPath"
    PROJECTED = "projected"
    IMAGE_PULL_SECRETS = "imagePullSecrets"
    INGRESS_TLS = "ingressTLS"
    SERVICE_ACCOUNT = "serviceAccount"


NOT_YET = datetime.max.replace(tzinfo=UTC)
"""A time that has not come."""

HOLDING = frozenset({Via.ENV, Via.ENV_FROM, Via.VOLUME, Via.SUB_PATH, Via.PROJECTED})
"""The ways by which a running container holds what it read; the others are read anew each time."""


class WorkloadRef(NamedTuple):
    """What a person would restart: the outermost owner of a pod, or the pod itself."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Use:
    """How one pod uses one native Secret.

    `began` is when a container read it at the earliest, the longest-running one that holds it;
    None where none has begun: what it will read is what stands there then. `latest` is when it was
    read at the latest, where that is later: files are mounted before a container begins.
    """

    via: frozenset[Via]
    began: datetime | None = None
    latest: datetime | None = None

    @property
    def holds(self) -> bool:
        """Tell whether a running container keeps what it read."""
        return bool(self.via & HOLDING)


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A pod that is not over; one that is being deleted still runs.

    `uses` has an entry for each native Secret, by its name. `is_failing`: it is not ready,
    as a container cannot start or was restarted. `unready_since` is None where nothing tells it.
    """

    name: str
    uid: str
    workload: WorkloadRef
    created: datetime
    uses: Mapping[str, Use] = field(default_factory=dict)
    ready: bool = False
    is_failing: bool = False
    unready_since: datetime | None = None
    ip: str = ""
    deleting: bool = False

    def holds_any(self, native_names: Collection[str]) -> bool:
        """Tell whether it holds what one of these native Secrets said."""
        return any(name in self.uses and self.uses[name].holds for name in native_names)


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, StatefulSet, DaemonSet, Rollout, CronJob, Job, or another one.

    `uses` and `template_*` are those of its pod template; of the environment only the names are
    kept. `template` is a digest of it, without what restarts write there. `is_rolled_out`: all its
    pods are of the newest template, and ready. `has_failed`: it says itself that its rollout makes
    no progress. `moves`: a new template replaces its pods; not so one that is paused, or waits for
    its pods to be deleted, or a Job.
    """

    ref: WorkloadRef
    uid: str
    resource_version: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    template_annotations: Mapping[str, str] = field(default_factory=dict)
    template_env_names: frozenset[str] = frozenset()
    template: str = ""
    uses: Mapping[str, frozenset[Via]] = field(default_factory=dict)
    replicas: int = 0
    progress_deadline: timedelta | None = None
    is_rolled_out: bool = True
    has_failed: bool = False
    moves: bool = True
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class OtherConsumer:
    """An Ingress or ServiceAccount that names native Secrets."""

    ref: WorkloadRef
    uses: Mapping[str, frozenset[Via]]


@dataclass(frozen=True, slots=True)
class Inventory:
    """Who uses which native Secret of a namespace, as it was read at one time."""

    namespace: str
    pods: tuple[RunningPod, ...] = ()
    workloads: tuple[Workload, ...] = ()
    others: tuple[OtherConsumer, ...] = ()

    def workload(self, ref: WorkloadRef) -> Workload | None:
        """Find a workload; None if it is gone, or of a kind that is not read."""
        return next((workload for workload in self.workloads if workload.ref == ref), None)

    def holding(self, native_names: Collection[str]) -> tuple[RunningPod, ...]:
        """List the running pods that hold what one of these native Secrets said."""
        return tuple(pod for pod in self.pods if pod.holds_any(native_names))


@dataclass(frozen=True, slots=True)
class Spell:
    """A time for which a native Secret showed a version; it lasts until the next of that Secret.

    `version` is None from when the native Secret was no longer ours.
    """

    native_name: str
    version: int | None
    since: datetime


def started_with(pod: RunningPod, native_name: str, spells: Sequence[Spell]) -> int | None:
    """Tell which version a pod holds of a native Secret; None if it is older than all known.

    The spells are in the order of time. A pod that began less than `LAG` after a spell may have
    read what was there before. Before the first spell there was nothing of ours: a pod that began
    about then waited for it, however long its volumes had been waiting.
    """
    own = [spell for spell in spells if spell.native_name == native_name]
    use = pod.uses.get(native_name)
    if not own or use is None:
        return None
    if use.began is None:
        return own[-1].version
    stood = [spell.version for spell in own if spell.since <= use.began - LAG]
    if stood:
        return stood[-1]
    # Two that begin at once say the same.
    first = [spell.version for spell in own if spell.since == own[0].since]
    return first[-1] if own[0].since - LAG <= (use.latest or use.began) else None


class Stale(NamedTuple):
    """A workload of which running pods started with another version than the current one.

    `pods` counts those of its running pods that hold one of the native Secrets, `stale` those that
    have not moved; `version` is the oldest among theirs, None if nobody knows it.
    """

    ref: WorkloadRef
    pods: int
    stale: int
    version: int | None


@dataclass(frozen=True, slots=True)
class Moved:
    """How far the running pods that hold a version have moved to the current one."""

    total: int
    up_to_date: int
    waiting_for: tuple[Stale, ...]


def held_by(
    pod: RunningPod, native_names: Iterable[str], spells: Sequence[Spell]
) -> frozenset[int | None]:
    """Tell which versions a pod holds: one for each native Secret that it holds."""
    return frozenset(
        started_with(pod, name, spells)
        for name in native_names
        if name in pod.uses and pod.uses[name].holds
    )


def moved(
    inventory: Inventory, native_names: Collection[str], spells: Sequence[Spell], version: int
) -> Moved:
    """Tell who still holds another version than this one, sorted by kind and name."""
    by_workload: dict[WorkloadRef, list[frozenset[int | None]]] = {}
    for pod in inventory.holding(native_names):
        by_workload.setdefault(pod.workload, []).append(held_by(pod, native_names, spells))
    waiting_for = tuple(
        _stale(ref, held, version)
        for ref, held in sorted(by_workload.items())
        if any(versions != {version} for versions in held)
    )
    total = sum(len(held) for held in by_workload.values())
    return Moved(total, total - sum(stale.stale for stale in waiting_for), waiting_for)


def holders(
    inventory: Inventory,
    native_names: Collection[str],
    spells: Sequence[Spell],
    versions: Collection[int],
) -> Sequence[WorkloadRef]:
    """List the workloads whose running pods hold another version than these, by kind and name.

    Also one from a native Secret that is none of the named ones any more. A pod that began when it
    was ours no more is not waited for.
    """
    former = {spell.native_name for spell in spells}.difference(native_names)
    now = {
        pod.workload
        for pod in inventory.holding(native_names)
        if held_by(pod, native_names, spells).difference(versions)
    }
    then = {
        pod.workload
        for pod in inventory.holding(former)
        if held_by(pod, former, spells).difference(versions, {None})
    }
    return sorted(now | then)


def _stale(ref: WorkloadRef, held: Sequence[frozenset[int | None]], version: int) -> Stale:
    others = [versions - {version} for versions in held if versions != {version}]
    oldest = min(number or 0 for versions in others for number in versions)
    return Stale(ref, len(held), len(others), oldest or None)
