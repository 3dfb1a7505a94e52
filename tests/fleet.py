"""Consumers of the test's own: workloads and pods that hold what the native Secret said."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from keyturn.domain.consumers import (
    Inventory,
    RunningPod,
    Spell,
    Use,
    Via,
    Workload,
    WorkloadRef,
)
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.restart_marks import annotation_key, mark_of
from keyturn.domain.secret import Secret
from keyturn.services.consumers.inventory import View

NATIVE = "db"
ENV = frozenset({Via.ENV})
OLD = timedelta(days=1)


class Login(NamedTuple):
    """What the target is asked to let in."""

    username: str
    password: str


@dataclass
class Fleet:
    """The pods and workloads of a namespace; a test starts, ends and breaks them.

    `shown` is what the native Secret says, and `held` what each pod read there as it began.
    """

    spells: list[Spell] = field(default_factory=list)
    workloads: dict[str, Workload] = field(default_factory=dict)
    pods: dict[str, RunningPod] = field(default_factory=dict)
    held: dict[str, Login] = field(default_factory=dict)
    shown: Login | None = None
    why: str = ""
    rest: float = 0.0
    looks: int = 0

    async def look(self, resource: ManagedSecret, secret: Secret) -> View:
        self.looks += 1
        inventory = Inventory("shop", tuple(self.pods.values()), tuple(self.workloads.values()))
        names = frozenset({NATIVE})
        seen = None if self.why else inventory
        return View(names, tuple(self.spells), seen, self.why, self.rest)

    def shows(self, version: int, login: Login, now: datetime) -> None:
        """Let the native Secret say something else."""
        if not self.spells or self.spells[-1].version != version:
            self.spells.append(Spell(NATIVE, version, now))
        self.shown = login

    def deploy(self, name: str, now: datetime, *, kind: str = "Deployment") -> None:
        """Make a workload of one pod that is ready."""
        deadline = timedelta(minutes=10) if kind == "Deployment" else None
        self.workloads[name] = Workload(
            WorkloadRef(kind, name),
            uid=name,
            resource_version="1",
            uses={NATIVE: ENV},
            replicas=1,
            template="as deployed",
            progress_deadline=deadline,
        )
        self.start(f"{name}-0", name, now)

    def start(self, pod: str, name: str, now: datetime | None) -> None:
        """Begin a pod that reads what is shown; None: it has not begun yet."""
        use = Use(ENV, now)
        created = now or self.spells[-1].since
        ref = self.workloads[name].ref
        self.pods[pod] = RunningPod(pod, pod, ref, created, {NATIVE: use}, ready=now is not None)
        if self.shown is not None and now is not None:
            self.held[pod] = self.shown

    def end(self, pod: str) -> None:
        del self.pods[pod]
        self.held.pop(pod, None)

    def mark(self, name: str) -> None:
        """Name the version that is shown in a workload's template, as a restart does."""
        version = self.spells[-1].version
        mark = mark_of(self.spells, [NATIVE], version or 0)
        assert mark is not None
        marks = {annotation_key(NATIVE): mark}
        self.change(name, template_annotations=marks, is_rolled_out=False)

    def change(self, name: str, **fields: object) -> None:
        self.workloads[name] = replace(self.workloads[name], **fields)  # type: ignore[arg-type]

    def change_pod(self, pod: str, **fields: object) -> None:
        self.pods[pod] = replace(self.pods[pod], **fields)  # type: ignore[arg-type]

    def restart(self, name: str, now: datetime, *, is_healthy: bool = True) -> None:
        """Roll a workload to what is shown: well, or with a new pod that fails beside the old."""
        self.mark(name)
        number = len(self.spells)
        self.start(f"{name}-{number}", name, now)
        if not is_healthy:
            self.change_pod(f"{name}-{number}", ready=False, is_failing=True)
            return
        self.change(name, is_rolled_out=True)
        for pod in [each for each in self.pods if each.startswith(f"{name}-")]:
            if pod != f"{name}-{number}":
                self.end(pod)

    def locked_out(self, accepted: set[Login]) -> list[str]:
        """List the pods whose credential is not accepted any more."""
        return [pod for pod, login in self.held.items() if login not in accepted]
