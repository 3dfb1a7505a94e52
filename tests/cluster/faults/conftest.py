"""A control plane that no other operator looks at, and a proxy before it."""

from collections.abc import Iterator
from pathlib import Path

import pykube
import pytest

from apiserver import connected
from canary import Canary
from cluster.faults.life import Life, token_of
from cluster.operating import Cluster, OperatorProcess
from faulty_proxy import FaultyProxy
from keyturn_controlplane.cluster import ControlPlane


@pytest.fixture(scope="module")
def control_plane(quiet_control_plane: ControlPlane) -> ControlPlane:
    """A control plane that no other operator looks at."""
    return quiet_control_plane


@pytest.fixture(scope="module")
def pykube_api(control_plane: ControlPlane) -> Iterator[pykube.HTTPClient]:
    """A client that goes to the apiserver straight, past the proxy."""
    with connected(control_plane.kubeconfig) as administrator:
        yield administrator.client


@pytest.fixture
def proxy(control_plane: ControlPlane, tmp_path: Path) -> Iterator[FaultyProxy]:
    with FaultyProxy(control_plane.url, control_plane.ca_file, tmp_path) as proxy:
        yield proxy


@pytest.fixture
def operator(
    control_plane: ControlPlane, proxy: FaultyProxy, tmp_path: Path
) -> Iterator[OperatorProcess]:
    """An operator that sees the apiserver through the proxy."""
    kubeconfig = proxy.kubeconfig(token_of(control_plane))
    with OperatorProcess(control_plane, tmp_path, kubeconfig=kubeconfig) as operator:
        yield operator


@pytest.fixture
def life(cluster: Cluster, operator: OperatorProcess, canary: Canary) -> Life:
    return Life(cluster, operator, canary)
