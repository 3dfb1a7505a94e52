"""A rollout that fails is gone back from: a real Deployment, whose new pods do not begin."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.controlled import Controlled, by_env
from cluster.operating import OperatorProcess, eventually
from cluster.rotation.postgresql import NAME, RotatedDatabase
from keyturn_controlplane.cluster import ControlPlane

HEALTH = {"action": "Restart", "coalesce": "5s", "onFailure": "Rollback"}
OLDER = 6.0
"""Seconds after which a pod that runs is surely older than what is projected next."""


@pytest.fixture
def web(control_plane: ControlPlane, namespace: str) -> Iterator[Controlled]:
    with Controlled.opened(control_plane, namespace) as made:
        yield made


def deploy(controlled: Controlled) -> None:
    """Make a Deployment that says after a short time that it makes no progress."""
    controlled.deploy("web", by_env(NAME), replicas=1)
    patch = {"spec": {"progressDeadlineSeconds": 12}}
    assert controlled.apiserver.request("PATCH", controlled.path("web"), patch).is_ok
    controlled.wait_rolled_out("web")
    time.sleep(OLDER)


def rotated(database: RotatedDatabase) -> dict[str, Any]:
    return database.cluster.condition(NAME, "Rotated")


def test_value_and_target_go_back_and_rotation_stands_still_until_a_person_asks(
    shared_operator: OperatorProcess, database: RotatedDatabase, web: Controlled, enforced: None
) -> None:
    cluster = database.cluster
    database.apply()
    resource = cluster.get("managedsecrets", NAME)
    assert resource is not None
    cluster.apply(NAME, {**resource["spec"], "consumers": HEALTH})
    cluster.wait_ready(NAME)
    deploy(web)
    before = database.credential()

    # No new pod begins from here on; the one that runs is kept by the Deployment.
    web.held = "web-"
    database.rotate("one")
    assert database.credential() != before
    web.wait_restarted("web", "2")
    eventually(lambda: database.status["currentVersion"] == 3, within=90, what="it went back")

    assert database.credential() == before
    assert database.logs_in()
    eventually(lambda: rotated(database).get("reason") == "RolledBack", what="it says so")
    assert rotated(database)["message"] == (
        "Deployment/web did not become healthy with version 2, which was rolled back; no rotation"
        f" begins by itself. To go on: keyturn rotate {NAME} -n {cluster.namespace}"
    )
    assert database.status["rotations"][0]["cause"] == "Health"
    assert database.status["rotations"][0]["by"] == "Deployment/web"
    eventually(
        lambda: (
            {"RotationStarted", "RotationSucceeded", "RolledBack"}
            <= {event["reason"] for event in cluster.all("events")}
        ),
        what="the Events are posted",
    )
    (told,) = [each for each in cluster.all("events") if each["reason"] == "RolledBack"]
    assert told["type"] == "Warning"
    described = shared_operator.keyturn("describe", NAME, "-n", cluster.namespace).stdout
    assert b"Deployment/web did not become healthy with version 2" in described

    # The Deployment is restarted for what it went back to, and nothing more happens by itself.
    web.held = ""
    web.wait_restarted("web", "3")
    web.wait_rolled_out("web")
    shared_operator.keyturn("rotate", NAME, "-n", cluster.namespace)

    eventually(lambda: database.status["currentVersion"] == 4, what="it is rotated")
    eventually(lambda: rotated(database).get("reason") == "SecretRotated", what="it goes on")
