"""A control plane for the demo alone."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from keyturn.cli.demo.cluster import Cluster, Left, prepare
from keyturn.cli.demo.kubectl import Kubectl
from keyturn.cli.demo.screen import Screen
from keyturn_controlplane.binaries import find_or_build
from keyturn_controlplane.cluster import ControlPlane


@contextmanager
def own_cluster(root: Path, folder: Path, screen: Screen) -> Iterator[Cluster]:
    """Build what is missing, start a control plane, and stop it at the end."""
    screen.step(
        "A real control plane",
        "etcd, kube-apiserver and kube-controller-manager, on loopback and for this demo alone.",
    )
    binaries = find_or_build(reporter=screen.reporter)
    with ExitStack() as stack:
        with screen.waiting("Starting the control plane"):
            plane = stack.enter_context(ControlPlane(binaries, crds=[root / "crds"]))
        # No file of the user has a say in it.
        environment = {"PATH": os.defpath, "HOME": str(folder), "KUBERC": "off"}
        kubectl = Kubectl(binaries.kubectl, plane.kubeconfig, folder, environment)
        prepare(kubectl, root)
        screen.well(f"It answers on {plane.url}, with the CRD, the rights and the policies.")
        is_kept = False

        def detach() -> Left:
            nonlocal is_kept
            is_kept = True
            return Left(processes=(plane.detach(),))

        try:
            yield Cluster(kubectl, detach)
        finally:
            if not is_kept:
                with screen.waiting("Stopping the control plane"):
                    stack.close()
