"""Rotation without a target system: new values on request and on schedule."""

from collections.abc import Mapping
from typing import Any

import pytest

from cluster.operating import Cluster, OperatorProcess, eventually

PASSWORD = {"key": "password", "generate": {"password": {"length": 24}}}
USERNAME = {"key": "username", "value": "orders"}
TOKEN = "keyturn.dev/rotate"


@pytest.fixture(autouse=True)
def operator(shared_operator: OperatorProcess) -> OperatorProcess:
    return shared_operator


def rotated_spec(**rotation: Any) -> dict[str, Any]:
    asked = {"interval": "30d", **rotation}
    kept = {field: value for field, value in asked.items() if value is not None}
    return {"data": [USERNAME, PASSWORD], "rotation": kept}


def status(cluster: Cluster, name: str = "db") -> Mapping[str, Any]:
    found = cluster.get("managedsecrets", name)
    assert found is not None
    told: Mapping[str, Any] = found.get("status", {})
    return told


def condition(cluster: Cluster, kind: str, name: str = "db") -> Mapping[str, Any]:
    conditions: list[dict[str, Any]] = status(cluster, name).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def request(cluster: Cluster, token: str) -> None:
    cluster.patch("managedsecrets", "db", {"metadata": {"annotations": {TOKEN: token}}})


def test_a_new_token_rotates_and_the_same_one_does_not(
    cluster: Cluster, operator: OperatorProcess
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


def test_a_schedule_rotates_by_itself(cluster: Cluster) -> None:
    cluster.apply("db", rotated_spec(interval="5m"))
    cluster.wait_ready("db")

    told = status(cluster)

    assert told["currentVersion"] == 1
    assert told["nextRotationTime"] > told["history"][0]["createdTime"]


def test_the_previous_value_goes_when_its_overlap_is_over(cluster: Cluster) -> None:
    target = {
        "name": "db",
        "stages": [{"stage": "Current"}, {"stage": "Previous", "keySuffix": "_previous"}],
    }
    cluster.apply("db", {**rotated_spec(overlap={"max": "10s"}), "targets": [target]})
    cluster.wait_ready("db")
    first = cluster.data("db")
    assert first is not None

    request(cluster, "one")
    both: dict[str, str] = {}

    def are_both_shown() -> bool:
        both.update(cluster.data("db") or {})
        return "password_previous" in both

    eventually(are_both_shown, what="both are shown")
    assert both["password_previous"] == first["password"]

    eventually(lambda: "password_previous" not in (cluster.data("db") or {}), what="it is retired")
    # The status comes after the Secret.
    eventually(lambda: "previousVersion" not in status(cluster), what="the status says so")
    assert (cluster.data("db") or {})["password"] == both["password"]


def test_a_schedule_that_never_comes_is_told_at_once(cluster: Cluster) -> None:
    cluster.apply("db", rotated_spec(interval=None, schedule="0 0 31 2 *"))

    told = cluster.wait_reason("db", "InvalidSpec")

    assert "spec.rotation.schedule" in told["message"]
