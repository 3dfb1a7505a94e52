"""A real node for a control plane: a scheduler, a kubelet and containerd."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from keyturn_controlplane import kubeconfig, node_components, pod_network, sandbox
from keyturn_controlplane.binaries import NodeBinaries
from keyturn_controlplane.certificates import NODE_NAME, KeyPair
from keyturn_controlplane.components import GO_RUNTIME
from keyturn_controlplane.endpoints import Endpoint
from keyturn_controlplane.errors import CommandFailedError, ControlPlaneError
from keyturn_controlplane.files import write_private
from keyturn_controlplane.images import pause_image
from keyturn_controlplane.processes import Processes

SCHEDULER, NODE, KUBELET, CONTAINERD = "kube-scheduler", "node", "kubelet", "containerd"

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NODE_PATH = f"/api/v1/nodes/{NODE_NAME}"


class Node:
    """The one node of a control plane, whose pods run on this machine.

    Pods reach the apiserver, and whatever listens on `address`; this machine reaches them by their
    addresses. They do not reach each other, unless they use the host's network. There is no
    kube-proxy and no DNS, and NetworkPolicies do nothing. All of it ends with the keeper of
    `processes`.

    Args:
        binaries: What to run.
        processes: Who runs it.
        layout: Where it is.
        apiserver: The apiserver, as the administrator reaches it.
    """

    def __init__(
        self,
        binaries: NodeBinaries,
        processes: Processes,
        layout: node_components.NodeLayout,
        apiserver: Endpoint,
    ) -> None:
        self._binaries = binaries
        self._processes = processes
        self._layout = layout
        self._apiserver = apiserver

    @property
    def name(self) -> str:
        return NODE_NAME

    @property
    def address(self) -> str:
        """The address of the node, on loopback: servers that listen there are reached by pods."""
        return self._layout.address

    @property
    def cgroup(self) -> str:
        """The cgroup, in each hierarchy, that holds every pod of the node."""
        return self._layout.cgroup

    def start(self) -> None:
        """Start all parts and wait until pods can be scheduled.

        Raises:
            ControlPlaneError: This machine or this user cannot run a node.
        """
        self._register()
        self._start_scheduler()
        self._start_sandbox()
        self._processes.wait_for(NODE, self._serves_images, tail_of=CONTAINERD)
        archive = pause_image(node_components.PAUSE_IMAGE).write(self._layout.folder / "pause.tar")
        self.import_image(archive)
        self._processes.wait_for(NODE, self._is_ready, tail_of=KUBELET)

    def check(self) -> None:
        """Pass if every part runs; see `ControlPlane.check`."""
        for name in (SCHEDULER, NODE):
            self._processes.check(name)

    def import_image(self, archive: Path) -> None:
        """Make the images of an archive, of the OCI or of Docker, known under their own names.

        Raises:
            CommandFailedError: containerd does not take it.
        """
        self._ctr("images", "import", str(archive.absolute()))

    def images(self) -> list[str]:
        """Return the names of the images that pods of this node can use."""
        return self._ctr("images", "list", "--quiet").split()

    def _ctr(self, *arguments: str) -> str:
        # By way of the working folder: the whole path may be longer than the kernel takes.
        address = ["--address", f"/proc/self/cwd/{node_components.SOCKET}"]
        completed = subprocess.run(
            [str(self._binaries.ctr), *address, "--namespace", "k8s.io", *arguments],
            cwd=self._layout.run,
            env={"PATH": os.defpath},
            capture_output=True,
            text=True,
            check=False,
        )
        if completed.returncode != 0:
            raise CommandFailedError(f"ctr {' '.join(arguments)}: {completed.stderr.strip()}")
        return completed.stdout

    def _register(self) -> None:
        if not self._apiserver.answers(_NODE_PATH):
            self._apiserver.post("/api/v1/nodes", node_components.node_object())
        self._apiserver.patch(f"{_NODE_PATH}/status", node_components.node_addresses(self._layout))

    def _start_scheduler(self) -> None:
        identity = self._identity("scheduler", self._layout.credentials.scheduler)
        argv = node_components.kube_scheduler(self._binaries.kube_scheduler, identity)
        self._processes.start(SCHEDULER, argv, GO_RUNTIME)

    def _start_sandbox(self) -> None:
        plan = write_private(self._layout.folder / "plan.json", json.dumps(self._plan()))
        argv = [sys.executable, "-I", "-S", sandbox.__file__, "--plan", str(plan)]
        self._processes.start(NODE, argv, {"PATH": _PATH})

    def _plan(self) -> dict[str, object]:
        """Write the files of the node and return what its sandbox has to run."""
        layout, binaries = self._layout, self._binaries
        # What a run before this one left in a kept folder: sockets, containers, addresses of pods.
        shutil.rmtree(layout.run, ignore_errors=True)
        shutil.rmtree(layout.lib / "cni", ignore_errors=True)
        for folder in (layout.run, layout.plugins, layout.lib / "kubelet", layout.log):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        plugin = layout.plugins / node_components.NETWORK
        plugin.write_text(node_components.network_plugin(pod_network.__file__))
        plugin.chmod(0o755)
        network = json.dumps(node_components.network_config(layout))
        (layout.lib / "cni" / f"{node_components.NETWORK}.conflist").write_text(network)
        containerd = write_private(
            layout.folder / "containerd.toml",
            node_components.containerd_config(binaries, _snapshotter(layout.folder)),
        )
        config = write_private(
            layout.folder / "kubelet.json", json.dumps(node_components.kubelet_config(layout))
        )
        identity = self._identity("kubelet", layout.credentials.kubelet)
        kubelet = node_components.kubelet(binaries.kubelet, config, identity)
        return {
            "cgroup": layout.cgroup,
            "mounts": layout.mounts,
            "commands": [
                self._command(CONTAINERD, node_components.containerd(binaries, containerd)),
                self._command(KUBELET, kubelet, after=f"/run/{node_components.SOCKET}"),
            ],
        }

    def _command(
        self, name: str, argv: list[str], *, after: str | None = None
    ) -> dict[str, object]:
        return {
            "name": name,
            "argv": argv,
            "environ": {"PATH": _PATH, **GO_RUNTIME},
            "log": str(self._processes.log_file(name)),
            "after": after,
        }

    def _identity(self, name: str, client: KeyPair) -> Path:
        path = self._layout.folder / f"{name}.kubeconfig"
        ca_file = self._layout.credentials.ca
        return kubeconfig.write_for_certificate(path, self._apiserver.url, ca_file, client)

    def _serves_images(self) -> bool:
        try:
            self.images()
        except CommandFailedError:
            return False
        return True

    def _is_ready(self) -> bool:
        """Tell whether the kubelet reports that it is, and the scheduler may know it."""
        node = json.loads(self._apiserver.get(_NODE_PATH))
        conditions = node.get("status", {}).get("conditions", [])
        return not node["spec"].get("taints") and any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in conditions
        )


def check_the_user(user: int) -> None:
    """Pass if a user can run a node.

    Raises:
        ControlPlaneError: Only root can.
    """
    if user != 0:
        raise ControlPlaneError("a node needs root, for namespaces, mounts and cgroups")


def check_the_folder(folder: Path) -> None:
    """Pass if a node can keep its files in a folder.

    Raises:
        ControlPlaneError: Its processes would not see it.
    """
    hidden = [target for _, target in node_components.MOUNTS if folder.is_relative_to(target)]
    if hidden:
        raise ControlPlaneError(
            f"a node cannot keep its files in {folder}: it has a {hidden[0]} of its own"
        )


def _snapshotter(folder: Path) -> str:
    """Return how containerd stacks layers: an overlay cannot stand on another one."""
    command = ["stat", "--file-system", "--format=%T", str(folder)]
    kind = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return "native" if kind == "overlayfs" else "overlayfs"
