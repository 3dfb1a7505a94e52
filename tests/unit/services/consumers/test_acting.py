"""What is done with a decision: patches, pauses after failures, and when to look again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyturn.domain.consumers import Inventory, RunningPod, Spell, Use, Via, Workload, WorkloadRef
from keyturn.domain.errors import ClusterUnavailableError, DeniedError, KeyturnError
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.restarting import Rules
from keyturn.domain.secret import Secret, SecretName
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.errors import ChangedError, ObjectNotFoundError
from keyturn.kube.kubernetes_events import KubernetesEvents
from keyturn.kube.resources import parse
from keyturn.services.calendar import Calendar
from keyturn.services.consumers.acting import AGAIN, NOTHING, UNCAGED, Acted, Acting
from keyturn.services.consumers.inventory import View
from keyturn.services.consumers.reload_calls import ReloadCalls
from keyturn.services.consumers.reloads import Reloads
from keyturn.store.sqlite import SQLiteStore
from keyturn.testing.store_samples import a_secret

BEGINNING = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENV = frozenset({Via.ENV})
KEY = "keyturn.dev/version.database"


def ref(name: str) -> WorkloadRef:
    return WorkloadRef("Deployment", name)


class RecordedCalendar(Calendar):
    """A calendar that also tells what stands in it."""

    def __init__(self) -> None:
        super().__init__(lambda: BEGINNING)
        self.dates: dict[Any, datetime | None] = {}

    def set(self, subject: Any, when: datetime | None, act: Any) -> None:
        self.dates[subject] = when
        super().set(subject, when, act)


@dataclass
class Patched:
    """Takes the patches; `refuse` says of a workload what is raised instead."""

    refuse: dict[str, KeyturnError] = field(default_factory=dict)
    written: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def restart(self, namespace: str, workload: Workload, marks: Mapping[str, str]) -> str:
        assert namespace == "shop"
        if error := self.refuse.get(workload.ref.name):
            raise error
        self.written.append((workload.ref.name, dict(marks)))
        return str(int(workload.resource_version) + 1)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.written]


@dataclass
class Office:
    """One secret at version 2, and workloads whose pods began with version 1."""

    acting: Acting
    patched: Patched
    calendar: RecordedCalendar
    secret: Secret
    now: datetime = BEGINNING + timedelta(seconds=2000)
    is_caged: bool = True

    def resource(self, **consumers: Any) -> ManagedSecret:
        metadata = {"name": "database", "namespace": "shop", "uid": "u"}
        data = [{"key": "password", "generate": {"password": {}}}]
        spec = {"data": data, "consumers": consumers or {"action": "Restart"}}
        return parse({"metadata": metadata, "spec": spec}, outputs_of=lambda *_: {})

    def view(self, names: Sequence[str], version: int = 7) -> View:
        spells = [Spell("db", 1, BEGINNING), Spell("db", 2, BEGINNING + timedelta(seconds=1000))]
        began = BEGINNING + timedelta(seconds=100)
        workloads = tuple(
            Workload(ref(name), name, str(version), uses={"db": ENV}, replicas=1) for name in names
        )
        pods = tuple(
            RunningPod(f"{name}-1", name, ref(name), began, {"db": Use(ENV, began)})
            for name in names
        )
        return View(frozenset({"db"}), spells, Inventory("shop", pods, workloads))

    async def act(self, *names: str, resource: ManagedSecret | None = None) -> Acted:
        return await self.acting.act(resource or self.resource(), self.secret, self.view(names))

    @property
    def again(self) -> datetime | None:
        return self.calendar.dates[("restarts", "shop")]


@pytest.fixture
async def office(tmp_path: Path) -> Any:
    store = await SQLiteStore.open(tmp_path / "store.sqlite3")
    calendar, patched = RecordedCalendar(), Patched()
    secret = await a_secret(store, versions=2)

    async def are_caged() -> bool:
        return made.is_caged

    def clock() -> datetime:
        return made.now if "made" in found else BEGINNING

    found: dict[str, Office] = {}
    kube = KubeClient(Connection(Path("/nowhere")))
    nobody = ReloadCalls("", ())
    acting = Acting(
        patched,
        Reloads(store, nobody, calendar, changed=lambda _: None, clock=clock),
        KubernetesEvents(kube, instance="test"),
        calendar,
        are_caged=are_caged,
        rules=Rules(budget=2),
        changed=lambda _: None,
        clock=clock,
    )
    made = found["made"] = Office(acting, patched, calendar, secret)
    yield made
    await store.close()


async def test_what_is_due_is_patched_and_told(office: Office) -> None:
    acted = await office.act("web")

    assert office.patched.written == [("web", {KEY: "2"})]
    assert acted == Acted(restarting=frozenset({ref("web")}))


async def test_a_reading_from_before_our_patch_makes_no_second_one(office: Office) -> None:
    """Readings of a second ago are used again: the budget counts what they do not show."""
    await office.act("a", "b", "c")
    await office.act("a", "b", "c")

    assert office.patched.names == ["a", "b"]


async def test_one_that_was_changed_meanwhile_is_looked_at_again_soon(office: Office) -> None:
    office.patched.refuse = {"web": ChangedError("changed")}

    assert await office.act("web") == NOTHING
    assert office.again == office.now + AGAIN
    office.patched.refuse = {}
    await office.act("web")
    assert office.patched.names == ["web"]


async def test_one_that_is_gone_is_no_failure(office: Office) -> None:
    office.patched.refuse = {"web": ObjectNotFoundError("gone")}

    assert await office.act("web") == NOTHING


@pytest.mark.parametrize(
    "error", [DeniedError("no"), ClusterUnavailableError("a webhook does not answer")]
)
async def test_one_that_cannot_be_patched_waits_longer_each_time(
    office: Office, error: KeyturnError
) -> None:
    office.patched.refuse = {"a": error}
    acted = await office.act("a", "b", "c")
    assert acted.unrestarted == {ref("a"): error.message}
    assert office.patched.names == ["b"]
    # It keeps no place of those that can be, once it is clear that it was not patched.
    office.now += timedelta(seconds=5)
    await office.act("a", "b", "c")
    assert office.patched.names == ["b", "c"]

    assert office.again == office.now + timedelta(seconds=10)
    office.now += timedelta(seconds=11)
    acted = await office.act("a")
    assert office.again == office.now + timedelta(seconds=30)
    office.patched.refuse = {}
    office.now += timedelta(seconds=31)
    assert (await office.act("a")).unrestarted == {}


async def test_nobody_is_patched_while_nothing_keeps_the_operator_from_more(
    office: Office,
) -> None:
    office.is_caged = False

    acted = await office.act("web")

    assert acted.unrestarted == {ref("web"): UNCAGED}
    assert office.patched.written == []


async def test_just_after_the_start_it_waits_for_those_that_want_the_same(office: Office) -> None:
    office.now = BEGINNING + timedelta(seconds=9)
    late = office.view(["web"])
    spells = [Spell("db", 1, BEGINNING - timedelta(hours=2))]
    spells.append(Spell("db", 2, BEGINNING - timedelta(hours=1)))
    old = BEGINNING - timedelta(seconds=5000)
    assert late.inventory is not None
    (pod,) = late.inventory.pods
    before = RunningPod(pod.name, pod.uid, pod.workload, old, {"db": Use(ENV, old)})
    view = View(late.native_names, spells, Inventory("shop", (before,), late.inventory.workloads))

    await office.acting.act(office.resource(), office.secret, view)
    assert office.patched.written == []
    assert office.again == BEGINNING + timedelta(seconds=10)

    office.now += timedelta(seconds=1)
    await office.acting.act(office.resource(), office.secret, view)
    assert office.patched.names == ["web"]


async def test_who_only_asks_to_be_told_is_only_told(office: Office) -> None:
    assert await office.act("web", resource=office.resource(action="None")) == NOTHING
    assert office.patched.written == []
    assert office.acting.asks(office.resource(action="None"))


async def test_who_cannot_be_seen_is_not_acted_on(office: Office) -> None:
    unseen = View(frozenset({"db"}), (), None, "the operator may not list pods")

    assert await office.acting.act(office.resource(), office.secret, unseen) == NOTHING


async def test_what_a_resource_wanted_goes_with_it(office: Office) -> None:
    office.patched.refuse = {"web": DeniedError("no")}
    await office.act("web")

    office.acting.forget(SecretName("shop", "database"))

    assert office.again is None
