import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from keyturn.domain.errors import StorageFullError, StoreStoppedError, StoreUnavailableError
from keyturn.domain.secret import Secret, SecretName
from keyturn.handlers.eyes import ManagedSecretsEye, NativeSecretsEye
from keyturn.handlers.operating import Operator
from keyturn.handlers.witness import LONG, Witness
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.facts import ClusterFacts
from keyturn.services.reconciling import Reconciler
from keyturn.services.scheduling import Scheduler
from keyturn.services.sightings import Sightings
from keyturn.services.workqueue import WorkQueue

ONE = SecretName("shop", "one")


class Echoing:
    """Stands where the reconciler does; every event of resource version 7 is its own write."""

    def is_echo(self, name: SecretName, body: Mapping[str, Any]) -> bool:
        return bool(body["metadata"]["resourceVersion"] == "7")


async def nothing_stored() -> AsyncIterator[Secret]:
    none: list[Secret] = []
    for secret in none:
        yield secret


class Disk:
    """Stands where the store's check does; `error` is what it finds."""

    error: StoreUnavailableError | None = None

    async def check(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture
def queue() -> WorkQueue:
    return WorkQueue(Scheduler())


@pytest.fixture
def witness() -> Witness:
    return Witness(patience=0.0)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def replaced() -> asyncio.Event:
    """Set when another operator has taken over."""
    return asyncio.Event()


@pytest.fixture
def operator(queue: WorkQueue, witness: Witness, disk: Disk, replaced: asyncio.Event) -> Operator:
    kube = KubeClient(Connection(Path("/nowhere")))
    managed = ManagedSecretsEye(kube, (), ClusterFacts(kube), nothing_stored, queue, witness)
    natives = NativeSecretsEye(kube, (), Sightings(), queue)
    reconciler = cast(Reconciler, Echoing())
    return Operator(
        queue,
        reconciler,
        managed,
        natives.watches,
        witness,
        check_store=disk.check,
        is_replaced=replaced.is_set,
    )


def a_body(version: int) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": "one", "resourceVersion": str(version)}
    return {"metadata": {**metadata, "managedFields": [{}]}}


@pytest.mark.parametrize("kind", [None, "ADDED", "MODIFIED"])
async def test_what_kopf_hands_over_is_queued(
    kind: str | None, operator: Operator, queue: WorkQueue
) -> None:
    operator.heard(kind, a_body(6))

    work = await queue.get()
    assert work.name == ONE
    assert work.body is not None
    assert "managedFields" not in work.body["metadata"]


async def test_of_what_is_gone_the_name_alone_is_queued(
    operator: Operator, queue: WorkQueue
) -> None:
    operator.heard("DELETED", a_body(7))

    assert (await queue.get()).body is None


async def test_our_own_write_is_not_queued_and_yet_was_heard(
    operator: Operator, queue: WorkQueue, witness: Witness
) -> None:
    witness.saw(ONE, 7)

    operator.heard("MODIFIED", a_body(7))

    assert len(queue) == 0
    assert witness.overdue() == []


async def test_a_task_that_ended_makes_it_dead(operator: Operator) -> None:
    async def ends() -> None:
        raise ZeroDivisionError

    operator._start("watch", ends())
    assert operator.is_dead() == []
    await asyncio.sleep(0.01)

    assert operator.is_dead() == ["the task watch ended"]


async def test_a_watch_that_stays_deaf_makes_it_dead(operator: Operator, witness: Witness) -> None:
    witness.saw(ONE, 7)

    for _ in range(LONG + 1):
        assert operator.is_dead() == []
        await asyncio.sleep(0.01)
        witness.overdue()
        assert witness.finds_deaf(alive_at=float("inf"))

    assert operator.is_dead() == ["the watch of ManagedSecrets stays deaf"]


@pytest.mark.parametrize(
    ("error", "is_dead"),
    [
        pytest.param(StoreStoppedError("no sync"), True, id="a failed sync"),
        pytest.param(StorageFullError("no space"), False, id="a full disk, which may get space"),
    ],
)
async def test_a_store_that_stopped_makes_it_dead_and_one_that_waits_does_not(
    operator: Operator, disk: Disk, error: StoreUnavailableError, is_dead: bool
) -> None:
    disk.error = error

    watching = asyncio.create_task(operator._watch_store())
    await asyncio.sleep(0.01)

    assert error.message in operator.is_unready()
    assert bool(operator.is_dead()) is is_dead
    watching.cancel()


async def test_one_that_was_replaced_is_dead(operator: Operator, replaced: asyncio.Event) -> None:
    assert operator.is_dead() == []

    replaced.set()

    assert operator.is_dead() == ["another operator has taken over"]
