"""A real control plane for the whole run, and a namespace for each test."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pykube
import pytest

from cluster.operating import Cluster, OperatorProcess
from keyturn_controlplane.binaries import Binaries, find_or_build
from keyturn_controlplane.cluster import ControlPlane

ROOT = Path(__file__).parents[2]

Kubectl = Callable[..., CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def binaries(pytestconfig: pytest.Config) -> Binaries:
    """The binaries of the control plane; a first build takes minutes, so it is shown."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    if capture is None:
        return find_or_build()
    with capture.global_and_fixture_disabled():
        return find_or_build()


@pytest.fixture(scope="session")
def control_plane(binaries: Binaries) -> Iterator[ControlPlane]:
    """A control plane with the CRDs and the roles and policies of Keyturn."""
    crds, rbac = ROOT / "crds", ROOT / "rbac"
    with ControlPlane(binaries, crds=[crds] if crds.is_dir() else []) as control_plane:
        control_plane.kubectl("create", "namespace", "keyturn-system")
        if rbac.is_dir():
            control_plane.kubectl("apply", "--server-side", "-f", str(rbac))
        yield control_plane


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Kubectl:
    """Run kubectl as the administrator; see `ControlPlane.kubectl`."""
    return control_plane.kubectl


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A fresh namespace; nobody waits for its end."""
    name = f"test-{secrets.token_hex(5)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="session")
def pykube_api(control_plane: ControlPlane) -> Iterator[pykube.HTTPClient]:
    """A client that is no part of Keyturn, for an independent look at the cluster."""
    api = pykube.HTTPClient(pykube.KubeConfig.from_file(str(control_plane.kubeconfig)))
    yield api
    api.session.close()


@pytest.fixture
def cluster(pykube_api: pykube.HTTPClient, namespace: str) -> Cluster:
    """The cluster as an independent client sees it, in the namespace of the test."""
    return Cluster(pykube_api, namespace)


@pytest.fixture(scope="session")
def shared_operator(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """One operator for all tests that do not stop it."""
    with OperatorProcess(control_plane, tmp_path_factory.mktemp("operator")) as operator:
        yield operator
