import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keyturn.domain.secret import Secret, SecretName
from keyturn.handlers.eyes import ManagedSecretsEye
from keyturn.handlers.witness import Witness
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.facts import ClusterFacts
from keyturn.kube.metadata_watch import Sighting
from keyturn.services.scheduling import Scheduler
from keyturn.services.workqueue import WorkQueue

ONE = SecretName("shop", "one")


async def nothing_stored() -> AsyncIterator[Secret]:
    none: list[Secret] = []
    for secret in none:
        yield secret


@pytest.fixture
def queue() -> WorkQueue:
    return WorkQueue(Scheduler())


@pytest.fixture
def eye(queue: WorkQueue) -> ManagedSecretsEye:
    kube = KubeClient(Connection(Path("/nowhere")))
    return ManagedSecretsEye(kube, (), ClusterFacts(kube), nothing_stored, queue, Witness())


def a_sighting(*, present: bool) -> Sighting:
    return Sighting("shop", "one", "uid", 10, {}, {}, present)


async def test_what_goes_is_queued_at_once(eye: ManagedSecretsEye, queue: WorkQueue) -> None:
    eye._changed(a_sighting(present=False))

    work = await asyncio.wait_for(queue.get(), 5)

    assert (work.name, work.body) == (ONE, None)


async def test_what_comes_is_left_to_kopf(eye: ManagedSecretsEye, queue: WorkQueue) -> None:
    eye._changed(a_sighting(present=True))

    assert len(queue) == 0
