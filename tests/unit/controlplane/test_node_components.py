"""The command lines and the configuration of a node."""

import tomllib
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from keyturn_controlplane import components, node_components
from keyturn_controlplane.binaries import ASSETS, NODE_NAMES, NodeBinaries, find_or_build_node
from keyturn_controlplane.certificates import Credentials
from keyturn_controlplane.errors import BinaryMissingError, ControlPlaneError
from keyturn_controlplane.node import check_the_folder, check_the_user


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return Credentials.create(tmp_path / "certificates", datetime.now(UTC), "127.70.1.1")


@pytest.fixture
def layout(tmp_path: Path, credentials: Credentials) -> node_components.NodeLayout:
    return node_components.NodeLayout(
        tmp_path / "node", credentials, "127.70.1.1", "100.70.1.0/24", "127.70.1.0/24"
    )


@pytest.fixture
def binaries() -> NodeBinaries:
    return NodeBinaries.in_folder(Path("/binaries"), Path("/usr/sbin/runc"))


def test_the_kubelet_answers_on_loopback_and_to_nobody_unknown(
    layout: node_components.NodeLayout,
) -> None:
    config = node_components.kubelet_config(layout)

    assert ip_address(config["address"]).is_loopback
    assert (config["readOnlyPort"], config["healthzPort"]) == (0, 0)
    assert config["authentication"]["anonymous"] == {"enabled": False}
    assert config["authorization"] == {"mode": "Webhook"}


def test_a_changed_secret_is_followed_at_once(layout: node_components.NodeLayout) -> None:
    config = node_components.kubelet_config(layout)

    assert config["configMapAndSecretChangeDetectionStrategy"] == "Watch"
    assert config["syncFrequency"] == "1s"


def test_pods_are_in_a_cgroup_that_is_named_by_the_node_alone(
    layout: node_components.NodeLayout,
) -> None:
    assert node_components.kubelet_config(layout)["cgroupRoot"] == "/keyturn-127.70.1.1"


@pytest.mark.parametrize("snapshotter", ["overlayfs", "native"])
def test_containerd_keeps_everything_within_the_folders_of_the_node(
    binaries: NodeBinaries, snapshotter: str
) -> None:
    config = tomllib.loads(node_components.containerd_config(binaries, snapshotter))
    plugins = config["plugins"]

    inside = [target for _, target in node_components.MOUNTS]
    kept = [
        config["root"],
        config["state"],
        plugins["io.containerd.internal.v1.opt"]["path"],
        plugins["io.containerd.cri.v1.runtime"]["cni"]["conf_dir"],
        *plugins["io.containerd.cri.v1.runtime"]["cni"]["bin_dirs"],
    ]
    assert all(any(path.startswith(f"{folder}/") for folder in inside) for path in kept)
    assert plugins["io.containerd.cri.v1.images"]["snapshotter"] == snapshotter
    runc = plugins["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]["runc"]
    assert runc["options"]["BinaryName"] == "/usr/sbin/runc"


def test_no_path_of_a_socket_is_too_long_for_the_kernel() -> None:
    assert len(f"/proc/self/cwd/{node_components.SOCKET}") < 108


def test_a_node_is_authorized_as_a_node(tmp_path: Path, credentials: Credentials) -> None:
    argv = components.kube_apiserver(
        tmp_path, components.Layout(tmp_path, credentials, 1, 2, 443, "127.70.1.1", "127.70.1.0/24")
    )

    assert "--authorization-mode=Node,RBAC" in argv
    assert "--enable-admission-plugins=NodeRestriction" in argv
    assert "--bind-address=127.70.1.1" in argv
    assert "--service-cluster-ip-range=127.70.1.0/24" in argv


def test_the_apiserver_verifies_the_kubelet_that_it_asks(credentials: Credentials) -> None:
    flags = node_components.apiserver_flags(credentials)

    assert f"--kubelet-certificate-authority={credentials.ca}" in flags


@pytest.mark.parametrize("folder", ["/run/keyturn", "/var/lib/keyturn", "/var/log"])
def test_a_folder_that_a_node_hides_from_itself_is_refused(folder: str) -> None:
    with pytest.raises(ControlPlaneError, match="cannot keep its files in"):
        check_the_folder(Path(folder))


def test_without_root_there_is_no_node() -> None:
    with pytest.raises(ControlPlaneError, match="a node needs root"):
        check_the_user(65534)


def test_without_runc_its_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(BinaryMissingError, match="apt-get install runc"):
        find_or_build_node({"PATH": str(tmp_path)}, folders=())


def test_a_folder_that_has_all_binaries_is_taken(tmp_path: Path) -> None:
    for name in (*NODE_NAMES, "runc"):
        (tmp_path / name).touch(mode=0o755)

    found = find_or_build_node({"PATH": str(tmp_path), ASSETS: str(tmp_path)}, folders=())

    assert found == NodeBinaries.in_folder(tmp_path, tmp_path / "runc")
