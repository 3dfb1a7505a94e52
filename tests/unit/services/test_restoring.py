"""Restoring what was deleted just now: on a real store, with a stand-in for the apiserver."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from keyturn.bootstrap.vault import Vault
from keyturn.domain.errors import ConflictError
from keyturn.domain.secret import Secret, SecretName
from keyturn.kube.errors import AlreadyExistsError, KindNotFoundError, ObjectNotFoundError
from keyturn.kube.facts import ClusterFacts
from keyturn.kube.managed_secrets import ManagedSecrets
from keyturn.kube.resources import parse
from keyturn.services.lifecycle import Lifecycle
from vaults import opened

Json = dict[str, Any]

DB = SecretName("shop", "db")
NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Cluster:
    """One namespace with at most one ManagedSecret; `is_served` tells whether the CRD is there."""

    def __init__(self) -> None:
        self.body: Json | None = None
        self.is_served = True
        self.uid_of_crd = "uid-of-crd"
        self._made = 0

    @property
    def has_resource(self) -> bool:
        return self.body is not None

    async def get(self, name: SecretName) -> Json:
        if not self.is_served:
            raise KindNotFoundError("the apiserver does not serve this kind")
        if self.body is None:
            raise ObjectNotFoundError(f"there is no {name}")
        return self.body

    async def create(self, body: Json) -> Json:
        if self.body is not None:
            raise AlreadyExistsError("it exists already")
        self._made += 1
        made: Json = json.loads(json.dumps(body))
        made["metadata"]["uid"] = f"uid-{self._made}"
        self.body = made
        return made

    async def crd_uid(self) -> str | None:
        return self.uid_of_crd if self.is_served else None

    async def known_crd_uid(self) -> str:
        return self.uid_of_crd

    async def namespace_uid(self, _: str) -> str:
        return "uid-of-shop"


class House:
    """A store with the secret of one ManagedSecret, which the operator knows."""

    def __init__(self, vault: Vault) -> None:
        self.vault, self.cluster = vault, Cluster()
        self.lifecycle = Lifecycle(
            vault.store,
            vault.manifests,
            cast("ClusterFacts", self.cluster),
            cast("ManagedSecrets", self.cluster),
            lambda: NOW,
        )

    async def applied(self) -> None:
        body = await self.cluster.create(
            {
                "apiVersion": "keyturn.dev/v1alpha1",
                "kind": "ManagedSecret",
                "metadata": {"namespace": "shop", "name": "db"},
                "spec": {"data": [{"key": "password", "generate": {"password": {}}}]},
            }
        )
        await self.lifecycle.attach(parse(body, outputs_of=lambda *_: {}), body)

    async def secret(self) -> Secret:
        (found,) = await self.vault.store.lookup(DB)
        return found


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path) as vault:
        house = House(vault)
        await house.applied()
        yield house


async def test_what_is_gone_is_made_again_before_its_deletion_was_recorded(house: House) -> None:
    house.cluster.body = None

    restored = await house.lifecycle.restore(DB)

    assert house.cluster.has_resource
    assert restored.deleted_at is None
    assert restored == await house.secret()


async def test_what_is_still_being_deleted_is_not_called_restored(house: House) -> None:
    assert house.cluster.body is not None
    house.cluster.body["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"

    with pytest.raises(ConflictError, match="is still being deleted"):
        await house.lifecycle.restore(DB)


async def test_nor_is_it_when_its_deletion_was_recorded_already(house: House) -> None:
    # It is of a second resource of that name, which nobody has looked at.
    was = await house.secret()
    await house.vault.store.mark_deleted(was.id, resource_uid=was.resource_uid, now=NOW)
    assert house.cluster.body is not None
    house.cluster.body["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"

    with pytest.raises(ConflictError, match="is still being deleted"):
        await house.lifecycle.restore(DB)

    assert (await house.secret()).deleted_at == NOW


async def test_nothing_is_done_for_what_exists(house: House) -> None:
    before = house.cluster.body

    restored = await house.lifecycle.restore(DB)

    assert house.cluster.body is before
    assert restored.deleted_at is None


async def test_what_went_with_its_crd_is_not_called_restored(house: House) -> None:
    house.cluster.body, house.cluster.is_served = None, False

    with pytest.raises(KindNotFoundError):
        await house.lifecycle.restore(DB)

    assert (await house.secret()).deleted_at is None


async def test_what_went_with_an_earlier_crd_is_made_again(house: House) -> None:
    house.cluster.body, house.cluster.uid_of_crd = None, "uid-of-another-crd"

    await house.lifecycle.restore(DB)

    assert house.cluster.has_resource
    assert (await house.secret()).deleted_at is None


async def test_what_was_made_again_after_it_was_missed_is_not_recorded_as_deleted(
    house: House,
) -> None:
    # Somebody was told that it does not exist, and then it was restored.
    house.cluster.body = None
    await house.lifecycle.restore(DB)
    body = await house.cluster.get(DB)
    await house.lifecycle.attach(parse(body, outputs_of=lambda *_: {}), body)

    await house.lifecycle.record_deletion(DB)

    assert (await house.secret()).deleted_at is None
