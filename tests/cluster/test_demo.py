"""`keyturn demo`: what it shows, how it fails, and that it leaves nothing behind."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.demonstrating import ROOT, DemoProcess
from cluster.operating import eventually
from keyturn_controlplane.binaries import Binaries
from keyturn_controlplane.cluster import ControlPlane


@pytest.fixture(scope="module")
def whole(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> DemoProcess:
    """A demo that was left alone until its end."""
    demo = DemoProcess(binaries, tmp_path_factory.mktemp("demo"))
    exit_code = demo.finish()
    assert exit_code == 0, demo.seen
    return demo


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of one's own, to break something in."""
    checkout = tmp_path / "checkout"
    for name in ("controlplane", "crds", "rbac", "examples", "requirements"):
        shutil.copytree(ROOT / name, checkout / name)
    return checkout


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(r"orders-db +Opaque +1 +True +SecretSynced", id="the ManagedSecrets"),
        pytest.param(r"payments-api +- +- +False +AwaitingInput", id="one that waits"),
        pytest.param(r"orders-db +Opaque +DATABASE_URL, host, password, username", id="Secrets"),
        pytest.param(r"payments-api: version 1 is Current", id="a value that was put"),
        pytest.param(r"The same value as before", id="deleted and applied again"),
        pytest.param(r"Put right \d+ ms later", id="drift"),
        pytest.param(r"2 +Previous .* Put", id="the history"),
        pytest.param(r"Version 1 is Current again", id="a rollback"),
        pytest.param(r"the store's files +\d+ +0 +1", id="the search of the store"),
        pytest.param(r"ManagedSecrets, Events +\d+ +0 +1", id="the search of the resources"),
    ],
)
def test_the_demo_shows(whole: DemoProcess, line: str) -> None:
    assert re.search(line, whole.seen), whole.seen


def test_the_fingerprints_before_and_after_are_the_same(whole: DemoProcess) -> None:
    found = re.findall(r"password of orders-db: fingerprint (\w+)", whole.seen)

    assert len(found) == 2
    assert found[0] == found[1]


def test_without_a_terminal_there_are_no_control_codes(whole: DemoProcess) -> None:
    assert whole.control_codes == []


def test_the_demo_leaves_nothing_behind(whole: DemoProcess) -> None:
    assert whole.traces() == []


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("Starting the control plane", id="while the control plane starts"),
        pytest.param("Waiting until the operator is ready", id="while the operator starts"),
        pytest.param("kubectl patch", id="while a Secret is watched"),
    ],
)
def test_an_interrupt_leaves_nothing_behind(
    binaries: Binaries, tmp_path: Path, moment: str
) -> None:
    demo = DemoProcess(binaries, tmp_path)
    demo.expect(moment)

    demo.interrupt()

    assert demo.finish() == 130
    assert "Traceback" not in demo.seen
    assert demo.traces() == []


def test_a_kept_demo_can_be_used_and_stopped(binaries: Binaries, tmp_path: Path) -> None:
    demo = DemoProcess(binaries, tmp_path, "--keep")
    exit_code = demo.finish()
    stop = re.search(r"kill \d+ \d+", demo.seen)
    assert stop is not None, demo.seen
    exported = dict(re.findall(r"export (KUBECONFIG|KEYTURN_\w+)=(\S+)", demo.seen))
    environment = demo.environment | exported

    try:
        listed = subprocess.run(
            [binaries.kubectl, "get", "managedsecrets", "-n", "keyturn-demo"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        told = subprocess.run(
            [sys.executable, "-m", "keyturn", "history", "payments-api", "-n", "keyturn-demo"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        subprocess.run(["sh", "-c", stop[0]], check=True)

    assert exit_code == 0
    assert "SecretSynced" in listed.stdout, listed.stderr
    assert "Current" in told.stdout, told.stderr
    eventually(lambda: demo.traces() == [], what="the kept demo is removed")


def test_an_example_that_is_refused_is_named_with_the_reason(
    binaries: Binaries, tmp_path: Path, checkout: Path
) -> None:
    example = checkout / "examples" / "ssh-key.yaml"
    example.write_text(example.read_text().replace("ed25519", "dsa"))
    demo = DemoProcess(binaries, tmp_path, checkout=checkout)

    assert demo.finish() == 1
    error = demo.seen.partition("error: ")[2]
    assert 'failed at "3. The examples"' in error
    assert "deploy-key" in error
    assert '"dsa"' in error
    assert "the operator is at work" in error
    assert demo.traces() == []


def test_a_control_plane_that_does_not_start_is_named_with_its_log(
    binaries: Binaries, tmp_path: Path
) -> None:
    assets = tmp_path / "assets"
    shutil.copytree(binaries.kubectl.parent, assets, ignore=lambda *_: ["kube-apiserver"])
    broken = assets / "kube-apiserver"
    broken.write_text("#!/bin/sh\necho the disk is on fire\nexit 3\n")
    broken.chmod(0o755)
    demo = DemoProcess(binaries, tmp_path, environment={"KUBEBUILDER_ASSETS": str(assets)})

    assert demo.finish() == 1
    error = demo.seen.partition("error: ")[2]
    assert "kube-apiserver ended with 3" in error
    assert "the disk is on fire" in error
    assert demo.traces() == []


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        pytest.param(None, "no file", id="which is not there"),
        pytest.param("what is this", "cannot unmarshal", id="which is no kubeconfig"),
        pytest.param(
            '{"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c"}}],'
            ' "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}]}',
            "127.0.0.1:1",
            id="of a cluster that does not answer",
        ),
    ],
)
def test_a_wrong_kubeconfig_is_named(
    binaries: Binaries, tmp_path: Path, content: str | None, cause: str
) -> None:
    file = tmp_path / "kubeconfig"
    if content is not None:
        file.write_text(content)
    demo = DemoProcess(binaries, tmp_path, environment={"KEYTURN_KUBECONFIG": str(file)})

    assert demo.finish() == 1
    assert "KEYTURN_KUBECONFIG" in demo.seen
    assert str(file) in demo.seen
    assert cause in demo.seen
    assert demo.traces() == []


def test_a_cluster_that_has_keyturn_is_refused_and_left_alone(
    binaries: Binaries, tmp_path: Path, control_plane: ControlPlane
) -> None:
    kubeconfig = str(control_plane.kubeconfig)
    demo = DemoProcess(binaries, tmp_path, environment={"KEYTURN_KUBECONFIG": kubeconfig})

    assert demo.finish() == 1
    assert "customresourcedefinition.apiextensions.k8s.io/managedsecrets.keyturn.dev" in demo.seen
    control_plane.kubectl("get", "crd", "managedsecrets.keyturn.dev")
    control_plane.kubectl("get", "serviceaccount", "keyturn", "-n", "keyturn-system")


def test_another_cluster_is_named_first_and_left_as_it_was(
    binaries: Binaries, tmp_path: Path
) -> None:
    everything = "namespaces,crds,clusterroles,clusterrolebindings,validatingadmissionpolicies"
    with ControlPlane(binaries) as other:
        before = other.kubectl("get", everything, "-o", "name").stdout
        kubeconfig = str(other.kubeconfig)
        demo = DemoProcess(binaries, tmp_path, environment={"KEYTURN_KUBECONFIG": kubeconfig})

        assert demo.finish() == 0, demo.seen
        assert demo.seen.index(other.url) < demo.seen.index("$ ")
        assert other.kubectl("get", everything, "-o", "name").stdout == before
    assert demo.traces() == []


def test_a_managed_secret_of_somebody_else_keeps_the_crd(
    binaries: Binaries, tmp_path: Path
) -> None:
    theirs = """{"apiVersion": "keyturn.dev/v1alpha1", "kind": "ManagedSecret",
        "metadata": {"name": "theirs"}, "spec": {"data": [{"key": "note", "value": "kept"}]}}"""
    with ControlPlane(binaries) as other:
        kubeconfig = str(other.kubeconfig)
        demo = DemoProcess(binaries, tmp_path, environment={"KEYTURN_KUBECONFIG": kubeconfig})
        demo.expect("3. The examples")
        other.kubectl("apply", "--server-side", "-n", "default", "-f", "-", input=theirs)

        assert demo.finish() == 0, demo.seen
        assert "Somebody else made ManagedSecrets meanwhile" in demo.seen
        other.kubectl("get", "managedsecret", "theirs", "-n", "default")


def test_outside_of_a_checkout_the_demo_says_where_it_runs(
    binaries: Binaries, tmp_path: Path
) -> None:
    demo = DemoProcess(binaries, tmp_path, checkout=tmp_path)

    assert demo.finish() == 3
    assert "run make demo there" in demo.seen
