"""A cluster with a node into which Keyturn comes by its chart alone."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import make_chart
from canary_scan import CanaryScan
from chart.helming import Helm
from keyturn_controlplane.binaries import Binaries, NodeBinaries
from keyturn_controlplane.certificates import NODE_NAME
from keyturn_controlplane.cluster import ControlPlane
from node.pods import Pods

HOME, RELEASE, POD = "vaults", "keyturn", "keyturn-0"

CHART = str(make_chart.CHART)
WAIT = ("--wait", "--timeout=180s")

VALUES = {
    "image": {"pullPolicy": "Never"},
    "persistence": {"storageClass": "-"},
    "readinessProbe": {"periodSeconds": 1},
}
"""There is no registry here, and the volume was made by hand; all else is as the chart has it."""


@dataclass(frozen=True, slots=True)
class Site:
    """A cluster in which Keyturn comes and goes by helm alone."""

    control_plane: ControlPlane
    helm: Helm

    def run(self, command: str, *flags: str, **values: Any) -> str:
        """Run helm for the release; `install` and `upgrade` wait until the pod is ready."""
        return self.helm(
            *(command, RELEASE, CHART, "--namespace", HOME, *flags, *WAIT),
            values={**VALUES, **values},
        ).stdout

    def uninstall(self) -> None:
        """Uninstall the release.

        Raises:
            HelmError: it is not done after a minute.
        """
        self.helm("uninstall", RELEASE, "--namespace", HOME, "--wait", "--timeout=180s")

    @property
    def home(self) -> Pods:
        """The pods of the release's namespace."""
        return Pods(self.control_plane, HOME)

    @property
    def pod_uid(self) -> str:
        return str(self.home.get(POD)["metadata"]["uid"])

    def keyturn(self, *arguments: str) -> str:
        """Run the command line in the operator's pod."""
        return self.home.exec(POD, "keyturn", *arguments)


@contextmanager
def a_site(
    binaries: Binaries,
    node_binaries: NodeBinaries,
    canary_scan: CanaryScan,
    operator_image: Path,
    folder: Path,
) -> Iterator[Site]:
    """Start a cluster with a node and nothing of Keyturn but the image and a volume."""
    with ControlPlane(binaries, with_node=node_binaries) as control_plane:
        control_plane.node.import_image(operator_image)
        (folder / "volume").mkdir()
        volume = json.dumps(_a_volume(folder / "volume"))
        control_plane.kubectl("apply", "-f", "-", input=volume)
        control_plane.kubectl("create", "namespace", HOME)
        helm = Helm(make_chart.helm(), folder, control_plane.kubeconfig)
        with canary_scan.watching(control_plane):
            yield Site(control_plane, helm)


def _a_volume(folder: Path) -> dict[str, Any]:
    """Make the volume that the claim of the chart is bound to."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "keyturn-by-helm"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOncePod"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": HOME, "name": f"data-{POD}"},
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
