"""A retirement that waits for the pods of a real Deployment; a stand-in reports that they run."""

import json
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from apiserver import core
from cluster.controlled import Controlled, by_env
from cluster.operating import OperatorProcess, eventually
from cluster.rotation.postgresql import NAME, RotatedDatabase
from cluster.site import Site
from keyturn_controlplane.cluster import ControlPlane
from servers.postgresql import PostgreSQLServer

Login = tuple[str, str]
MOVED = {"until": "ConsumersMoved", "max": "1h"}
OLDER = 6.0
"""Seconds after which a pod that runs is surely older than what is projected next."""

WAITED_FOR = "Deployment/web still run with an older version"


@pytest.fixture
def database(quiet_site: Site, postgresql: PostgreSQLServer) -> RotatedDatabase:
    return RotatedDatabase.made(postgresql, quiet_site.cluster)


@pytest.fixture
def controlled(quiet_control_plane: ControlPlane, quiet_site: Site) -> Iterator[Controlled]:
    with Controlled.opened(quiet_control_plane, quiet_site.namespace) as made:
        yield made


@pytest.fixture
def without_pods(quiet_site: Site) -> Iterator[str]:
    """A ServiceAccount that may do all that the operator may, but read pods."""
    kubectl, name = quiet_site.control_plane.kubectl, f"no-pods-{quiet_site.namespace}"
    kubectl("create", "serviceaccount", name, "-n", "keyturn-system")
    role = json.loads(kubectl("get", "clusterrole", "keyturn", "-o", "json").stdout)
    role["metadata"] = {"name": name}
    role["rules"] = [rule for rule in role["rules"] if "pods" not in rule["resources"]]
    kubectl("create", "-f", "-", input=json.dumps(role))
    account = f"--serviceaccount=keyturn-system:{name}"
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", account)
    kubectl("create", "rolebinding", name, "--role=keyturn", account, "-n", "keyturn-system")
    yield name
    kubectl("delete", "clusterrole,clusterrolebinding", name)


def takes(database: RotatedDatabase, login: Login) -> bool:
    """Tell whether the server lets somebody in."""
    try:
        database.server.log_in(*login).close()
    except psycopg.OperationalError:
        return False
    return True


def rotated(database: RotatedDatabase) -> dict[str, Any]:
    return database.cluster.condition(NAME, "Rotated")


def message_of(database: RotatedDatabase) -> str:
    return str(rotated(database).get("message"))


def is_alone(database: RotatedDatabase, version: int) -> bool:
    """Tell whether a version is current, and the one before is retired."""
    told = database.status
    return told["currentVersion"] == version and "previousVersion" not in told


def wait_for(database: RotatedDatabase, status: str, reason: str) -> str:
    """Wait for the condition Rotated; return its message."""

    def is_so() -> bool:
        condition = rotated(database)
        return (condition.get("status"), condition.get("reason")) == (status, reason)

    eventually(is_so, within=90, what=f"Rotated is {status}, {reason}: {rotated(database)}")
    return message_of(database)


def a_consumer(controlled: Controlled, database: RotatedDatabase) -> Login:
    """Let a Deployment have a pod that is surely older than the next version; return its login."""
    controlled.deploy("web", by_env(NAME), replicas=1)
    time.sleep(OLDER)
    return database.credential()


def restart(controlled: Controlled) -> None:
    """Do as `kubectl rollout restart` does, and wait until the old pod has gone."""
    body = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}
    patch = {"spec": {"template": body}}
    assert controlled.apiserver.request("PATCH", controlled.path("web"), patch).is_ok
    controlled.wait_rolled_out("web")
    pods = core("pods", controlled.namespace)
    eventually(lambda: len(controlled.apiserver.request("GET", pods).body["items"]) == 1)


@pytest.fixture
def blind(quiet_site: Site, without_pods: str) -> OperatorProcess:
    """An operator on the same store that may not read pods; it is not started yet."""
    kubeconfig_of = quiet_site.control_plane.kubeconfig_for_service_account
    return OperatorProcess(
        quiet_site.control_plane,
        quiet_site.folder / "operator",
        kubeconfig=kubeconfig_of("keyturn-system", without_pods),
        environment={"KEYTURN_WATCH_NAMESPACES": quiet_site.namespace},
    )


def test_nobody_who_runs_is_locked_out_whatever_happens_to_the_operator(
    quiet_site: Site, database: RotatedDatabase, controlled: Controlled, blind: OperatorProcess
) -> None:
    operator = quiet_site.started()
    database.apply(overlap=MOVED)
    database.cluster.wait_ready(NAME)
    held = a_consumer(controlled, database)
    database.rotate("one")
    message = wait_for(database, "True", "RetireBlockedByConsumers")
    assert message.endswith(f"Version 1 stays valid: {WAITED_FOR}.")
    assert database.status["consumers"]["waitingFor"][0]["name"] == "web"

    # A request waits, a command is refused.
    database.request("two")
    message = wait_for(database, "False", "RetireBlockedByConsumers")
    assert message.startswith(f"A rotation (Request) waits: {WAITED_FOR}")
    refused = operator.keyturn("rotate", NAME, "-n", quiet_site.namespace, check=False)
    assert (refused.returncode, WAITED_FOR in refused.stderr.decode()) == (4, True)

    # Killed, and started without the right to read pods: who is not seen has not moved.
    operator.kill()
    with blind:
        eventually(lambda: "it is not known who uses it" in message_of(database), within=90)
        restart(controlled)
        time.sleep(5)
        assert takes(database, held)
        assert database.status["currentVersion"] == 2

    # With its rights it sees that all have moved, and does what waited.
    held_now = database.credential()
    operator.start()
    eventually(lambda: database.status["currentVersion"] == 3, within=90, what="it is rotated")
    assert (takes(database, held), takes(database, held_now)) == (False, True)
    wait_for(database, "True", "RetireBlockedByConsumers")


def test_at_max_it_ends_although_somebody_holds_it_and_by_force_before(
    quiet_site: Site, database: RotatedDatabase, controlled: Controlled
) -> None:
    operator = quiet_site.started()
    database.apply(overlap=MOVED)
    database.cluster.wait_ready(NAME)
    held = a_consumer(controlled, database)
    database.rotate("one")
    wait_for(database, "True", "RetireBlockedByConsumers")
    assert takes(database, held)
    described = operator.keyturn("describe", NAME, "-n", quiet_site.namespace).stdout.decode()
    assert WAITED_FOR in described

    operator.keyturn("rotate", NAME, "--force", "-n", quiet_site.namespace)

    # The status comes after the end of the rotation, on which the command ends.
    eventually(lambda: database.status["currentVersion"] == 3, what="it is rotated")
    assert not takes(database, held)
    database.apply(overlap={"until": "ConsumersMoved", "max": "5s"})
    previous = database.credential()
    operator.keyturn("rotate", NAME, "--force", "-n", quiet_site.namespace)
    eventually(lambda: is_alone(database, 4), within=90, what="it is retired")
    assert not takes(database, previous)
    assert takes(database, database.credential())
