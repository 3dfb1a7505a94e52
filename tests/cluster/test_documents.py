"""What the documents tell people to do is tried out on a real apiserver."""

import base64
import os
import subprocess
from pathlib import Path
from typing import Any

import pykube
import pytest

from apiserver import Apiserver
from canary import Canary
from cluster.operating import Cluster, OperatorProcess, eventually
from documents import ROOT, Document, document, documents
from keyturn.crypto.local_key import LocalKey, to_text
from keyturn_controlplane.binaries import Binaries
from keyturn_controlplane.cluster import ControlPlane

OPERATING = document("docs/operating.md")
PASSWORD = {"key": "password", "generate": {"password": {"length": 24}}}

# Of GitOps tools, which are not in the cluster.
FOREIGN = (".toolkit.fluxcd.io/", "argoproj.io/")

MANIFESTS = [
    (page, manifest)
    for page in documents()
    for manifest in page.manifests()
    if not any(group in manifest["apiVersion"] for group in FOREIGN)
]


@pytest.mark.parametrize(
    "manifest",
    [manifest for _, manifest in MANIFESTS],
    ids=[f"{page}:{manifest['metadata']['name']}" for page, manifest in MANIFESTS],
)
def test_every_resource_of_the_documents_is_taken_by_the_apiserver(
    pykube_api: pykube.HTTPClient, namespace: str, manifest: dict[str, Any]
) -> None:
    root = "api" if manifest["apiVersion"] == "v1" else "apis"
    is_of_cluster = manifest["kind"].startswith("Cluster")
    where = "" if is_of_cluster else f"/namespaces/{namespace}"
    path = f"/{root}/{manifest['apiVersion']}{where}/{manifest['kind'].lower()}s"
    metadata = {**manifest["metadata"], **({} if is_of_cluster else {"namespace": namespace})}

    answer = Apiserver(pykube_api).request(
        "POST", path, {**manifest, "metadata": metadata}, dryRun="All", fieldValidation="Strict"
    )

    assert answer.is_ok, answer.message


def script(page: Document, word: str) -> str:
    """Find the one block of shell in which a word stands."""
    (found,) = [block for block in page.blocks("sh") if word in block]
    return found


def test_the_exported_key_is_restored_by_the_script(
    control_plane: ControlPlane, binaries: Binaries, cluster: Cluster, tmp_path: Path
) -> None:
    key = LocalKey.generate()
    (tmp_path / "keyturn-default-key.txt").write_bytes(bytes(to_text(key).reveal()) + b"\n")
    restore = script(OPERATING, "kubectl create").replace("keyturn-system", cluster.namespace)

    subprocess.run(
        ["/bin/sh", "-ec", restore],
        cwd=tmp_path,
        env=environment(control_plane, binaries),
        check=True,
        timeout=60,
    )

    data = cluster.data("keyturn-default-key")
    assert data is not None
    assert base64.b64decode(data["key-id"]).decode() == key.id
    assert base64.b64decode(data["key"]) == bytes(key.material.reveal())


def environment(control_plane: ControlPlane, binaries: Binaries) -> dict[str, str]:
    return {
        "PATH": f"{binaries.kubectl.parent}:{os.environ['PATH']}",
        "HOME": "/nonexistent",
        "KUBECONFIG": str(control_plane.kubeconfig),
    }


def test_an_uninstall_can_keep_the_secrets(
    control_plane: ControlPlane, shared_operator: OperatorProcess, cluster: Cluster, canary: Canary
) -> None:
    cluster.apply("db", {"data": [PASSWORD]})
    before = registered(cluster, canary)
    orphan = script(OPERATING, "--cascade=orphan").splitlines()[0]

    control_plane.kubectl(
        *orphan.replace("--all-namespaces", f"-n {cluster.namespace}").split()[1:]
    )

    eventually(lambda: cluster.get("managedsecrets", "db") is None, what="the resource is gone")
    assert cluster.data("db") == before
    secret = cluster.get("secrets", "db")
    assert secret is not None
    assert "ownerReferences" not in secret["metadata"]


@pytest.mark.parametrize("drift", ["Correct", "Report", "Ignore"])
def test_a_secret_that_is_deleted_is_made_again_whatever_its_drift_policy(
    shared_operator: OperatorProcess, cluster: Cluster, canary: Canary, drift: str
) -> None:
    cluster.apply("db", {"data": [PASSWORD], "targets": [{"name": "db", "drift": drift}]})
    before = registered(cluster, canary)

    cluster.delete("secrets", "db")

    eventually(lambda: cluster.data("db") == before, what="the Secret is back")


def test_a_put_key_and_a_rollback_are_as_the_concepts_say(
    shared_operator: OperatorProcess, cluster: Cluster, canary: Canary
) -> None:
    cluster.apply("db", {"data": [PASSWORD]})
    first = registered(cluster, canary)
    value = canary.make(24)
    options = ("-n", cluster.namespace)
    shared_operator.keyturn("put", "db", "--key", "password", *options, stdin=value)
    eventually(lambda: cluster.data("db") != first, what="the put value is projected")

    shared_operator.keyturn("rollback", "db", "--to", "1", *options)

    eventually(lambda: cluster.data("db") == first, what="version 1 is Current again")
    cluster.apply("db", {"data": [PASSWORD], "description": "edited"})
    cluster.wait_ready("db")
    assert cluster.data("db") == first


def test_an_annotation_has_a_resource_looked_at(
    shared_operator: OperatorProcess, cluster: Cluster, canary: Canary
) -> None:
    cluster.apply(
        "db", {"data": [PASSWORD], "targets": [{"name": "app", "creationPolicy": "Merge"}]}
    )
    cluster.wait_reason("db", "SecretMissing")
    allow = {"keyturn.dev/allow": "db"}
    cluster.create("secrets", {"metadata": {"name": "app", "annotations": allow}})

    cluster.patch("managedsecrets", "db", {"metadata": {"annotations": {"look-at": "now"}}})

    cluster.wait_ready("db")
    assert "password" in (cluster.data("app") or {})


def registered(cluster: Cluster, canary: Canary) -> dict[str, str]:
    """Wait for the ManagedSecret db and return its projected data, each value a canary."""
    cluster.wait_ready("db")
    data = cluster.data("db")
    assert data is not None
    for value in data.values():
        canary.register(base64.b64decode(value))
    return data


def test_the_install_of_the_page_is_taken_by_the_apiserver(control_plane: ControlPlane) -> None:
    install = script(OPERATING, "--server-side").split()[1:]
    paths = [str(ROOT / word) if word.endswith("/") else word for word in install]

    done = control_plane.kubectl(*paths, "--dry-run=server", "--force-conflicts")

    assert "serviceaccount/keyturn serverside-applied (server dry run)" in done.stdout
