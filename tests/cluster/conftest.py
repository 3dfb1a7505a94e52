"""A real control plane for the whole run, and a namespace for each test."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pykube
import pytest

from apiserver import Apiserver, a_namespace, connected
from canary_scan import CanaryScan
from cluster.auditing import WATCHED, Audited, AuditLog
from cluster.installing import ROOT, installed
from cluster.operating import Cluster, OperatorProcess, Values
from cluster.people import the_operator, wait_for_policies
from cluster.site import Site
from keyturn_controlplane.binaries import Binaries
from keyturn_controlplane.cluster import ControlPlane

Kubectl = Callable[..., CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session", autouse=True)
def searched(canary_scan: CanaryScan) -> None:
    """What these tests leave is searched for secret values, whichever of them are run."""


@pytest.fixture(scope="session")
def control_plane(binaries: Binaries, canary_scan: CanaryScan) -> Iterator[ControlPlane]:
    """The control plane that most tests share."""
    with installed(binaries, canary_scan) as control_plane:
        yield control_plane


@pytest.fixture(scope="session")
def quiet_control_plane(binaries: Binaries, canary_scan: CanaryScan) -> Iterator[ControlPlane]:
    """A control plane without the shared operator, for tests that stop theirs."""
    with installed(binaries, canary_scan) as control_plane:
        yield control_plane


@pytest.fixture(scope="module")
def caged(
    binaries: Binaries, canary_scan: CanaryScan, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Audited]:
    """A control plane where the operator may read no Secrets."""
    audit = AuditLog(tmp_path_factory.mktemp("audit"))
    with installed(
        binaries, canary_scan, mode="caged", apiserver_flags=audit.flags
    ) as control_plane:
        yield Audited(control_plane, audit)


@pytest.fixture(scope="module")
def namespaced(
    binaries: Binaries, canary_scan: CanaryScan, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Audited]:
    """A control plane where the operator has its rights in the namespaces of WATCHED alone."""
    audit = AuditLog(tmp_path_factory.mktemp("audit"))
    with installed(
        binaries, canary_scan, mode="namespaced", apiserver_flags=audit.flags
    ) as control_plane:
        role = (ROOT / "rbac" / "namespaced" / "21-standard-role.yaml").read_text()
        for name in WATCHED:
            control_plane.kubectl("create", "namespace", name)
            there = role.replace("watched-namespace", name)
            control_plane.kubectl("apply", "--server-side", "-f", "-", input=there)
        yield Audited(control_plane, audit)


@pytest.fixture
def fresh_control_plane(binaries: Binaries, canary_scan: CanaryScan) -> Iterator[ControlPlane]:
    """A control plane for one test, which may break what belongs to the whole cluster."""
    with installed(binaries, canary_scan) as control_plane:
        yield control_plane


@pytest.fixture
def quiet_site(quiet_control_plane: ControlPlane, tmp_path: Path) -> Iterator[Site]:
    """A namespace of the quiet control plane."""
    with Site.opened(quiet_control_plane, tmp_path) as site:
        yield site


@pytest.fixture
def fresh_site(fresh_control_plane: ControlPlane, tmp_path: Path) -> Iterator[Site]:
    """A namespace of a control plane for one test."""
    with Site.opened(fresh_control_plane, tmp_path) as site:
        yield site


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Kubectl:
    """Run kubectl as the administrator; see `ControlPlane.kubectl`."""
    return control_plane.kubectl


@pytest.fixture
def namespace(pykube_api: pykube.HTTPClient) -> Iterator[str]:
    """A fresh namespace; nobody waits for its end."""
    with a_namespace(Apiserver(pykube_api)) as name:
        yield name


@pytest.fixture(scope="session")
def pykube_api(control_plane: ControlPlane) -> Iterator[pykube.HTTPClient]:
    """A client that is no part of Keyturn, for an independent look at the cluster."""
    with connected(control_plane.kubeconfig) as administrator:
        yield administrator.client


@pytest.fixture
def cluster(pykube_api: pykube.HTTPClient, namespace: str) -> Cluster:
    """The cluster as an independent client sees it, in the namespace of the test."""
    return Cluster(pykube_api, namespace)


@pytest.fixture
def values(cluster: Cluster) -> Callable[[str], Values]:
    """Wait for a ManagedSecret, and read its Secret."""

    def read(name: str = "app") -> Values:
        cluster.wait_ready(name)
        data = cluster.data(name)
        assert data is not None
        return {key: base64.b64decode(value) for key, value in data.items()}

    return read


@pytest.fixture(scope="session")
def shared_operator(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """One operator for all tests that do not stop it."""
    with OperatorProcess(control_plane, tmp_path_factory.mktemp("operator")) as operator:
        yield operator


@pytest.fixture(scope="session")
def apiserver(pykube_api: pykube.HTTPClient) -> Apiserver:
    """The apiserver as the administrator sees it, who may also ask as anybody."""
    return Apiserver(pykube_api)


@pytest.fixture(scope="session")
def operator_identity(control_plane: ControlPlane) -> Iterator[Apiserver]:
    """The apiserver as the operator sees it, whether or not an operator runs."""
    with the_operator(control_plane) as operator:
        yield operator


@pytest.fixture(scope="session")
def enforced(apiserver: Apiserver, operator_identity: Apiserver) -> None:
    """Both policies are enforced from here on."""
    wait_for_policies(apiserver, operator_identity)
