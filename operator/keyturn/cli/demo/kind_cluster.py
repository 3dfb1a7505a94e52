"""A cluster of kind for the demo alone."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keyturn.cli.demo.cluster import Cluster, Left, install_crds, prepare
from keyturn.cli.demo.kubectl import Kubectl
from keyturn.cli.demo.screen import Screen
from keyturn_controlplane.binaries import find_kubectl
from keyturn_controlplane.kind.clusters import Kind
from keyturn_controlplane.kind.engine import Engine


@contextmanager
def kind_cluster(engine: Engine, root: Path, folder: Path, screen: Screen) -> Iterator[Cluster]:
    """Make a cluster of kind under a name that is free, and remove it at the end."""
    screen.step(
        "A cluster of kind",
        f"In {engine.name}, for this demo alone. KUBEBUILDER_ASSETS names binaries to use instead.",
    )
    kind = Kind.find(engine, root, screen.reporter)
    binary = find_kubectl(reporter=screen.reporter)
    name, kubeconfig = f"keyturn-demo-{os.getpid()}", folder / "kubeconfig-of-kind"
    kind.create(name, kubeconfig)
    is_kept = False

    def detach() -> Left:
        nonlocal is_kept
        is_kept = True
        return Left(commands=(shlex.join(kind.deletion(name, kubeconfig)),))

    try:
        # No file of the user has a say in it.
        environment = {"PATH": os.defpath, "HOME": str(folder), "KUBERC": "off"}
        kubectl = Kubectl(binary, kubeconfig, folder, environment)
        install_crds(kubectl, root)
        prepare(kubectl, root)
        screen.well(f"{name} has the CRD, the rights and the policies.")
        yield Cluster(kubectl, detach)
    finally:
        if not is_kept:
            kind.delete(name, kubeconfig)
