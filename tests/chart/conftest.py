"""helm, and one control plane into which releases are installed, one at a time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import make_chart
from chart.helming import Helm
from keyturn_controlplane.binaries import Binaries
from keyturn_controlplane.cluster import ControlPlane


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def helm_binary(pytestconfig: pytest.Config) -> Path:
    """The helm of the Go module; a first build takes minutes, so it is shown."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    if capture is None:
        return make_chart.helm()
    with capture.global_and_fixture_disabled():
        return make_chart.helm()


@pytest.fixture(scope="session")
def helm(helm_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """A helm without a cluster."""
    return Helm(helm_binary, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def bare(binaries: Binaries) -> Iterator[ControlPlane]:
    """A control plane in which nothing of Keyturn is."""
    with ControlPlane(binaries) as control_plane:
        yield control_plane


@pytest.fixture(scope="module")
def helm_here(helm: Helm, bare: ControlPlane) -> Helm:
    """A helm with that control plane."""
    return Helm(helm.binary, helm.home, bare.kubeconfig)
