"""docs/install.md and docs/upgrade.md are followed from top to end, by Helm and by kubectl alone.

No pod runs here: a stand-in says that it does, and the operator is a process beside the cluster,
with the rights of its ServiceAccount.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from cluster.operating import OperatorProcess, eventually
from documents import ROOT, Document, document
from keyturn_controlplane.binaries import Binaries
from keyturn_controlplane.cluster import ControlPlane
from keyturn_controlplane.components import CONTROLLERS
from kubelet_stand_in import pods_become_ready

PAGE, UPGRADE = document("docs/install.md"), document("docs/upgrade.md")
NAMESPACE = "keyturn-system"
OURS = (
    "crd,clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding"
)
CLASS = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: example.com/none
volumeBindingMode: WaitForFirstConsumer
"""

Follow = Callable[..., subprocess.CompletedProcess[str]]


def script(word: str, page: Document = PAGE) -> str:
    """Find the one block of shell in which a word stands."""
    (found,) = [block for block in page.blocks("sh") if word in block]
    return found


@pytest.fixture(scope="module")
def control_plane(binaries: Binaries) -> Iterator[ControlPlane]:
    """A cluster without anything of Keyturn, with a default StorageClass."""
    # The namespace goes only when its claim goes.
    controllers = (*CONTROLLERS, "persistentvolumeclaim-protection-controller")
    with ControlPlane(binaries, controllers=controllers) as control_plane:
        control_plane.kubectl("apply", "-f", "-", input=CLASS)
        yield control_plane


@pytest.fixture
def follow(
    control_plane: ControlPlane,
    binaries: Binaries,
    helm_binary: Path,
    tmp_path: Path,
) -> Follow:
    """Run lines of the page as a person would, in the checkout."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "helm").symlink_to(helm_binary)
    (programs / "kubectl").symlink_to(binaries.kubectl)
    environ = {
        "PATH": f"{programs}:{os.defpath}",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(control_plane.kubeconfig),
    }

    def run(
        lines: str, *, folder: Path = ROOT, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        argv = ["timeout", "120", "/bin/sh", "-exc", lines]
        done = subprocess.run(
            argv, cwd=folder, env=environ, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done

    return run


def names(control_plane: ControlPlane, *what: str) -> set[str]:
    return set(control_plane.kubectl("get", *what, "-o", "name").stdout.split())


def ours(control_plane: ControlPlane) -> set[str]:
    """What there is of Keyturn in the cluster, outside of namespaces, and its namespaces."""
    found = names(control_plane, f"{OURS},namespace")
    return {name for name in found if "keyturn" in name}


def unseen(control_plane: ControlPlane) -> set[str]:
    """Names of the table of what is where that nothing in the cluster has."""
    kinds = "sts,svc,sa,secret,pvc,networkpolicy,pdb"
    found = ours(control_plane) | names(control_plane, kinds, "-n", NAMESPACE)
    there = {re.split("[/.]", name.split("/", 1)[1])[0] for name in found}
    told = re.findall(r"`([-a-z0-9]+)`", "".join(row[1] for row in PAGE.rows("## What is where")))
    return set(told) - there


def test_helm_installs_makes_a_secret_and_leaves_it(
    control_plane: ControlPlane, follow: Follow, tmp_path: Path
) -> None:
    follow(script("helm install"))
    follow(script("pod-security"))
    with pods_become_ready(control_plane, NAMESPACE):
        follow(script("rollout status"))
        follow(script("helm upgrade", UPGRADE))
        follow(script("helm rollback", UPGRADE))

    with OperatorProcess(control_plane, tmp_path / "operator"):
        made = follow(script("kubectl create namespace shop"))
        bind, _, curious = script("--as=author").partition("\n")
        follow(bind)
        eventually(
            lambda: "you may not get the Secret orders-db" in follow(curious, check=False).stderr,
            what="the policies are enforced",
        )
    follow("kubectl delete rolebinding author --namespace shop")
    before = follow("kubectl get secret orders-db -n shop -o yaml").stdout
    assert "secret/orders-db" in made.stdout
    assert unseen(control_plane) == set()

    follow(script("helm uninstall"))

    assert follow("kubectl get secret orders-db -n shop -o yaml").stdout == before
    assert names(control_plane, "managedsecrets", "-A") == {"managedsecret.keyturn.dev/orders-db"}
    assert names(control_plane, "secret", "-n", NAMESPACE) == {"secret/keyturn-default-key"}
    assert names(control_plane, "pvc", "-n", NAMESPACE) == {"persistentvolumeclaim/data-keyturn-0"}
    assert not any("clusterrole" in name for name in ours(control_plane))

    follow(script("--cascade=orphan"))

    eventually(lambda: ours(control_plane) == set(), what="nothing of Keyturn is left")
    kept = yaml.safe_load(follow("kubectl get secret orders-db -n shop -o yaml").stdout)
    assert kept["data"] == yaml.safe_load(before)["data"]
    assert "ownerReferences" not in kept["metadata"]


def test_kubectl_alone_installs_by_an_overlay_and_takes_it_away(
    control_plane: ControlPlane, follow: Follow, tmp_path: Path
) -> None:
    (overlay,) = [block for block in PAGE.blocks("yaml") if "kustomization" in block]
    shutil.copytree(ROOT / "deploy", tmp_path / "keyturn" / "deploy")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kustomization.yaml").write_text(overlay)

    follow(script("-k ."), folder=tmp_path / "mine")

    path = "{.spec.template.spec.containers[0].image}"
    image = follow(f"kubectl get sts keyturn -n {NAMESPACE} -o jsonpath='{path}'").stdout
    assert image.startswith("registry.example/keyturn:")

    follow(script("selector="))

    assert names(control_plane, "sts,svc,sa,role,rolebinding,pdb", "-n", NAMESPACE) == {
        "serviceaccount/default"
    }
    left = ours(control_plane)
    assert not any("clusterrole" in name for name in left)
    assert "customresourcedefinition.apiextensions.k8s.io/managedsecrets.keyturn.dev" in left
    assert "namespace/keyturn-system" in left
    follow(script("--cascade=orphan"))
    eventually(lambda: ours(control_plane) == set(), what="nothing of Keyturn is left")
