"""What the apiserver replies to a write of a status, by which the operator knows its own again."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from apiserver import Apiserver, a_managed_secret, core, managed_secrets
from keyturn.domain.secret import SecretName
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.managed_secrets import ManagedSecrets, authored
from keyturn_controlplane.cluster import ControlPlane


@pytest.fixture
async def resources(control_plane: ControlPlane) -> AsyncIterator[ManagedSecrets]:
    async with KubeClient(Connection(control_plane.kubeconfig)) as kube:
        yield ManagedSecrets(kube)


@pytest.fixture
async def read(apiserver: Apiserver, namespace: str, resources: ManagedSecrets) -> dict[str, Any]:
    """The metadata of a resource with all that people put there, as it is read."""
    owner = apiserver.request(
        "POST", core("configmaps", namespace), {"metadata": {"name": "owner"}}
    ).body
    made = a_managed_secret(data=[{"key": "password", "input": {}}])
    made["metadata"] |= {
        "labels": {"team": "shop", "empty": ""},
        "annotations": {"keyturn.dev/rotate": "one"},
        "ownerReferences": [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "name": "owner",
                "uid": owner["metadata"]["uid"],
                "blockOwnerDeletion": False,
            }
        ],
    }
    answer = apiserver.request("POST", managed_secrets(namespace), made)
    assert answer.is_ok, answer.message
    metadata: dict[str, Any] = (await resources.get(SecretName(namespace, "orders")))["metadata"]
    return metadata


async def test_the_reply_to_our_own_write_tells_of_no_edit(
    read: dict[str, Any], namespace: str, resources: ManagedSecrets
) -> None:
    reply = await resources.patch_status(
        SecretName(namespace, "orders"), read["uid"], {"observedGeneration": 7}
    )

    assert reply["resourceVersion"] != read["resourceVersion"]
    assert authored(reply) == authored(read)


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param({"metadata": {"annotations": {"keyturn.dev/rotate": "two"}}}, id="a token"),
        pytest.param({"metadata": {"labels": {"team": None}}}, id="a label"),
        pytest.param({"spec": {"description": "edited"}}, id="a specification"),
    ],
)
async def test_it_tells_of_an_edit_beneath(
    edit: dict[str, Any],
    read: dict[str, Any],
    apiserver: Apiserver,
    namespace: str,
    resources: ManagedSecrets,
) -> None:
    assert apiserver.request("PATCH", managed_secrets(namespace, "orders"), edit).is_ok

    reply = await resources.patch_status(
        SecretName(namespace, "orders"), read["uid"], {"observedGeneration": 7}
    )

    assert authored(reply) != authored(read)
