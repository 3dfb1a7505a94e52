"""A control plane with Keyturn's resources, roles and policies."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from canary_scan import CanaryScan
from keyturn_controlplane.binaries import Binaries, NodeBinaries
from keyturn_controlplane.cluster import ControlPlane

ROOT = Path(__file__).parents[2]

A_SECOND = 1.1
"""The apiserver's times have no fractions."""


@contextmanager
def installed(
    binaries: Binaries,
    canary_scan: CanaryScan,
    *,
    with_node: NodeBinaries | None = None,
    mode: str = "",
    apiserver_flags: Sequence[str] = (),
) -> Iterator[ControlPlane]:
    """A control plane with the CRDs and the roles and policies of Keyturn.

    `mode` is a folder of rbac/ whose ClusterRole comes in the place of the one that allows most.
    """
    with ControlPlane(
        binaries, crds=[ROOT / "crds"], with_node=with_node, apiserver_flags=apiserver_flags
    ) as control_plane:
        control_plane.kubectl("create", "namespace", "keyturn-system")
        control_plane.kubectl("apply", "--server-side", "-f", str(ROOT / "rbac"))
        if mode:
            instead = ROOT / "rbac" / mode / "20-operator-roles.yaml"
            control_plane.kubectl("apply", "--server-side", "-f", str(instead))
        # What is made in the same second as a policy counts as not seen by it.
        time.sleep(A_SECOND)
        with canary_scan.watching(control_plane):
            yield control_plane
