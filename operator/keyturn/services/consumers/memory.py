"""What is remembered of the restarts of one namespace; without it things wait, no more."""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from keyturn.domain.consumers import Inventory, Workload, WorkloadRef
from keyturn.domain.restarting import Known, Restart, Wish
from keyturn.services.backoff import doubled

FIRST_RETRY, LAST_RETRY = timedelta(seconds=15), timedelta(minutes=10)
"""How long until a workload that could not be patched is tried again, doubled each time."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A workload that could not be patched: with what, why, how often, and the next try."""

    marks: Mapping[str, str]
    why: str
    count: int
    retry_at: datetime


IN_DOUBT = timedelta(seconds=5)
"""For so long a patch without an answer counts as done: longer than any reading is used again."""


@dataclass(frozen=True, slots=True)
class _Patched:
    """A workload as our patch left it; who reads an older resource version reads the past.

    `until` is set where no answer came: later it is what is read then.
    """

    resource_version: int
    marks: Mapping[str, str]
    until: datetime | None = None

    def is_over(self, stood: Workload | None, now: datetime) -> bool:
        """Tell whether what is read is not older than the patch."""
        if stood is None or int(stood.resource_version) >= self.resource_version:
            return True
        return self.until is not None and self.until <= now


@dataclass(slots=True)
class NamespaceMemory:
    """The wishes of a namespace's ManagedSecrets, and what was done for them.

    `uids` are those of the resources. Whoever decides holds `turn`.
    """

    wishes: dict[str, Wish] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    failures: dict[WorkloadRef, Failure] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _patched: dict[WorkloadRef, _Patched] = field(default_factory=dict)
    _rolling_since: dict[WorkloadRef, datetime] = field(default_factory=dict)

    def want(self, wish: Wish, uid: str) -> None:
        """Take what a ManagedSecret wants now; a new version ends the pauses after failures."""
        stood = self.wishes.get(wish.name)
        if stood is not None and stood.version != wish.version:
            self.failures.clear()
        self.wishes[wish.name] = wish
        self.uids[wish.name] = uid

    def forget(self, name: str) -> None:
        """Forget what a ManagedSecret wanted."""
        self.wishes.pop(name, None)
        self.uids.pop(name, None)

    @property
    def known(self) -> Known:
        retry_at = {ref: failure.retry_at for ref, failure in self.failures.items()}
        return Known(self._rolling_since, retry_at)

    def up_to_date(self, inventory: Inventory, now: datetime) -> Inventory:
        """Let a reading that may be older than our last patches say what they wrote."""
        here = {workload.ref: workload for workload in inventory.workloads}
        for ref, patched in list(self._patched.items()):
            if patched.is_over(here.get(ref), now):
                del self._patched[ref]
        return replace(inventory, workloads=tuple(map(self._as_patched, inventory.workloads)))

    def _as_patched(self, workload: Workload) -> Workload:
        patched = self._patched.get(workload.ref)
        if patched is None:
            return workload
        return replace(
            workload,
            resource_version=str(patched.resource_version),
            template_annotations={**workload.template_annotations, **patched.marks},
            is_rolled_out=False,
            has_failed=False,
        )

    def note_patched(self, restart: Restart, resource_version: str, now: datetime) -> None:
        """Note that a workload was patched."""
        ref = restart.workload.ref
        self._patched[ref] = _Patched(int(resource_version), restart.marks)
        self._rolling_since[ref] = now
        self.failures.pop(ref, None)

    def note_in_doubt(self, restart: Restart, why: str, now: datetime) -> None:
        """Note that a workload was patched or not: no answer came."""
        workload = restart.workload
        self.note_failed(restart, why, now)
        after = int(workload.resource_version) + 1
        self._patched[workload.ref] = _Patched(after, restart.marks, now + IN_DOUBT)

    def note_failed(self, restart: Restart, why: str, now: datetime) -> None:
        """Note that a workload could not be patched."""
        stood = self.failures.get(restart.workload.ref)
        count = 0 if stood is None else stood.count + 1
        pause = doubled(FIRST_RETRY, count, LAST_RETRY)
        self.failures[restart.workload.ref] = Failure(restart.marks, why, count, now + pause)

    def note_rolling(
        self, inventory: Inventory, rolling: Collection[WorkloadRef], now: datetime
    ) -> None:
        """Note which workloads are being rolled out; forget those that are done or gone."""
        under_way = set(_under_way(inventory))
        for ref in self._rolling_since.keys() - under_way:
            del self._rolling_since[ref]
        for ref in rolling:
            self._rolling_since.setdefault(ref, now)
        for ref in self.failures.keys() - {workload.ref for workload in inventory.workloads}:
            del self.failures[ref]


def _under_way(inventory: Inventory) -> Iterator[WorkloadRef]:
    return (workload.ref for workload in inventory.workloads if not workload.is_rolled_out)
