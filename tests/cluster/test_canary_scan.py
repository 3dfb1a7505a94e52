"""Each leak would be found by the search that ends a run; see the fixture `canary_scan`."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from apiserver import Apiserver, a_managed_secret, core, managed_secrets
from canary import Canary, Leak
from canary_scan import CanaryScan
from cluster.operating import Cluster, OperatorProcess, eventually
from keyturn_controlplane.cluster import ControlPlane

MARKED = {"keyturn.dev/managed": "true"}


@dataclass
class Scene:
    """Where a test plants leaks."""

    apiserver: Apiserver
    namespace: str
    folder: Path
    scan: CanaryScan

    def send(self, method: str, path: str, body: object) -> None:
        answer = self.apiserver.request(method, path, body)
        assert answer.is_ok, answer.message

    def resource(self, name: str, **metadata: object) -> None:
        body = a_managed_secret(name)
        body["metadata"] |= metadata
        self.send("POST", managed_secrets(self.namespace), body)

    def native(self, name: str, value: str, **metadata: object) -> None:
        body = {
            "metadata": {"name": name, "labels": MARKED, **metadata},
            "stringData": {"a": value},
        }
        self.send("POST", core("secrets", self.namespace), body)

    def file(self, name: str, value: str) -> None:
        path = self.folder / "operator" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)


def in_a_status(scene: Scene, value: str) -> None:
    scene.resource("status")
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "Leak",
        "message": value,
        "observedGeneration": 1,
        "lastTransitionTime": "2030-01-01T00:00:00Z",
    }
    path = f"{managed_secrets(scene.namespace, 'status')}/status"
    scene.send("PATCH", path, {"status": {"conditions": [condition]}})


def in_a_deleted_resource(scene: Scene, value: str) -> None:
    scene.resource("deleted", annotations={"leak": value})
    scene.send("DELETE", managed_secrets(scene.namespace, "deleted"), None)


def in_an_event(scene: Scene, value: str) -> None:
    event = {
        "metadata": {"name": "leak"},
        "eventTime": "2030-01-01T00:00:00.000000Z",
        "reportingController": "keyturn.dev/operator",
        "reportingInstance": "leak",
        "action": "Leaking",
        "reason": "Leak",
        "type": "Normal",
        "regarding": {"kind": "ManagedSecret", "namespace": scene.namespace, "name": "leak"},
        "note": value,
    }
    scene.send("POST", f"/apis/events.k8s.io/v1/namespaces/{scene.namespace}/events", event)


def in_a_lease(scene: Scene, value: str) -> None:
    lease = {"metadata": {"name": "leak"}, "spec": {"holderIdentity": value}}
    scene.send("POST", f"/apis/coordination.k8s.io/v1/namespaces/{scene.namespace}/leases", lease)


def started(scene: Scene, *arguments: str, **environment: str) -> None:
    """Run a process that looks like one of Keyturn until it has been seen."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", "keyturn", *arguments]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as process:
        eventually(lambda: scene.scan.has_seen(process.pid))


PLACES: dict[str, Callable[[Scene, str], None]] = {
    "the log of an operator": lambda scene, value: scene.file("operator.log", value),
    "the store": lambda scene, value: scene.file("data/store.sqlite3", value),
    "the WAL of the store": lambda scene, value: scene.file("data/store.sqlite3-wal", value),
    "the folder of the socket": lambda scene, value: scene.file("run/left", value),
    "the folder of temporary files": lambda scene, value: scene.file("tmp/left", value),
    "a status": in_a_status,
    "an annotation": lambda scene, value: scene.resource("noted", annotations={"leak": value}),
    "the name of a managed field": lambda scene, value: scene.resource(
        "named", annotations={f"a{value}z": ""}
    ),
    "a resource that is deleted": in_a_deleted_resource,
    "an event": in_an_event,
    "a lease": in_a_lease,
    "an annotation of a native Secret": lambda scene, value: scene.native(
        "annotated", "allowed-in-here", annotations={"leak": value}
    ),
    "the arguments of a process": started,
    "the environment of a process": lambda scene, value: started(scene, LEAK=value),
}


@pytest.fixture(scope="module")
def found(
    control_plane: ControlPlane,
    apiserver: Apiserver,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, list[Leak]]:
    """What the scan finds of a value that was planted in each place, and of one that is allowed."""
    control_plane.kubectl("create", "namespace", "planted")
    canary, folder = Canary(), tmp_path_factory.mktemp("planted")
    scan = CanaryScan(canary, folder)
    scene = Scene(apiserver, "planted", folder, scan)
    numbers: dict[int, str] = {}
    with scan.sampling(), scan.watching(control_plane):
        for number, (place, plant) in enumerate(PLACES.items(), start=1):
            numbers[number] = place
            plant(scene, canary.make(30).decode())
        allowed = canary.make(30).decode()
        numbers[len(PLACES) + 1] = "the data of a native Secret"
        scene.native("allowed", allowed)
        eventually(lambda: scan.values > 0)
    leaks = scan.search()
    control_plane.kubectl("delete", "namespace", "planted", "--wait=false")
    return {
        place: [leak for leak in leaks if numbers.get(leak.number) == place]
        for place in numbers.values()
    }


@pytest.mark.parametrize("place", PLACES)
def test_a_leak_in_each_place_is_found(found: dict[str, list[Leak]], place: str) -> None:
    assert found[place]


def test_the_data_of_a_native_secret_is_no_leak(found: dict[str, list[Leak]]) -> None:
    assert found["the data of a native Secret"] == []


def test_what_a_resource_states_in_the_open_is_no_secret_value(
    control_plane: ControlPlane, cluster: Cluster, shared_operator: OperatorProcess, tmp_path: Path
) -> None:
    stated = {"key": "host", "value": "stated-in-the-open.example.com"}
    scan = CanaryScan(Canary(), tmp_path)
    with scan.watching(control_plane):
        cluster.apply("db", {"data": [stated]})
        cluster.wait_ready("db")

    assert not [leak for leak in scan.search() if cluster.namespace in leak.where]


def test_the_values_of_the_run_are_collected(
    cluster: Cluster, shared_operator: OperatorProcess, canary_scan: CanaryScan
) -> None:
    cluster.apply("db", {"data": [{"key": "password", "generate": {"password": {"length": 24}}}]})
    cluster.wait_ready("db")

    eventually(lambda: canary_scan.values > 0)
