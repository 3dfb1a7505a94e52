"""Which workloads are restarted now, so that their pods start with the current version; pure.

A restart is keyed by the version: the pod template of the workload names, in an annotation of its
own for each ManagedSecret, the version that it was last restarted for. So no crash, no second
operator and no lost memory makes two restarts of one version, and none is lost: as long as the
template does not name the version and a running pod holds another one, it is still to be done.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from keyturn.domain.consumers import (
    Inventory,
    RunningPod,
    Spell,
    Workload,
    WorkloadRef,
    held_by,
    started_with,
)
from keyturn.domain.consumers_spec import LAG, Action, ConsumersSpec
from keyturn.domain.reloader import Note, is_opted_in, is_restarted_by_reloader
from keyturn.domain.restart_marks import (
    PREFIX,
    annotation_key,
    mark_of,
    used_by,
    was_restarted_for,
)
from keyturn.domain.window import next_opening

OPTION = "keyturn.dev/restart"
"""An annotation of a workload: "false" keeps it from being restarted, "true" has it restarted
where traces of Reloader would keep Keyturn from it."""

KINDS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Rollout"})
"""What can be restarted: their controllers replace the pods when the template changes."""

SURE = LAG + timedelta(seconds=2)
"""Nothing is restarted sooner after a projection: a pod that begins less than `LAG` after it counts
as having started with the version before, and the times of pods are whole seconds."""

MOST_COALESCED = 4
"""Changes that follow each other delay a restart for so many times `coalesce`, and no longer."""

_DEADLINE = ConsumersSpec(Action.NONE).progress_deadline

BUSY = timedelta(seconds=10)
"""After so long it is looked again whether one of those that are being rolled out is done."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one ManagedSecret wants of the workloads of its namespace.

    `version` is its current one, `spells` are those of its native Secrets in the order of time.
    `spec` is None where only annotations of workloads can ask for restarts, and `notes` are what
    the native Secrets say to Reloader, for those that say something.
    """

    name: str
    version: int
    native_names: frozenset[str]
    spells: Sequence[Spell]
    spec: ConsumersSpec | None = None
    notes: Mapping[str, Note] = field(default_factory=dict)

    @property
    def asks(self) -> ConsumersSpec:
        """What is asked for, also by an annotation, which has no fields of its own."""
        return self.spec or ConsumersSpec(Action.RESTART)


class Cause(StrEnum):
    """Why a workload that is to be restarted is not yet."""

    COALESCING = "coalescing"
    WINDOW = "window"
    BUDGET = "budget"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Restart:
    """One patch: the workload, and the annotations of all ManagedSecrets that wait for it."""

    workload: Workload
    marks: Mapping[str, str]
    wishes: tuple[Wish, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is restarted now, what waits and why, what is being rolled out, when to look again."""

    restarts: tuple[Restart, ...] = ()
    waiting: Mapping[WorkloadRef, Cause] = field(default_factory=dict)
    rolling: frozenset[WorkloadRef] = frozenset()
    again: datetime | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a namespace, in memory alone; without it things take longer.

    Since when a workload is known to be rolled out by our doing, and when one that could not be
    patched is tried again.
    """

    rolling_since: Mapping[WorkloadRef, datetime] = field(default_factory=dict)
    retry_at: Mapping[WorkloadRef, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings.

    `budget` is how many workloads of a namespace are rolled out at once; `reloader` says whether
    the annotations of Reloader count.
    """

    budget: int = 2
    reloader: bool = False


@dataclass(frozen=True, slots=True)
class _Wait:
    """One ManagedSecret that waits for a workload: when the version came, and may be acted on.

    `first` is when the first version came that the workload was not restarted for, `last` when the
    current one did, `opens` when the window is open next.
    """

    wish: Wish
    mark: str
    first: datetime
    last: datetime
    opens: datetime

    def due(self, latest: datetime) -> datetime:
        """Tell when it has waited enough for further changes, of which the last was at `latest`."""
        coalesce = max(self.wish.asks.coalesce, SURE)
        bound = self.first + MOST_COALESCED * coalesce
        return max(min(latest + coalesce, bound), self.last + SURE)

    def ready(self, latest: datetime) -> datetime:
        return max(self.due(latest), self.opens)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A workload that is to be restarted, and all who wait for that."""

    workload: Workload
    waits: tuple[_Wait, ...]

    @property
    def order(self) -> tuple[datetime, WorkloadRef]:
        return min(wait.first for wait in self.waits), self.workload.ref

    @property
    def ready(self) -> datetime:
        latest = max(wait.last for wait in self.waits)
        return min(wait.ready(latest) for wait in self.waits)

    @property
    def cause(self) -> Cause:
        """Say what keeps it, while it is not ready."""
        return Cause.WINDOW if self.ready in {w.opens for w in self.waits} else Cause.COALESCING

    def restart(self, now: datetime) -> Restart:
        """Take all along whose new pods will be told apart from the old ones."""
        taken = [wait for wait in self.waits if wait.last + SURE <= now]
        marks = {annotation_key(wait.wish.name): wait.mark for wait in taken}
        return Restart(self.workload, marks, tuple(wait.wish for wait in taken))


def decide(
    inventory: Inventory,
    wishes: Collection[Wish],
    rules: Rules,
    *,
    known: Known,
    now: datetime,
) -> Decision:
    """Decide for a whole namespace.

    What is being rolled out already is read from the workloads. One that is not done when its
    deadline is over does not count any more, or two that never get well would stop all others.
    """
    rolling = _rolling(inventory, wishes, known, now)
    room = _Room(rules.budget, rolling)
    restarts: list[Restart] = []
    waiting: dict[WorkloadRef, Cause] = {}
    looks: list[datetime] = []
    for each in sorted(_candidates(inventory, wishes, rules, now), key=lambda each: each.order):
        ref = each.workload.ref
        retry_at = known.retry_at.get(ref, now)
        if each.ready > now:
            waiting[ref] = each.cause
            looks.append(each.ready)
        elif retry_at > now:
            waiting[ref] = Cause.FAILED
            looks.append(retry_at)
        elif each.workload.moves and not room.take(ref):
            waiting[ref] = Cause.BUDGET
            looks.append(now + BUSY)
        else:
            restarts.append(each.restart(now))
    return Decision(tuple(restarts), waiting, frozenset(rolling), min(looks, default=None))


class _Room:
    """How many more workloads may be rolled out: `rolling` tells of each whether it surely is.

    One that bears an older version and is not well may be rolling by our doing, or may be ill: it
    takes the room of others, and yet needs room itself.
    """

    def __init__(self, budget: int, rolling: Mapping[WorkloadRef, bool]) -> None:
        self._budget = budget
        self._occupied = set(rolling)
        self._sure = {ref for ref, is_sure in rolling.items() if is_sure}

    def take(self, ref: WorkloadRef) -> bool:
        """Take room for a workload; tell whether there was some."""
        if ref in self._sure:
            return True
        if len(self._sure if ref in self._occupied else self._occupied) >= self._budget:
            return False
        self._occupied.add(ref)
        self._sure.add(ref)
        return True


def option(workload: Workload) -> str:
    """Say what the workload, or else its template, says of restarts; empty if nothing."""
    own = workload.annotations.get(OPTION)
    return workload.template_annotations.get(OPTION, "") if own is None else own


def _rolling(
    inventory: Inventory, wishes: Collection[Wish], known: Known, now: datetime
) -> Mapping[WorkloadRef, bool]:
    """Tell which workloads may be rolling by our doing, and of each whether it surely is."""
    rolling = {}
    for workload in inventory.workloads:
        if workload.is_rolled_out or workload.has_failed or not workload.moves:
            continue
        # Also for a ManagedSecret that has not said yet what it wants: the start was just now.
        if not any(key.startswith(PREFIX) for key in workload.template_annotations):
            continue
        done = [wish.asks for wish in wishes if _is_done(workload, wish)]
        longest = max((asks.progress_deadline for asks in done), default=_DEADLINE)
        deadline = workload.progress_deadline or longest
        if now < known.rolling_since.get(workload.ref, now) + deadline:
            rolling[workload.ref] = bool(done)
    return rolling


def _is_done(workload: Workload, wish: Wish) -> bool:
    return was_restarted_for(workload, wish.name, wish.native_names, wish.spells, wish.version)


def _candidates(
    inventory: Inventory, wishes: Collection[Wish], rules: Rules, now: datetime
) -> Iterator[_Candidate]:
    for workload in inventory.workloads:
        if workload.ref.kind not in KINDS or workload.deleting or option(workload) == "false":
            continue
        found = (
            _wait(inventory, workload, wish, now) for wish in wishes if _asks(workload, wish, rules)
        )
        waits = tuple(wait for wait in found if wait is not None)
        if waits:
            yield _Candidate(workload, waits)


def _asks(workload: Workload, wish: Wish, rules: Rules) -> bool:
    """Tell whether a restart is asked for, by the ManagedSecret or by annotations."""
    names = used_by(workload, wish.native_names)
    if not names:
        return False
    if wish.spec is None:
        opted_in = any(is_opted_in(workload, name, wish.notes.get(name)) for name in names)
        if not (rules.reloader and opted_in):
            return False
    elif wish.spec.action is not Action.RESTART:
        return False
    by_reloader = any(is_restarted_by_reloader(workload, name) for name in names)
    return not by_reloader or option(workload) == "true"


def _wait(inventory: Inventory, workload: Workload, wish: Wish, now: datetime) -> _Wait | None:
    """Tell since when a workload is to be restarted for a version; None if it is not."""
    names = used_by(workload, wish.native_names)
    mark = mark_of(wish.spells, names, wish.version)
    stood = workload.template_annotations.get(annotation_key(wish.name))
    if mark is None or stood == mark:
        return None
    stale = [
        pod
        for pod in inventory.pods
        if pod.workload == workload.ref
        and not pod.deleting
        and held_by(pod, names, wish.spells) - {wish.version}
    ]
    if not stale:
        return None
    window = wish.asks.window
    return _Wait(
        wish,
        mark,
        first=min(_first(name, stood, stale, wish) for name in names),
        last=max(_own(wish.spells, name)[-1].since for name in names),
        opens=now if window is None else next_opening(window, now),
    )


def _first(
    native_name: str, stood: str | None, stale: Sequence[RunningPod], wish: Wish
) -> datetime:
    """Tell when the first version came that a workload was not restarted for.

    It is the one after that which its template names; where that names none, the one after the
    newest that the pods hold which are to go.
    """
    own = _own(wish.spells, native_name)
    versions = [spell.version for spell in own[:-1]]
    if stood is None:
        held = {started_with(pod, native_name, own) for pod in stale}
        known = [turn for turn, version in enumerate(versions) if version in held]
    else:
        marks = (
            mark_of(own[: turn + 1], [native_name], version)
            for turn, version in enumerate(versions)
            if version is not None
        )
        known = [turn for turn, mark in enumerate(marks) if mark == stood]
    return own[known[-1] + 1 if known else 0].since


def _own(spells: Sequence[Spell], native_name: str) -> list[Spell]:
    return [spell for spell in spells if spell.native_name == native_name]
