"""`make kind`, on to the operator that is ready.

No engine can run here: stand-ins answer for it and for kind, and the cluster is a control plane of
ours without a node. The helm, the chart and the apiserver are real.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_stand_in import TAG, StandIn
from keyturn import __version__
from keyturn_controlplane.binaries import Binaries
from keyturn_controlplane.build import MODULE, cache_folder
from keyturn_controlplane.cluster import ControlPlane
from kubelet_stand_in import pods_become_ready

NAMESPACE = "keyturn-system"
CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": "standard",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": "example.com/none",
    "volumeBindingMode": "WaitForFirstConsumer",
}
NOWHERE = {
    "current-context": "c",
    "contexts": [{"name": "c", "context": {"cluster": "c"}}],
    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
}


class MakeKind:
    """What `make kind` runs, with a cache of its own that has the binaries of the machine's."""

    def __init__(self, folder: Path, stand_in: StandIn) -> None:
        cache = folder / "cache" / "keyturn"
        cache.mkdir(parents=True)
        (cache / "control-plane").symlink_to(cache_folder(os.environ))
        self.kubeconfig = cache / "kind" / "kubeconfig"
        go = shutil.which("go")
        path = [stand_in.path, *([str(Path(go).parent)] if go else [])]
        self._environ = {
            "PATH": os.pathsep.join(path),
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PYTHONPATH": str(MODULE),
            "KUBECONFIG": "/nonexistent/kubeconfig/of/the/user",
            "HELM_NAMESPACE": "somewhere-else",
        }

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "keyturn_controlplane.kind"],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self) -> tuple[int, str]:
        with self.start() as process:
            said, _ = process.communicate(timeout=240)
        return process.returncode, said


@pytest.fixture(scope="module")
def plane(binaries: Binaries) -> Iterator[ControlPlane]:
    with ControlPlane(binaries) as plane:
        plane.kubectl("apply", "-f", "-", input=json.dumps(CLASS))
        yield plane


@pytest.fixture
def stand_in(binaries: Binaries, plane: ControlPlane, tmp_path: Path) -> StandIn:
    stand_in = StandIn(tmp_path / "stand-in", "docker", "kind", kubeconfig=plane.kubeconfig)
    (stand_in.bin / "kubectl").symlink_to(binaries.kubectl)
    return stand_in


@pytest.fixture
def make_kind(stand_in: StandIn, tmp_path: Path, helm_binary: Path) -> MakeKind:
    return MakeKind(tmp_path, stand_in)


def test_it_installs_is_stopped_goes_on_and_upgrades(
    plane: ControlPlane, stand_in: StandIn, make_kind: MakeKind
) -> None:
    with make_kind.start() as stopped:
        wait_for_the_stateful_set(plane)
        os.killpg(stopped.pid, signal.SIGINT)
        said, _ = stopped.communicate(timeout=60)
    assert stopped.returncode == 130
    assert "Run make kind again" in said
    assert stand_in.clusters == ["keyturn"]

    with pods_become_ready(plane, NAMESPACE):
        first = make_kind.run()
        second = make_kind.run()

    for exit_code, said in (first, second):
        assert exit_code == 0, said
        assert "The cluster keyturn of kind is there: it is used" in said
        assert f"export KUBECONFIG={make_kind.kubeconfig}" in said
    assert make_kind.kubeconfig.stat().st_mode & 0o777 == 0o600
    path = "{.spec.template.spec.containers[0].image}"
    image = plane.kubectl("get", "sts", "keyturn", "-n", NAMESPACE, f"-ojsonpath={path}").stdout
    assert image == f"localhost/keyturn:{TAG}"
    assert len(stand_in.told("kind", "create")) == 1
    assert stand_in.told("kind", "delete") == []


def wait_for_the_stateful_set(plane: ControlPlane) -> None:
    deadline = time.monotonic() + 180
    while "keyturn" not in plane.kubectl("get", "sts", "-A", "-o", "name").stdout:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_the_image_of_the_checkout_is_built_and_brought_to_the_node(
    stand_in: StandIn, make_kind: MakeKind
) -> None:
    stand_in.wish("kind load", error="as far as this")

    make_kind.run()

    (built,) = stand_in.told("docker", "build")
    assert built[2:4] == ["--file", "image/Dockerfile"]
    assert f"VERSION={__version__}" in built
    (saved,) = stand_in.told("docker", "save")
    (loaded,) = stand_in.told("kind", "load")
    assert saved[-1] == f"localhost/keyturn:{TAG}"
    assert loaded[2:5:2] == ["image-archive", "--name"]
    assert loaded[3] == saved[3]
    assert not Path(saved[3]).exists()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("docker build", "Building the image failed with 1:"),
        ("docker save", "docker save --output"),
        ("kind load", "Loading the image into the cluster keyturn failed with 1:"),
    ],
)
def test_a_step_that_fails_is_named_with_what_was_said(
    stand_in: StandIn, make_kind: MakeKind, command: str, told: str
) -> None:
    stand_in.wish(command, error="the disk is on fire")

    exit_code, said = make_kind.run()

    assert exit_code == 1
    assert told in said.partition("error: ")[2]
    assert "the disk is on fire" in said


def test_a_cluster_that_does_not_answer_is_left_alone_and_the_way_out_is_told(
    stand_in: StandIn, make_kind: MakeKind
) -> None:
    stand_in.has_cluster("keyturn")
    stand_in.wish("kind get kubeconfig", instead=json.dumps(NOWHERE))

    exit_code, said = make_kind.run()

    assert exit_code == 1
    assert re.search(r"remove it by\n.*kind delete cluster --name keyturn", said), said
    assert stand_in.clusters == ["keyturn"]


def test_without_an_engine_it_says_what_works(stand_in: StandIn, make_kind: MakeKind) -> None:
    stand_in.wish("docker info", error="Cannot connect to the Docker daemon")

    exit_code, said = make_kind.run()

    assert exit_code == 1
    assert "make demo" in said
    assert stand_in.told("kind") == []
