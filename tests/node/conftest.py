"""A control plane with a real node for the whole run: one for each worker."""

import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pykube
import pytest

from apiserver import Apiserver, a_namespace, connected
from canary_scan import CanaryScan
from cluster.installing import installed
from cluster.operating import Cluster, OperatorProcess
from keyturn_controlplane.binaries import Binaries, NodeBinaries, find_or_build_node
from keyturn_controlplane.cluster import ControlPlane
from node.images import busybox_image
from node.pods import Pods
from node.releases import Site, a_site

BUILD_IMAGE = Path(__file__).parents[2] / "image" / "build"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def node_binaries(pytestconfig: pytest.Config) -> NodeBinaries:
    """The binaries of a node; a first build takes minutes, so it is shown."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    if capture is None:
        return find_or_build_node()
    with capture.global_and_fixture_disabled():
        return find_or_build_node()


@pytest.fixture(scope="session")
def operator_image(pytestconfig: pytest.Config) -> Path:
    """The archive of the operator's image; a first build takes minutes, so it is shown."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        built = subprocess.run([BUILD_IMAGE], stdout=subprocess.PIPE, text=True, check=True)
    return Path(built.stdout.strip())


@pytest.fixture(scope="module")
def node(
    binaries: Binaries,
    node_binaries: NodeBinaries,
    canary_scan: CanaryScan,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ControlPlane]:
    """A control plane with a node, the image localhost/busybox:1, and Keyturn's roles."""
    archive = busybox_image().write(tmp_path_factory.mktemp("images") / "busybox.tar")
    with installed(binaries, canary_scan, with_node=node_binaries) as control_plane:
        control_plane.node.import_image(archive)
        yield control_plane


@pytest.fixture
def namespace(node_api: pykube.HTTPClient) -> Iterator[str]:
    """A fresh namespace; nobody waits for its end."""
    with a_namespace(Apiserver(node_api)) as name:
        yield name


@pytest.fixture
def pods(node: ControlPlane, namespace: str) -> Pods:
    """The pods of the namespace of the test."""
    return Pods(node, namespace)


@pytest.fixture(scope="module")
def node_api(node: ControlPlane) -> Iterator[pykube.HTTPClient]:
    """A client that is no part of Keyturn, for an independent look at the cluster."""
    with connected(node.kubeconfig) as administrator:
        yield administrator.client


@pytest.fixture
def cluster(node_api: pykube.HTTPClient, namespace: str) -> Cluster:
    """The cluster as an independent client sees it, in the namespace of the test."""
    return Cluster(node_api, namespace)


@pytest.fixture(scope="module")
def operator(
    node: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """One operator, outside the node, for all tests that do not stop it."""
    with OperatorProcess(node, tmp_path_factory.mktemp("operator")) as operator:
        yield operator


@pytest.fixture
def site(
    binaries: Binaries,
    node_binaries: NodeBinaries,
    canary_scan: CanaryScan,
    operator_image: Path,
    tmp_path: Path,
) -> Iterator[Site]:
    """A cluster with a node and nothing of Keyturn but the image, for a release."""
    with a_site(binaries, node_binaries, canary_scan, operator_image, tmp_path) as site:
        yield site
