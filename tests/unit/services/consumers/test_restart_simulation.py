"""Random stories of a namespace: versions come and go, pods crash, the operator is killed.

Whatever happens: no workload is restarted twice for one version, no more are rolled out at once
than are allowed, and when it is quiet at last every pod holds what is current. The decisions and
the memory are the operator's own; the controllers are a few lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from keyturn.domain.consumers import (
    Inventory,
    RunningPod,
    Spell,
    Use,
    Via,
    Workload,
    WorkloadRef,
    held_by,
)
from keyturn.domain.consumers_spec import Action, ConsumersSpec
from keyturn.domain.restart_marks import PREFIX
from keyturn.domain.restarting import Restart, Rules, Wish, decide
from keyturn.services.consumers.memory import NamespaceMemory

SECRETS = ("db", "cache")
WORKLOADS = {"api": ("db",), "web": ("db", "cache"), "work": ("cache",), "cron": ("db", "cache")}
BUDGET = 2
RECENT = timedelta(seconds=1.5)
"""So old a reading may be that is used again."""
SPEC = ConsumersSpec(Action.RESTART, coalesce=timedelta(seconds=8))
BEGINNING = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Pod:
    """A pod as its kubelet knows it."""

    number: int
    template: int
    began: datetime
    is_well: bool = True


@dataclass
class Controlled:
    """A workload, and what its controller does: one pod of the old template after the other."""

    name: str
    notes: dict[str, str] = field(default_factory=dict)
    version: int = 1
    template: int = 1
    pods: list[Pod] = field(default_factory=list)
    patched_at: datetime = BEGINNING

    @property
    def is_rolled_out(self) -> bool:
        return all(pod.template == self.template and pod.is_well for pod in self.pods)


class Namespace(RuleBasedStateMachine):
    """A namespace with four workloads of two pods, and an operator that may be killed."""

    @initialize()
    def begin(self) -> None:
        self.now = BEGINNING
        self.numbers = 0
        self.spells = {name: [Spell(name, 1, self.now)] for name in SECRETS}
        self.now += timedelta(seconds=60)
        self.workloads = {name: Controlled(name) for name in WORKLOADS}
        for workload in self.workloads.values():
            workload.pods = [self.new_pod(workload) for _ in range(2)]
        self.memory = NamespaceMemory()
        self.read()
        self.marks: set[tuple[str, str, str]] = set()

    def new_pod(self, workload: Controlled) -> Pod:
        self.numbers += 1
        return Pod(self.numbers, workload.template, self.now)

    # What the operator sees

    def inventory(self) -> Inventory:
        pods = tuple(
            RunningPod(
                f"{workload.name}-{pod.number}",
                f"uid-{pod.number}",
                WorkloadRef("Deployment", workload.name),
                # The apiserver's times have no fractions.
                began := pod.began.replace(microsecond=0),
                {name: Use(frozenset({Via.ENV}), began) for name in WORKLOADS[workload.name]},
                ready=pod.is_well,
            )
            for workload in self.workloads.values()
            for pod in workload.pods
        )
        workloads = tuple(
            Workload(
                WorkloadRef("Deployment", workload.name),
                uid=workload.name,
                resource_version=str(workload.version),
                template_annotations=dict(workload.notes),
                uses={name: frozenset({Via.ENV}) for name in WORKLOADS[workload.name]},
                is_rolled_out=workload.is_rolled_out,
            )
            for workload in self.workloads.values()
        )
        return Inventory("shop", pods, workloads)

    def wish(self, name: str) -> Wish:
        known = tuple(self.spells[name])
        version = known[-1].version
        assert version is not None
        return Wish(name, version, frozenset({name}), known, SPEC)

    # What happens

    @rule(name=st.sampled_from(SECRETS), goes_back=st.booleans())
    def project(self, name: str, goes_back: bool) -> None:
        """Project the next version, or go back to the one before."""
        versions = [spell.version or 0 for spell in self.spells[name]]
        version = versions[-2] if goes_back and len(versions) > 1 else max(versions) + 1
        self.spells[name].append(Spell(name, version, self.now))

    @rule(seconds=st.sampled_from([0.3, 1, 3, 5, 9, 30, 400]))
    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(name=st.sampled_from(sorted(WORKLOADS)))
    def control(self, name: str) -> None:
        """Let the controller replace one pod, if one is of an old template or ill."""
        workload = self.workloads[name]
        for place, pod in enumerate(workload.pods):
            if pod.template != workload.template or not pod.is_well:
                workload.pods[place] = self.new_pod(workload)
                workload.version += 1
                return

    @rule(name=st.sampled_from(sorted(WORKLOADS)), is_gone=st.booleans())
    def crash(self, name: str, is_gone: bool) -> None:
        """A pod is lost, or its container begins anew, with what is projected now."""
        workload = self.workloads[name]
        if is_gone:
            workload.pods[0] = self.new_pod(workload)
        else:
            workload.pods[1].began = self.now
        workload.version += 1

    @rule()
    def kill(self) -> None:
        """The operator begins anew; nobody has read anything yet."""
        self.memory = NamespaceMemory()
        self.read()

    @rule()
    def read(self) -> None:
        """A reading that another reconcile uses a moment later."""
        self.past, self.read_at = self.inventory(), self.now

    @rule(
        lives=st.integers(min_value=0, max_value=5),
        is_old=st.booleans(),
        known=st.sampled_from([SECRETS, SECRETS, ("db",), ("cache",)]),
        is_answered=st.booleans(),
    )
    def operate(
        self, lives: int, is_old: bool, known: Sequence[str], is_answered: bool = True
    ) -> None:
        """Look and act; after so many patches, the last of them unanswered, it is killed."""
        for name in known:
            self.memory.want(self.wish(name), name)
        is_old = is_old and self.now - self.read_at <= RECENT
        inventory = self.memory.up_to_date(self.past if is_old else self.inventory(), self.now)
        wishes = [self.wish(name) for name in self.memory.wishes]
        decision = decide(inventory, wishes, Rules(BUDGET), known=self.memory.known, now=self.now)
        self.memory.note_rolling(inventory, decision.rolling, self.now)
        for restart in decision.restarts:
            is_done = self.patch(restart)
            if lives == 0:
                self.kill()
                return
            lives -= 1
            if not is_answered:
                self.memory.note_in_doubt(restart, "no answer", self.now)
            elif is_done:
                workload = self.workloads[restart.workload.ref.name]
                self.memory.note_patched(restart, str(workload.version), self.now)

    def patch(self, restart: Restart) -> bool:
        """Patch as the apiserver does; False: it was changed since it was read."""
        workload = self.workloads[restart.workload.ref.name]
        if str(workload.version) != restart.workload.resource_version:
            return False
        assert restart.marks
        for key, mark in restart.marks.items():
            assert key.startswith(PREFIX)
            assert (workload.name, key, mark) not in self.marks, "twice for one version"
            self.marks.add((workload.name, key, mark))
        workload.notes |= restart.marks
        workload.template += 1
        workload.version += 1
        workload.patched_at = self.now
        return True

    # What always holds

    @invariant()
    def no_more_are_rolled_out_than_allowed(self) -> None:
        rolling = [
            workload.name
            for workload in self.workloads.values()
            if any(pod.template != workload.template for pod in workload.pods)
            # One that is not done by then gives up its place.
            and self.now - workload.patched_at < SPEC.progress_deadline
        ]
        assert len(rolling) <= BUDGET

    @rule()
    def quiet(self) -> None:
        """When nothing changes any more all get what is current, and then nothing is written."""
        for _ in range(60):
            self.now += timedelta(seconds=5)
            self.operate(lives=9, is_old=False, known=SECRETS)
            for name in WORKLOADS:
                self.control(name)
        for workload, pod in zip(
            (w for w in self.workloads.values() for _ in w.pods), self.inventory().pods, strict=True
        ):
            for name in WORKLOADS[workload.name]:
                current = self.spells[name][-1].version
                assert held_by(pod, [name], self.spells[name]) == {current}, "lost"
        written = len(self.marks)
        for _ in range(3):
            self.kill()
            self.now += timedelta(seconds=400)
            self.operate(lives=9, is_old=False, known=SECRETS)
        assert len(self.marks) == written, "a restart although nothing changed"


Namespace.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestNamespace = Namespace.TestCase
