"""Who uses a Secret, and which version each running pod started with: in status and by command."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from aiohttp import web

from apiserver import Apiserver, connected, core
from cluster.faults.life import token_of
from cluster.operating import Cluster, OperatorProcess, Resource, eventually
from cluster.site import LONGER, Site
from cluster.standing_in import AHEAD, BY_ENV, BY_VOLUME, StandIn
from faulty_proxy import Fault, FaultyProxy, Forward, requests
from keyturn.kube import consumers as reading
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.store.rows import from_microseconds
from keyturn_controlplane.cluster import ControlPlane

PASSWORD = {"key": "password", "generate": {"password": {}}}
TOLD: dict[str, Any] = {"data": [PASSWORD], "consumers": {"action": "None"}}
IMPORTED = {**TOLD, "adoptionPolicy": "Import"}


@pytest.fixture
def stand_in(apiserver: Apiserver, namespace: str) -> StandIn:
    made = StandIn(apiserver, namespace)
    made.wait()
    return made


def consumers(cluster: Cluster, name: str = "db") -> Resource | None:
    resource = cluster.get("managedsecrets", name)
    assert resource is not None
    found: Resource | None = resource.get("status", {}).get("consumers")
    return found


def moved(cluster: Cluster, name: str = "db") -> tuple[str, str]:
    condition = cluster.condition(name, "ConsumersUpToDate")
    return condition.get("status", ""), condition.get("reason", "")


def wait_for(cluster: Cluster, total: int, stale: int, name: str = "db") -> Resource:
    """Wait until the status counts so many pods; return `status.consumers`."""

    def is_so() -> bool:
        found = consumers(cluster, name)
        return found is not None and (found["total"], found["upToDate"]) == (total, total - stale)

    eventually(is_so, what=f"{total} pods, {stale} of them stale")
    found = consumers(cluster, name)
    assert found is not None
    return found


def waiting(name: str, *, pods: int, stale: int) -> Resource:
    return {"kind": "Deployment", "name": name, "pods": pods, "stale": stale, "version": 1}


def asked(operator: OperatorProcess, namespace: str, name: str = "db") -> Resource:
    answer = operator.keyturn("consumers", name, "-n", namespace, "-o", "json")
    document: Resource = json.loads(answer.stdout)
    return document


def next_version(cluster: Cluster, version: int, spec: Resource, name: str = "db") -> None:
    """Let another password be made, and wait until it is projected."""
    length = {"key": "password", "generate": {"password": {"length": 30 + version}}}
    cluster.apply(name, {**spec, "data": [length]})
    eventually(lambda: shows(cluster, version, name), what=f"version {version} is projected")


def shows(cluster: Cluster, version: int, name: str = "db") -> bool:
    resource = cluster.get("managedsecrets", name) or {}
    return bool(resource.get("status", {}).get("currentVersion") == version)


def test_the_status_follows_the_pods_until_all_have_moved(
    shared_operator: OperatorProcess, cluster: Cluster, stand_in: StandIn
) -> None:
    cluster.apply("db", TOLD)
    cluster.wait_ready("db")
    assert wait_for(cluster, 0, 0) == {"total": 0, "upToDate": 0, "waitingFor": []}
    stand_in.workload("Deployment", "web", BY_ENV, replicas=2)
    stand_in.workload("Deployment", "worker", BY_VOLUME)
    first, second = stand_in.pods("web", 2)
    (worker,) = stand_in.pods("worker", 1)
    stand_in.pod("done", BY_ENV)
    stand_in.runs("done", phase="Succeeded")
    for name in (first, second, worker):
        stand_in.runs(name)

    # The first version: none of them is older, though all began within moments of it.
    wait_for(cluster, 3, 0)
    assert moved(cluster) == ("True", "AllMoved")

    next_version(cluster, 2, TOLD)
    found = wait_for(cluster, 3, 3)
    assert found["waitingFor"] == [
        waiting("web", pods=2, stale=2),
        waiting("worker", pods=1, stale=1),
    ]
    assert moved(cluster) == ("False", "WaitingForConsumers")
    assert cluster.condition("db")["status"] == "True"

    # Pods are replaced, and only the watch tells.
    stand_in.ends(first)
    (third,) = stand_in.pods("web", 1)
    stand_in.runs(third, later=AHEAD)
    found = wait_for(cluster, 3, 2)
    assert found["waitingFor"][0] == waiting("web", pods=2, stale=1)
    document = asked(shared_operator, cluster.namespace)
    assert (document["total"], document["upToDate"]) == (3, 1)
    assert {
        pod["name"]: [held["startedWith"] for held in pod["secrets"]]
        for item in document["items"]
        for pod in item["pods"]
    } == {second: [1], third: [2], worker: [1]}

    stand_in.ends(second)
    stand_in.ends(worker)
    wait_for(cluster, 3, 0)
    assert moved(cluster) == ("True", "AllMoved")


def test_the_command_tells_of_each_way_of_use_where_nobody_asked_before(
    shared_operator: OperatorProcess, cluster: Cluster, stand_in: StandIn
) -> None:
    here = stand_in.namespace
    cluster.apply("db", {"data": [PASSWORD]})
    cluster.wait_ready("db")
    stand_in.workload("Deployment", "web", BY_ENV)
    (web,) = stand_in.pods("web", 1)
    stand_in.runs(web)
    stand_in.workload("StatefulSet", "queue", BY_VOLUME, serviceName="queue", replicas=0)
    pulling = {"imagePullSecrets": [{"name": "db"}], "containers": [{"name": "a", "image": "a"}]}
    stand_in.workload("DaemonSet", "agent", pulling)
    job = {"template": {"spec": {**BY_VOLUME, "restartPolicy": "Never"}}}
    stand_in.create(
        f"/apis/batch/v1/namespaces/{here}/cronjobs",
        {
            "metadata": {"name": "report"},
            "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}},
        },
    )
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    stand_in.create(
        f"/apis/networking.k8s.io/v1/namespaces/{here}/ingresses",
        {
            "metadata": {"name": "edge"},
            "spec": {"defaultBackend": backend, "tls": [{"secretName": "db"}, {"hosts": ["x.y"]}]},
        },
    )
    stand_in.create(
        core("serviceaccounts", here),
        {"metadata": {"name": "deployer"}, "secrets": [{"name": "db"}]},
    )

    document = asked(shared_operator, here)
    table = shared_operator.keyturn("consumers", "db", "-n", here).stdout.decode()

    assert [(item["kind"], item["name"], item["via"]) for item in document["items"]] == [
        ("CronJob", "report", ["volume"]),
        ("DaemonSet", "agent", ["imagePullSecrets"]),
        ("Deployment", "web", ["envFrom"]),
        ("Ingress", "edge", ["ingressTLS"]),
        ("ServiceAccount", "deployer", ["serviceAccount"]),
        ("StatefulSet", "queue", ["volume"]),
    ]
    assert [line.split() for line in table.splitlines()][:4] == [
        ["CONSUMER", "VIA", "PODS", "STARTED", "WITH", "UP", "TO", "DATE", "WAITING"],
        ["CronJob/report", "volume", *"----"],
        ["DaemonSet/agent", "imagePullSecrets", *"----"],
        ["Deployment/web", "envFrom", "1", "1", "1", "0"],
    ]
    assert consumers(cluster) is None


def test_who_asks_no_more_is_not_told_any_more(
    shared_operator: OperatorProcess, cluster: Cluster
) -> None:
    cluster.apply("db", TOLD)
    wait_for(cluster, 0, 0)

    cluster.apply("db", {"data": [PASSWORD]})

    eventually(lambda: consumers(cluster) is None, what="nobody is told of consumers")
    assert moved(cluster) == ("", "")


def test_the_command_says_when_nobody_uses_it_and_when_there_is_none(
    shared_operator: OperatorProcess, cluster: Cluster
) -> None:
    cluster.apply("db", {"data": [PASSWORD]})
    cluster.wait_ready("db")

    nobody = shared_operator.keyturn("consumers", "db", "-n", cluster.namespace)
    missing = shared_operator.keyturn("consumers", "no", "-n", cluster.namespace, check=False)

    assert b"nobody uses db" in nobody.stderr
    assert missing.returncode == 3


def test_pods_that_ran_before_their_secret_was_adopted_hold_its_first_version(
    shared_operator: OperatorProcess, cluster: Cluster, stand_in: StandIn
) -> None:
    stand_in.create(
        core("secrets", cluster.namespace),
        {"metadata": {"name": "db"}, "stringData": {"password": "of-old"}},
    )
    stand_in.pod("web-1", BY_ENV)
    stand_in.runs("web-1")
    # Longer than the lag, so that the pod is surely older than the adoption.
    time.sleep(8)

    agreed = {"metadata": {"annotations": {"keyturn.dev/allow": "db"}}}
    path = core("secrets", cluster.namespace, "db")
    assert stand_in.apiserver.request("PATCH", path, agreed, fieldManager="kubectl-annotate").is_ok
    cluster.apply("db", IMPORTED)
    cluster.wait_ready("db")

    assert cluster.data("db") == {"password": "b2Ytb2xk"}
    wait_for(cluster, 1, 0)
    assert asked(shared_operator, cluster.namespace)["upToDate"] == 1


def test_a_version_that_changes_another_target_makes_nobody_stale(
    shared_operator: OperatorProcess, cluster: Cluster, stand_in: StandIn
) -> None:
    def spec(note: str) -> Resource:
        targets = [
            {"name": "db", "template": {"data": {"password": "{{ password }}"}}},
            {"name": "note", "template": {"data": {"note": "{{ note }}"}}},
        ]
        data = [PASSWORD, {"key": "note", "value": note}]
        return {**TOLD, "data": data, "targets": targets}

    reads_note = json.loads(json.dumps(BY_ENV).replace('"db"', '"note"'))
    cluster.apply("db", spec("one"))
    cluster.wait_ready("db")
    for name, how in (("same", BY_ENV), ("other", reads_note)):
        stand_in.pod(name, how)
        stand_in.runs(name)
    wait_for(cluster, 2, 0)

    cluster.apply("db", spec("two"))
    eventually(lambda: shows(cluster, 2), what="version 2 is projected")
    cluster.apply("db", spec("three"))
    eventually(lambda: shows(cluster, 3), what="version 3 is projected")

    found = wait_for(cluster, 2, 1)
    assert [waiting["name"] for waiting in found["waitingFor"]] == ["other"]


async def test_a_long_list_is_read_page_by_page_and_once_for_all_who_ask(
    control_plane: ControlPlane, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [f"pod-{number}" for number in range(7)]
    for name in made:
        stand_in.pod(name, BY_ENV)
    monkeypatch.setattr(reading, "PAGE", 3)

    async with KubeClient(Connection(control_plane.kubeconfig)) as kube:
        reader = reading.ConsumerReader(kube, bytes.hex)
        asking = [reader.running(stand_in.namespace) for _ in range(20)]
        found, *others = await asyncio.gather(*asking)
        recent = await reader.running(stand_in.namespace, recent=True)
        newer = await reader.running(stand_in.namespace)

    assert [pod.name for pod in found.pods] == made
    assert all(other is found for other in [*others, recent])
    assert newer == found
    assert newer is not found


@pytest.fixture
def site_stand_in(quiet_site: Site) -> Iterator[StandIn]:
    with connected(quiet_site.control_plane.kubeconfig) as apiserver:
        made = StandIn(apiserver, quiet_site.namespace)
        made.wait()
        yield made


def test_a_new_start_of_the_operator_writes_nothing_and_knows_all(
    quiet_site: Site, site_stand_in: StandIn
) -> None:
    operator = quiet_site.started()
    quiet_site.applied(consumers={"action": "None"})
    site_stand_in.pod("web-1", BY_ENV)
    site_stand_in.runs("web-1")
    next_version(quiet_site.cluster, 2, TOLD)
    wait_for(quiet_site.cluster, 1, 1)
    operator.stop()
    before = quiet_site.cluster.get("managedsecrets", "db")

    operator.start()
    # Two seconds after its list of the pods the watch wakes all who ask.
    time.sleep(6)

    after = quiet_site.cluster.get("managedsecrets", "db")
    assert before is not None
    assert after is not None
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    (item,) = asked(operator, quiet_site.namespace)["items"]
    assert (item["kind"], item["name"], item["waiting"]) == ("Pod", "web-1", 1)


@pytest.fixture
def blind(quiet_control_plane: ControlPlane, quiet_site: Site) -> Iterator[OperatorProcess]:
    """An operator that may do all but read pods."""
    kubectl = quiet_control_plane.kubectl
    name = f"blind-{quiet_site.namespace}"
    kubectl("create", "serviceaccount", name, "-n", "keyturn-system")
    role = json.loads(kubectl("get", "clusterrole", "keyturn", "-o", "json").stdout)
    role["metadata"] = {"name": name}
    role["rules"] = [rule for rule in role["rules"] if "pods" not in rule["resources"]]
    kubectl("create", "-f", "-", input=json.dumps(role))
    account = f"--serviceaccount=keyturn-system:{name}"
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", account)
    kubectl("create", "rolebinding", name, "--role=keyturn", account, "-n", "keyturn-system")
    with OperatorProcess(
        quiet_control_plane,
        quiet_site.folder / "blind",
        kubeconfig=quiet_control_plane.kubeconfig_for_service_account("keyturn-system", name),
        environment={"KEYTURN_WATCH_NAMESPACES": quiet_site.namespace},
    ) as operator:
        yield operator
    kubectl("delete", "clusterrole,clusterrolebinding", name)


def test_without_the_right_it_is_unknown_and_with_it_again_it_is_known(
    quiet_site: Site, quiet_control_plane: ControlPlane, blind: OperatorProcess
) -> None:
    quiet_site.applied(consumers={"action": "None"})

    condition = quiet_site.cluster.condition("db", "ConsumersUpToDate")
    assert (condition["status"], condition["reason"]) == ("Unknown", "ConsumersUnknown")
    assert condition["message"] == (
        f"the operator may not list pods in {quiet_site.namespace}; apply rbac/"
    )
    denied = blind.keyturn("consumers", "db", "-n", quiet_site.namespace, check=False)
    assert denied.returncode == 5
    assert b"may not list pods" in denied.stderr

    reading = f"reading-{quiet_site.namespace}"
    quiet_control_plane.kubectl(
        *("create", "role", reading, "--verb=list,watch", "--resource=pods"),
        *("-n", quiet_site.namespace),
    )
    quiet_control_plane.kubectl(
        *("create", "rolebinding", reading, f"--role={reading}", "-n", quiet_site.namespace),
        f"--serviceaccount=keyturn-system:blind-{quiet_site.namespace}",
    )
    wait_for(quiet_site.cluster, 0, 0)
    assert moved(quiet_site.cluster) == ("True", "AllMoved")


@dataclass(frozen=True)
class AnswersLate(Fault):
    """The apiserver does what was asked, and its answer takes a while; `done` is when it did it."""

    seconds: float
    done: list[datetime] = field(default_factory=list)

    async def befall(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        answer = await forward()
        self.done.append(datetime.now(UTC))
        await asyncio.sleep(self.seconds)
        return answer


def test_a_version_counts_from_when_its_write_was_answered(
    quiet_site: Site, quiet_control_plane: ControlPlane, tmp_path: Path
) -> None:
    """A time from before would make pods look newer that read the version before."""
    with FaultyProxy(quiet_control_plane.url, quiet_control_plane.ca_file, tmp_path) as proxy:
        operator = OperatorProcess(
            quiet_control_plane,
            quiet_site.folder / "behind",
            kubeconfig=proxy.kubeconfig(token_of(quiet_control_plane)),
            environment={"KEYTURN_WATCH_NAMESPACES": quiet_site.namespace},
        )
        with operator:
            quiet_site.applied()
            late = AnswersLate(4)
            with proxy.failing(requests("write", path="/secrets/db"), late):
                quiet_site.cluster.apply("db", {"data": [LONGER]})
                eventually(lambda: shows(quiet_site.cluster, 2), what="version 2 is recorded")

    store = apsw.Connection(str(operator.data_dir / "store.sqlite3"))
    rows = store.execute("SELECT version, since FROM spells ORDER BY sequence").fetchall()
    store.close()
    (first_version, _), (second_version, since) = rows
    assert (first_version, second_version) == (1, 2)
    # The last write is that of the data; one before it may have handed the fields over.
    assert from_microseconds(int(str(since))) >= late.done[-1] + timedelta(seconds=3)
