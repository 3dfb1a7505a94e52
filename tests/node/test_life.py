"""A node begins and ends with its control plane, and nothing of it is left on this machine."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.operating import eventually
from keyturn_controlplane import sandbox
from keyturn_controlplane.binaries import Binaries, NodeBinaries
from keyturn_controlplane.build import MODULE
from keyturn_controlplane.cluster import ControlPlane
from keyturn_controlplane.errors import CommandFailedError, ProcessFailedError
from node.images import busybox_image
from node.pods import Pods, a_pod

ENDS = [
    pytest.param(signal.SIGINT, 130, id="^C"),
    pytest.param(signal.SIGKILL, -9, id="kill -9"),
]


@pytest.mark.parametrize(("number", "exit_code"), ENDS)
def test_however_it_ends_nothing_is_left(
    binaries: Binaries,
    node_binaries: NodeBinaries,
    tmp_path: Path,
    number: signal.Signals,
    exit_code: int,
) -> None:
    with running(binaries, node_binaries, tmp_path) as run:
        folder = next(tmp_path.glob("keyturn-control-plane-*"))
        cgroup = json.loads((folder / "node" / "plan.json").read_text())["cgroup"]
        pause = ("/bin/busybox", "sleep", "300")
        pod = a_pod("left", pause, image="localhost/pause:1")
        subprocess.run(
            [binaries.kubectl, "--kubeconfig", tmp_path / "config", "apply", "-f", "-"],
            input=json.dumps(pod).encode(),
            capture_output=True,
            check=True,
        )
        eventually(lambda: len(containers(folder)) == 2, what="a pod and its pause run")

        os.killpg(run.pid, number)

        assert run.wait(60) == exit_code
        eventually(lambda: not folder.exists(), what="the folder is gone")
        assert containers(folder) == []
        assert not any((root / cgroup).exists() for root in sandbox._cgroup_roots())
        assert str(tmp_path) not in Path("/proc/self/mounts").read_text()


def test_two_nodes_run_side_by_side(
    node: ControlPlane, binaries: Binaries, node_binaries: NodeBinaries, tmp_path: Path
) -> None:
    archive = busybox_image().write(tmp_path / "busybox.tar")
    with ControlPlane(binaries, with_node=node_binaries) as other:
        other.node.import_image(archive)
        sites = [Pods(node, "default"), Pods(other, "default")]
        for pods in sites:
            pods.start(a_pod("same"))

        assert node.node.address != other.node.address
        uids = {pods.get("same")["metadata"]["uid"] for pods in sites}
        assert len(uids) == 2
        assert len(containers(other.folder)) == 2
        sites[0].delete("same")
        assert sites[1].exec("same", "echo", "still here") == "still here\n"


def test_a_node_that_lost_its_runtime_is_told(
    binaries: Binaries, node_binaries: NodeBinaries
) -> None:
    with ControlPlane(binaries, with_node=node_binaries) as control_plane:
        control_plane.check()
        (runtime,) = processes_named("containerd", control_plane.folder)

        os.kill(runtime, signal.SIGKILL)

        with pytest.raises(ProcessFailedError, match="containerd ended with -9"):
            eventually(lambda: has_failed(control_plane), what="it is told")


def test_each_part_has_a_log_which_the_search_for_values_reads(node: ControlPlane) -> None:
    assert {"kube-scheduler", "kubelet", "containerd", "node"} < set(node.logs)
    assert "keyturn-node" in node.log_file("kubelet").read_text()
    assert all(node.log_file(name).exists() for name in node.logs)


def test_what_is_no_image_is_refused(node: ControlPlane, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    archive.write_text("no tar")

    with pytest.raises(CommandFailedError, match="ctr images import"):
        node.node.import_image(archive)


def test_the_kubelet_is_a_node_and_may_read_no_other_secret(
    node: ControlPlane, namespace: str
) -> None:
    """The Node authorizer knows which Secrets the pods of a node use."""
    node.kubectl("create", "secret", "generic", "other", "-n", namespace)
    kubelet = node.folder / "node" / "kubelet.kubeconfig"

    said = node.kubectl(
        "get", "secret", "other", "-n", namespace, kubeconfig_file=kubelet, check=False
    )

    assert "no relationship found between node 'keyturn-node' and this object" in said.stderr


def has_failed(control_plane: ControlPlane) -> bool:
    control_plane.check()
    return False


@contextmanager
def running(
    binaries: Binaries, node_binaries: NodeBinaries, folder: Path
) -> Iterator[subprocess.Popen[str]]:
    """Run the command line in a group of its own, as a terminal does, until it is ready."""
    with subprocess.Popen(
        [*command(), "--kubeconfig", folder / "config"],
        env=environment(binaries, node_binaries, folder),
        stdout=subprocess.PIPE,
        process_group=0,
        text=True,
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline().startswith("Ready after")
        try:
            yield run
        finally:
            run.kill()


def command() -> list[str | Path]:
    return [sys.executable, "-m", "keyturn_controlplane", "run", "--with-node"]


def environment(binaries: Binaries, node_binaries: NodeBinaries, folder: Path) -> dict[str, str]:
    """Return an environment whose binaries are those that are here already."""
    assets = folder / "assets"
    assets.mkdir()
    for group in (binaries, node_binaries):
        for field in group.__slots__:
            binary: Path = getattr(group, field)
            (assets / binary.name).symlink_to(binary)
    return {
        "PYTHONPATH": str(MODULE),
        "PATH": os.defpath,
        "KUBEBUILDER_ASSETS": str(assets),
        "TMPDIR": str(folder),
    }


def processes_named(name: str, folder: Path) -> list[int]:
    """Return the processes of a program that have a folder in their arguments."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            program, *arguments = (entry / "cmdline").read_text().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if Path(program).name == name and any(str(folder) in each for each in arguments):
            found.append(int(entry.name))
    return found


def containers(folder: Path) -> list[int]:
    """Return the first processes of the containers of a node: those that its shims started."""
    nodes = processes_named("containerd", folder)
    return [
        int(child)
        for node in nodes
        for init in [_parent(node)]
        for shim in _children(init)
        if shim not in nodes
        for child in _children(shim)
    ]


def _parent(process_id: int) -> int:
    return int(Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[1])


def _children(process_id: int) -> list[int]:
    tasks = Path(f"/proc/{process_id}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]
