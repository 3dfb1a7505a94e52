"""Rotation without a target system: new values on request and on schedule."""

from collections.abc import Mapping
from typing import Any

import pytest

from canary import Canary
from cluster.operating import Cluster, OperatorProcess, eventually

PASSWORD = {"key": "password", "generate": {"password": {"length": 24}}}
USERNAME = {"key": "username", "value": "orders"}
TOKEN = "keyturn.dev/rotate"


@pytest.fixture(autouse=True)
def operator(shared_operator: OperatorProcess) -> OperatorProcess:
    return shared_operator


def rotated_spec(**rotation: Any) -> dict[str, Any]:
    return {"data": [USERNAME, PASSWORD], "rotation": {"interval": "30d", **rotation}}


def status(cluster: Cluster, name: str = "db") -> Mapping[str, Any]:
    found = cluster.get("managedsecrets", name)
    assert found is not None
    return found.get("status", {})


def condition(cluster: Cluster, kind: str, name: str = "db") -> Mapping[str, Any]:
    conditions = status(cluster, name).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def values(cluster: Cluster, canary: Canary, name: str = "db") -> dict[str, str]:
    data = cluster.data(name)
    assert data is not None
    canary.register_data(data, but={"username"})
    return data


def request(cluster: Cluster, token: str) -> None:
    cluster.patch("managedsecrets", "db", {"metadata": {"annotations": {TOKEN: token}}})


def test_a_new_token_rotates_and_the_same_one_does_not(
    cluster: Cluster, canary: Canary, operator: OperatorProcess
) -> None:
    cluster.apply("db", rotated_spec())
    cluster.wait_ready("db")
    first = cluster.data("db")
    assert first is not None

    request(cluster, "one")
    eventually(lambda: status(cluster).get("currentVersion") == 2, what="it is rotated")
    second = cluster.data("db")

    assert second is not None
    assert second["password"] != first["password"]
    assert second["username"] == first["username"]
    assert condition(cluster, "Rotated")["reason"] == "SecretRotated"
    told = status(cluster)
    assert told["previousVersion"] == 1
    assert told["rotations"][0]["cause"] == "Request"
    assert told["rotations"][0]["outcome"] == "Succeeded"
    assert "lastRotationTime" in told
    assert "nextRotationTime" in told

    cluster.patch("managedsecrets", "db", {"metadata": {"labels": {"a": "b"}}})
    request(cluster, "one")
    operator.keyturn("history", "db", "-n", cluster.namespace)
    assert status(cluster)["currentVersion"] == 2
