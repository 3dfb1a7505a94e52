"""docs/gitops.md: health as Argo CD and Flux see it, differences, and what a prune costs.

Argo CD's health check runs in the Lua that it has, with the libraries that it opens; Flux's is
computed by the library that Flux uses. Both get what a real operator wrote.
"""

import base64
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary import Canary
from cluster.operating import Cluster, OperatorProcess, Resource, eventually
from documents import document
from go_programs import build_program
from keyturn.kube.restarts import FIELD_MANAGER
from keyturn_controlplane.cluster import ControlPlane

PAGE = document("docs/gitops.md")
HEALTH = "resource.customizations.health.keyturn.dev_ManagedSecret"
PASSWORD = {"key": "password", "generate": {"password": {"length": 24}}}
MARK = "keyturn.dev/version.orders-db"
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}, "annotations": {"team": "shop"}},
            "spec": {"containers": [{"name": "web", "image": "localhost/web:1"}]},
        },
    },
}


@pytest.fixture(scope="module")
def kstatus() -> Path:
    return build_program("kstatus")


def flux(kstatus: Path, resources: Sequence[Resource]) -> list[str]:
    done = subprocess.run(
        [kstatus], input=json.dumps(resources), capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def argo_cd(resource: Resource) -> tuple[str, str]:
    """Run the health check of the page on a resource; return health and message."""
    (settings,) = [item for item in PAGE.manifests() if item["kind"] == "ConfigMap"]
    # Argo CD opens the base, table and package libraries, and a few harmless functions of os.
    closed = "string, math, io, debug, coroutine, os = nil"
    program = (
        f"local write = io.write; {closed}\nobj = {lua(resource)}\n"
        f"local health = (function()\n{settings['data'][HEALTH]}\nend)()\n"
        "write(health.status, '\\n', health.message)"
    )
    done = subprocess.run(
        ["lua5.1", "-"], input=program, capture_output=True, text=True, check=True, timeout=10
    )
    status, _, message = done.stdout.partition("\n")
    return status, message


def lua(value: Any) -> str:
    """Write JSON as Lua does."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{lua(k)}] = {lua(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(lua, value)) + "}"
    if isinstance(value, str):
        return '"' + "".join(f"\\{byte:03}" for byte in value.encode()) + '"'
    return "nil" if value is None else json.dumps(value)


def seen(cluster: Cluster, name: str, reason: str) -> Resource:
    cluster.wait_reason(name, reason)
    resource = cluster.get("managedsecrets", name)
    assert resource is not None
    return resource


def test_health_is_what_the_operator_reports(
    shared_operator: OperatorProcess, cluster: Cluster, kstatus: Path
) -> None:
    cluster.apply("ready", {"data": [{"key": "note", "value": "no secret"}]})
    cluster.apply("waits", {"data": [{"key": "token", "input": {}}]})
    source = {"configMapKeyRef": {"name": "none", "key": "host"}}
    cluster.apply("broken", {"data": [{"key": "host", "valueFrom": source}]})

    ready = seen(cluster, "ready", "SecretSynced")
    waits = seen(cluster, "waits", "AwaitingInput")
    broken = seen(cluster, "broken", "SourceNotFound")
    unseen = {field: value for field, value in ready.items() if field != "status"}
    generation = ready["metadata"]["generation"] + 1
    edited = {**ready, "metadata": {**ready["metadata"], "generation": generation}}

    assert [argo_cd(each)[0] for each in (ready, waits, broken, unseen, edited)] == [
        "Healthy",
        "Suspended",
        "Degraded",
        "Progressing",
        "Progressing",
    ]
    assert argo_cd(broken)[1].startswith("SourceNotFound: ")
    assert flux(kstatus, [ready, waits, broken, edited]) == [
        "Current",
        "InProgress",
        "InProgress",
        "InProgress",
    ]


def test_a_prune_and_a_new_apply_give_the_same_values_back(
    shared_operator: OperatorProcess, cluster: Cluster, canary: Canary
) -> None:
    cluster.apply("orders-db", {"data": [PASSWORD]})
    seen(cluster, "orders-db", "SecretSynced")
    before = cluster.data("orders-db")
    assert before is not None
    canary.register(base64.b64decode(before["password"]))

    cluster.delete("managedsecrets", "orders-db")
    eventually(lambda: cluster.data("orders-db") is None, what="the Secret went along")
    cluster.apply("orders-db", {"data": [PASSWORD]})

    seen(cluster, "orders-db", "SecretSynced")
    assert cluster.data("orders-db") == before


def test_nobody_sees_a_difference_between_what_was_written_and_what_is_stored(
    cluster: Cluster,
) -> None:
    written = {
        "data": [PASSWORD],
        "rotation": {"schedule": "0 3 * * 6"},
        "targets": [{"name": "a"}],
    }

    stored = cluster.apply("orders-db", written)

    assert stored["spec"] == written


@pytest.mark.parametrize(
    "apply",
    [
        ("apply", "-f", "-"),
        ("apply", "--server-side", "--force-conflicts", "--field-manager=argocd", "-f", "-"),
    ],
    ids=["by the client", "by the server"],
)
def test_who_applies_a_workload_again_leaves_the_restart_alone(
    control_plane: ControlPlane, namespace: str, apply: tuple[str, ...]
) -> None:
    here, manifest = ("-n", namespace), json.dumps(DEPLOYMENT)
    control_plane.kubectl(*apply, *here, input=manifest)
    mark = {"spec": {"template": {"metadata": {"annotations": {MARK: "7"}}}}}
    patch = ("--type=merge", f"--patch={json.dumps(mark)}", f"--field-manager={FIELD_MANAGER}")
    control_plane.kubectl("patch", "deployment", "web", *here, *patch)

    control_plane.kubectl(*apply, *here, input=manifest)

    shown = control_plane.kubectl("get", "deployment", "web", *here, "-o", "json").stdout
    found = json.loads(shown)["spec"]["template"]["metadata"]["annotations"]
    assert found == {"team": "shop", MARK: "7"}


def test_what_argo_cd_is_told_to_ignore_is_what_the_operator_writes() -> None:
    (part,) = [block for block in PAGE.blocks("yaml") if "ignoreDifferences" in block]

    (ignored,) = yaml.safe_load(part)["spec"]["ignoreDifferences"]

    assert ignored["managedFieldsManagers"] == [FIELD_MANAGER]
