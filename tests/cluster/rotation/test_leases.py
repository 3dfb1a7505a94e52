"""The Lease of the operators, by the operator's own rights, in a real apiserver."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from keyturn.domain.errors import RaceError
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.leases import Leases
from keyturn.services.rotation.leading import Leading
from keyturn_controlplane.cluster import ControlPlane


@pytest.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[KubeClient]:
    kubeconfig = control_plane.kubeconfig_for_service_account("keyturn-system", "keyturn")
    async with KubeClient(Connection(kubeconfig)) as kube:
        yield kube


@pytest.fixture
def leases(kube: KubeClient) -> Leases:
    return Leases(kube, "keyturn-system", f"test-{uuid4().hex[:8]}")


async def test_it_is_made_renewed_and_taken_over(leases: Leases) -> None:
    assert await leases.read() is None

    await leases.write("one", "a store", 15.0, None)
    made = await leases.read()
    assert made is not None
    await leases.write("one", "a store", 15.0, made)
    renewed = await leases.read()
    assert renewed is not None
    await leases.write("two", "another store", 15.0, renewed)
    taken = await leases.read()

    assert taken is not None
    assert (made.holder, made.store_id, made.transitions) == ("one", "a store", 0)
    assert renewed.renewed > made.renewed
    assert renewed.transitions == 0
    assert (taken.holder, taken.store_id, taken.transitions) == ("two", "another store", 1)


async def test_of_two_that_saw_the_same_one_writes(leases: Leases) -> None:
    await leases.write("one", "a store", 15.0, None)
    with pytest.raises(RaceError):
        await leases.write("two", "a store", 15.0, None)
    stood = await leases.read()

    await leases.write("two", "a store", 15.0, stood)

    with pytest.raises(RaceError):
        await leases.write("three", "a store", 15.0, stood)


async def test_of_many_that_begin_at_once_one_holds_it(leases: Leases) -> None:
    operators = [Leading(leases, f"holder {n}", f"store {n}") for n in range(5)]

    await asyncio.gather(*(each.turn() for each in operators), return_exceptions=True)
    await asyncio.gather(*(each.turn() for each in operators), return_exceptions=True)

    assert [each.may_act() for each in operators].count(True) == 1
