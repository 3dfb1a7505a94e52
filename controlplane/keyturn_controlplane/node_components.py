"""The command lines and the configuration of the parts of a node."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyturn_controlplane import pod_network
from keyturn_controlplane.binaries import NodeBinaries
from keyturn_controlplane.certificates import NODE_NAME, Credentials

CONTROLLERS = (
    "cronjob-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "ephemeral-volume-controller",
    "job-controller",
    "node-lifecycle-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "resourcequota-controller",
    "taint-eviction-controller",
    "ttl-after-finished-controller",
)
"""What a cluster needs besides where pods run."""

PAUSE_IMAGE = "localhost/pause:1"

NETWORK = "keyturn"

KUBELET_PORT = 10250
"""As everywhere: the address is the node's own."""

SOCKET = "containerd/containerd.sock"
"""Below the node's /run, which the host sees in the node's folder."""

MOUNTS = (("run", "/run"), ("lib", "/var/lib"), ("log", "/var/log"))
"""The folders of a node, and what they are in the eyes of its processes."""


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """Where a node keeps its files, and which addresses it has.

    The processes of the node see three of its folders in the place of the host's, so that the
    paths that are compiled into a kubelet and into containerd lead nowhere else, and no path of a
    socket is longer than the 107 bytes that the kernel takes.
    """

    folder: Path
    credentials: Credentials
    address: str
    pods: str
    servers: str

    @property
    def cgroup(self) -> str:
        """The cgroup of its pods, named like its address: no other node has that one."""
        return f"keyturn-{self.address}"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def lib(self) -> Path:
        return self.folder / "lib"

    @property
    def plugins(self) -> Path:
        return self.lib / "cni" / "bin"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def mounts(self) -> list[tuple[str, str]]:
        """What of the node is seen where, by the processes of the node alone."""
        return [(str(self.folder / name), target) for name, target in MOUNTS]


def kube_scheduler(binary: Path, kubeconfig: Path) -> list[str]:
    """Return the command line of the scheduler, which serves nothing itself."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--secure-port=0",
        "--leader-elect=false",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
    ]


def apiserver_flags(credentials: Credentials) -> list[str]:
    """Return how the apiserver reaches a kubelet, for `kubectl logs` and `kubectl exec`."""
    client = credentials.kubelet_client
    return [
        f"--kubelet-certificate-authority={credentials.ca}",
        f"--kubelet-client-certificate={client.certificate}",
        f"--kubelet-client-key={client.key}",
        "--kubelet-preferred-address-types=InternalIP",
    ]


def node_object() -> dict[str, Any]:
    """Return the Node to register before its kubelet starts, which then makes it its own."""
    return {"metadata": {"name": NODE_NAME, "labels": {"kubernetes.io/hostname": NODE_NAME}}}


def node_addresses(layout: NodeLayout) -> dict[str, Any]:
    """Return the patch of the Node's status that says where it is: on loopback.

    A kubelet refuses such an address, also as --node-ip. Under an external cloud provider it
    leaves alone what is there.
    """
    addresses = [
        {"type": "InternalIP", "address": layout.address},
        {"type": "Hostname", "address": NODE_NAME},
    ]
    return {"status": {"addresses": addresses}}


def containerd(binaries: NodeBinaries, config: Path) -> list[str]:
    """Return the command line of containerd."""
    return [str(binaries.containerd), f"--config={config}", "--log-level=warn"]


def containerd_config(binaries: NodeBinaries, snapshotter: str) -> str:
    """Return the configuration of containerd, as TOML; its paths are those within the node.

    Args:
        binaries: Where the shim and runc are.
        snapshotter: `overlayfs`, or `native` where one overlay cannot stand on another.
    """
    return f"""\
version = 4
root = "/var/lib/containerd"
state = "/run/containerd"
imports = []

[plugins."io.containerd.cri.v1.images"]
snapshotter = "{snapshotter}"
pinned_images = {{sandbox = "{PAUSE_IMAGE}"}}

[plugins."io.containerd.cri.v1.runtime"]
# A process that may not lower its own score may not lower that of others either.
restrict_oom_score_adj = true
cdi_spec_dirs = []

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
runtime_path = "{binaries.containerd_shim}"
options = {{BinaryName = "{binaries.runc}", SystemdCgroup = false}}

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/var/lib/cni/bin"]
conf_dir = "/var/lib/cni"
use_internal_loopback = true

[plugins."io.containerd.internal.v1.opt"]
path = "/var/lib/containerd/opt"

[plugins."io.containerd.metadata.v1.bolt"]
no_sync = true

[plugins."io.containerd.nri.v1.nri"]
disable = true
"""


def network_config(layout: NodeLayout) -> dict[str, Any]:
    """Return the network of pods, as the CNI has it; what runs for it is `pod_network`."""
    plugin = {
        "type": NETWORK,
        "pods": layout.pods,
        "servers": layout.servers,
        "taken": "/var/lib/cni/addresses",
    }
    return {"cniVersion": pod_network.VERSION, "name": NETWORK, "plugins": [plugin]}


def network_plugin(script: str) -> str:
    """Return the program that containerd runs for the network."""
    return f'#!/bin/sh\nexec "{sys.executable}" -I -S "{script}"\n'


def kubelet(binary: Path, config: Path, kubeconfig: Path) -> list[str]:
    """Return the command line of the kubelet."""
    return [
        str(binary),
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={NODE_NAME}",
        "--cloud-provider=external",
        "--root-dir=/var/lib/kubelet",
    ]


def kubelet_config(layout: NodeLayout) -> dict[str, Any]:
    """Return the KubeletConfiguration: mounted Secrets follow at once, and nothing is evicted."""
    pair = layout.credentials.kubelet
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout.address,
        "port": KUBELET_PORT,
        "readOnlyPort": 0,
        "healthzPort": 0,
        "tlsCertFile": str(pair.certificate),
        "tlsPrivateKeyFile": str(pair.key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.credentials.ca)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix:///run/{SOCKET}",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "failCgroupV1": False,
        "failSwapOn": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "enforceNodeAllocatable": [],
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        "syncFrequency": "1s",
        "nodeStatusUpdateFrequency": "1s",
        "crashLoopBackOff": {"maxContainerRestartPeriod": "5s"},
        # Of a process that may not lower it, as in many a container, that would fail.
        "oomScoreAdj": 0,
        # The disk and the memory are the host's, which has its own use for them.
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "makeIPTablesUtilChains": False,
        # Nobody answers there, so no name is found, and at once.
        "clusterDNS": [layout.address],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
    }
