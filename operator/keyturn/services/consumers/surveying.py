"""All that use the native Secrets of a secret, put in order for a person to read; pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from keyturn.domain.consumers import Inventory, RunningPod, Via, WorkloadRef, started_with
from keyturn.services.consumers.inventory import View


@dataclass(frozen=True, slots=True)
class Held:
    """What one pod holds of one native Secret; `version` is None if it is older than all known.

    `began` is when it can have read it at the earliest; None if it only begins.
    """

    native_name: str
    via: tuple[Via, ...]
    version: int | None
    began: datetime | None


@dataclass(frozen=True, slots=True)
class SurveyedPod:
    """A running pod, and what it holds; nothing where it only pulls images by a Secret."""

    pod: RunningPod
    held: tuple[Held, ...]

    def is_up_to_date(self, version: int | None) -> bool:
        """Tell whether all that it holds is of that version."""
        return all(held.version == version for held in self.held)


@dataclass(slots=True)
class Surveyed:
    """One consumer: a workload with its running pods, an Ingress or a ServiceAccount."""

    ref: WorkloadRef
    via: set[Via] = field(default_factory=set)
    pods: list[SurveyedPod] = field(default_factory=list)

    @property
    def holding(self) -> Sequence[SurveyedPod]:
        return [pod for pod in self.pods if pod.held]


def surveyed(view: View) -> Sequence[Surveyed]:
    """List the consumers, by kind and name."""
    found: dict[WorkloadRef, Surveyed] = {}
    if view.inventory is None:
        return ()
    for ref, via in _named(view.inventory, view.native_names):
        found.setdefault(ref, Surveyed(ref)).via.update(via)
    for pod in sorted(view.inventory.pods, key=lambda pod: pod.name):
        if pod.uses.keys() & view.native_names:
            found[pod.workload].pods.append(SurveyedPod(pod, tuple(_held(pod, view))))
    return [found[ref] for ref in sorted(found)]


def _named(
    inventory: Inventory, native_names: frozenset[str]
) -> Iterator[tuple[WorkloadRef, frozenset[Via]]]:
    for workload in inventory.workloads:
        for name in workload.uses.keys() & native_names:
            yield workload.ref, workload.uses[name]
    for other in inventory.others:
        for name in other.uses.keys() & native_names:
            yield other.ref, other.uses[name]
    for pod in inventory.pods:
        for name in pod.uses.keys() & native_names:
            yield pod.workload, pod.uses[name].via


def _held(pod: RunningPod, view: View) -> Iterator[Held]:
    for name in sorted(pod.uses.keys() & view.native_names):
        use = pod.uses[name]
        if use.holds:
            version = started_with(pod, name, view.spells)
            yield Held(name, tuple(sorted(use.via)), version, use.began)
