"""The restart of a workload for a version: whether the workload became healthy with it; pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from keyturn.domain.consumers import (
    Inventory,
    RunningPod,
    Spell,
    Workload,
    WorkloadRef,
    held_by,
)
from keyturn.domain.restart_marks import used_by
from keyturn.domain.restarting import KINDS

LASTING = timedelta(seconds=30)
"""A pod that is not ready counts after so long: it may be starting, or a probe failed once."""


class Verdict(StrEnum):
    """What became of a restart.

    Untold: something else may be to blame than the version. The workload was not healthy before
    the restart either, or somebody changed its pod template after it.
    """

    HEALTHY = "Healthy"
    FAILED = "Failed"
    UNTOLD = "Untold"


@dataclass(frozen=True, slots=True)
class Rollout:
    """One workload and the version that it is to be restarted for.

    `was_healthy` is of before that. `restarted_at` is when its pod template was first seen to name
    the version; None as long as it does not. `template` is a digest of the one that was seen then,
    and `got_well` says whether it was rolled out and healthy since. Without a `verdict` it is still
    watched.
    """

    workload: WorkloadRef
    version: int
    was_healthy: bool
    restarted_at: datetime | None = None
    template: str = ""
    got_well: bool = False
    verdict: Verdict | None = None

    @property
    def is_under_way(self) -> bool:
        return self.restarted_at is not None and self.verdict is None


@dataclass(frozen=True, slots=True)
class Watched:
    """What is held against the rollouts: the version, where it stands, and how long one may take.

    `restarted` are the workloads whose pod template names the version. `deadline` counts where the
    workload has none of its own.
    """

    version: int
    native_names: Collection[str]
    restarted: Collection[WorkloadRef]
    inventory: Inventory
    spells: Sequence[Spell]
    deadline: timedelta
    now: datetime

    def rollouts(self, known: Sequence[Rollout]) -> tuple[Rollout, ...]:
        """Tell how each stands now, given how each stood; of another version none is kept."""
        stood = {each.workload: each for each in known if each.version == self.version}
        seen = {each.workload: each for each in (self._seen(w, stood) for w in self._users())}
        gone = {ref: self._unseen(each) for ref, each in stood.items() if ref not in seen}
        return tuple(each for _, each in sorted({**gone, **seen}.items()))

    def due(self, rollout: Rollout) -> datetime | None:
        """Tell when a rollout that is watched is to be judged; None if it is not watched."""
        if rollout.restarted_at is None or rollout.verdict is not None:
            return None
        workload = self.inventory.workload(rollout.workload)
        own = workload.progress_deadline if workload is not None else None
        return rollout.restarted_at + (own or self.deadline)

    def _users(self) -> Iterator[Workload]:
        """Find those that are restarted, also while they have no pod."""
        for workload in self.inventory.workloads:
            is_of_kind = workload.ref.kind in KINDS and not workload.deleting
            if is_of_kind and used_by(workload, self.native_names):
                yield workload

    def _seen(self, workload: Workload, stood: Mapping[WorkloadRef, Rollout]) -> Rollout:
        rollout = stood.get(workload.ref)
        is_restarted = workload.ref in self.restarted
        if rollout is None:
            # Whoever was restarted before anybody looked may have been ill before.
            is_healthy = not is_restarted and self._is_healthy(workload)
            rollout = Rollout(workload.ref, self.version, is_healthy)
        if rollout.verdict is not None:
            return rollout
        if not is_restarted:
            # One that got well meanwhile counts; one that fell ill may have read the new version.
            return replace(rollout, was_healthy=rollout.was_healthy or self._is_healthy(workload))
        if rollout.restarted_at is None:
            rollout = replace(rollout, restarted_at=self.now)
        rollout = replace(
            rollout,
            template=rollout.template or workload.template,
            got_well=rollout.got_well or self._is_healthy(workload),
        )
        return replace(rollout, verdict=self._judged(workload, rollout))

    def _unseen(self, rollout: Rollout) -> Rollout:
        """Keep what is known of one that has no pod now; of one that stays away nothing is told."""
        due = self.due(rollout)
        is_over = due is not None and self.now >= due
        return replace(rollout, verdict=Verdict.UNTOLD) if is_over else rollout

    def _judged(self, workload: Workload, rollout: Rollout) -> Verdict | None:
        if workload.has_failed:
            return _failed(workload, rollout)
        due = self.due(rollout)
        # Until then also a healthy one is watched: a program that cannot log in ends some time
        # after it was started.
        if due is None or self.now < due:
            return None
        pods = list(self._pods(workload))
        is_up = workload.is_rolled_out or any(pod.ready for pod in pods)
        if rollout.got_well and is_up and not any(pod.is_failing for pod in pods):
            return Verdict.HEALTHY
        # A Deployment tells itself when it makes no progress: a large one may take long. Who got
        # well bore the version: that a pod is not ready now has other reasons.
        only_failing = rollout.got_well or workload.progress_deadline is not None
        ill = [pod for pod in pods if self._is_new(pod) and self._is_ill(pod)]
        if any(pod.is_failing or not only_failing for pod in ill):
            return _failed(workload, rollout)
        return None

    def _is_healthy(self, workload: Workload) -> bool:
        is_failing = any(pod.is_failing for pod in self._pods(workload))
        return workload.is_rolled_out and not workload.has_failed and not is_failing

    def _pods(self, workload: Workload) -> Iterator[RunningPod]:
        """Find those that are to stay: one that is being deleted says nothing of the version."""
        own = (pod for pod in self.inventory.pods if pod.workload == workload.ref)
        return (pod for pod in own if not pod.deleting)

    def _is_ill(self, pod: RunningPod) -> bool:
        since = pod.unready_since or pod.created
        return not pod.ready and self.now - since >= LASTING

    def _is_new(self, pod: RunningPod) -> bool:
        return held_by(pod, self.native_names, self.spells) <= {self.version}


def _failed(workload: Workload, rollout: Rollout) -> Verdict:
    is_changed = workload.template != rollout.template
    return Verdict.FAILED if rollout.was_healthy and not is_changed else Verdict.UNTOLD
