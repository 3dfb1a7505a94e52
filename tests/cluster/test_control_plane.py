"""The control plane is real, private, repeatable, and leaves nothing behind."""

import http.client
import os
import signal
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pykube
import pytest

from keyturn_controlplane.binaries import Binaries
from keyturn_controlplane.build import MODULE
from keyturn_controlplane.cluster import ControlPlane
from keyturn_controlplane.errors import CommandFailedError, ControlPlaneError, ProcessFailedError


def test_a_namespace_is_there_for_a_test(pykube_api: pykube.HTTPClient, namespace: str) -> None:
    assert pykube.Namespace.objects(pykube_api).get(name=namespace).exists()


def test_the_server_says_the_version_that_it_is_of(control_plane: ControlPlane) -> None:
    versions = control_plane.kubectl("version").stdout

    assert "Server Version: v1." in versions


def test_the_apiserver_is_not_trusted_without_its_authority(control_plane: ControlPlane) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        status_of(control_plane, "/version", ssl.create_default_context())


def test_nobody_reads_without_being_known(control_plane: ControlPlane) -> None:
    context = ssl.create_default_context(cafile=str(control_plane.ca_file))

    assert status_of(control_plane, "/api/v1/secrets", context) == 403


def test_the_folder_and_the_kubeconfig_are_private(control_plane: ControlPlane) -> None:
    assert stat.S_IMODE(control_plane.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(control_plane.kubeconfig.stat().st_mode) == 0o600


def test_a_service_account_is_who_its_kubeconfig_says(
    control_plane: ControlPlane, namespace: str
) -> None:
    eventually(lambda: exists(control_plane, namespace, "serviceaccount", "default"))
    kubeconfig = control_plane.kubeconfig_for_service_account(namespace, "default")

    said = control_plane.kubectl("auth", "whoami", kubeconfig_file=kubeconfig).stdout

    assert f"system:serviceaccount:{namespace}:default" in said
    assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600


def test_a_service_account_may_do_what_roles_allow_and_no_more(
    control_plane: ControlPlane, namespace: str
) -> None:
    eventually(lambda: exists(control_plane, namespace, "serviceaccount", "default"))
    kubeconfig = control_plane.kubeconfig_for_service_account(namespace, "default")

    with pytest.raises(CommandFailedError, match="forbidden"):
        control_plane.kubectl("get", "secrets", "-n", namespace, kubeconfig_file=kubeconfig)


def test_the_bytes_of_etcd_can_be_looked_at(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl(
        "create", "secret", "generic", "plain", "-n", namespace, "--from-literal=password=visible"
    )

    stored = dict(control_plane.etcd_get_prefix(f"/registry/secrets/{namespace}/"))

    assert [*stored] == [f"/registry/secrets/{namespace}/plain"]
    assert b"visible" in stored[f"/registry/secrets/{namespace}/plain"]


def test_what_an_owner_owned_goes_with_it(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "configmap", "owner", "-n", namespace)
    uid = control_plane.kubectl(
        "get", "configmap", "owner", "-n", namespace, "-o", "jsonpath={.metadata.uid}"
    ).stdout
    control_plane.kubectl("apply", "-f", "-", input=owned_by(uid, namespace))

    control_plane.kubectl("delete", "configmap", "owner", "-n", namespace)

    eventually(lambda: not exists(control_plane, namespace, "configmap", "owned"))


def test_a_deleted_namespace_goes(control_plane: ControlPlane) -> None:
    control_plane.kubectl("create", "namespace", "doomed")
    control_plane.kubectl("delete", "namespace", "doomed", "--wait=false")

    eventually(lambda: not exists(control_plane, "default", "namespace", "doomed"))


def test_the_metrics_count_requests(control_plane: ControlPlane) -> None:
    assert "apiserver_request_total{" in control_plane.metrics()


@pytest.mark.parametrize("grace", [5.0, 0.0], ids=["stopped", "killed"])
def test_the_apiserver_comes_back_on_its_port_with_its_data(
    control_plane: ControlPlane, namespace: str, grace: float
) -> None:
    control_plane.stop_apiserver(grace=grace)
    with pytest.raises(ConnectionRefusedError):
        control_plane.metrics()

    control_plane.start_apiserver()

    assert exists(control_plane, namespace, "namespace", namespace)


def test_two_at_once_do_not_meet(control_plane: ControlPlane, binaries: Binaries) -> None:
    with ControlPlane(binaries) as other:
        other.kubectl("create", "namespace", "only-here")

        with pytest.raises(CommandFailedError, match="not found"):
            control_plane.kubectl("get", "namespace", "only-here")
        with pytest.raises(CommandFailedError, match="certificate"):
            control_plane.kubectl("get", "nodes", "--server", other.url)
    assert not other.folder.exists()


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [
        pytest.param(signal.SIGINT, 130, id="^C"),
        pytest.param(signal.SIGTERM, 143, id="SIGTERM"),
        pytest.param(signal.SIGKILL, -9, id="kill -9"),
    ],
)
def test_however_it_ends_nothing_is_left(
    binaries: Binaries, tmp_path: Path, number: signal.Signals, exit_code: int
) -> None:
    with running(binaries, tmp_path) as run:
        assert len(processes_below(tmp_path)) == 5  # It, the keeper, and its three.

        os.killpg(run.pid, number)

        assert run.wait(60) == exit_code
        eventually(lambda: processes_below(tmp_path) == [])
        eventually(lambda: not any(tmp_path.glob("keyturn-control-plane-*")))


def test_data_that_is_kept_is_there_the_next_time(binaries: Binaries, tmp_path: Path) -> None:
    with ControlPlane(binaries, folder=tmp_path / "data", durable=True) as first:
        first.kubectl("create", "namespace", "kept")

    with ControlPlane(binaries, folder=tmp_path / "data") as second:
        assert exists(second, "default", "namespace", "kept")


@pytest.mark.parametrize("name", ["etcd", "kube-apiserver", "kube-controller-manager"])
def test_a_binary_that_fails_is_named_with_what_it_said(
    binaries: Binaries, tmp_path: Path, name: str
) -> None:
    broken = assets_with(binaries, tmp_path / "assets", name, "#!/bin/sh\necho out of luck; exit 7")

    with pytest.raises(ProcessFailedError, match=rf"{name} ended with 7(.|\n)*out of luck"):
        ControlPlane(broken).__enter__()


def test_a_part_that_dies_later_is_named(binaries: Binaries) -> None:
    with ControlPlane(binaries, controllers=["serviceaccount-controller"]) as control_plane:
        control_plane.check()
        (etcd,) = [pid for pid in processes_below(control_plane.folder) if comm(pid) == "etcd"]

        os.kill(etcd, signal.SIGKILL)

        with pytest.raises(ProcessFailedError, match="etcd was killed by signal 9"):
            eventually(control_plane.check)


def test_the_command_line_says_what_is_wrong(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "keyturn_controlplane", "run"],
        env={"PYTHONPATH": str(MODULE), "KUBEBUILDER_ASSETS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1
    assert run.stderr.startswith("error: KUBEBUILDER_ASSETS is ")


def test_an_unready_part_does_not_hide_its_folder(binaries: Binaries, tmp_path: Path) -> None:
    broken = assets_with(binaries, tmp_path / "assets", "etcd", "#!/bin/sh\nexit 1")
    control_plane = ControlPlane(broken)

    with pytest.raises(ControlPlaneError):
        control_plane.__enter__()

    assert not control_plane.folder.exists()


def status_of(control_plane: ControlPlane, path: str, context: ssl.SSLContext) -> int:
    port = int(control_plane.url.rpartition(":")[2])
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


@contextmanager
def running(binaries: Binaries, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the command line in a group of its own, as a terminal does, until it is ready."""
    assets = assets_with(binaries, folder / "assets", "", "").etcd.parent
    environ = {
        "PYTHONPATH": str(MODULE),
        "PATH": os.defpath,
        "KUBEBUILDER_ASSETS": str(assets),
        "TMPDIR": str(folder),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "keyturn_controlplane", "run", "--kubeconfig", folder / "config"],
        env=environ,
        stdout=subprocess.PIPE,
        process_group=0,
        text=True,
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline().startswith("Ready after")
        try:
            yield run
        finally:
            run.kill()


def assets_with(binaries: Binaries, folder: Path, name: str, script: str) -> Binaries:
    """Return binaries of which one is a script."""
    folder.mkdir()
    for field in Binaries.__slots__:
        binary = getattr(binaries, field)
        (folder / binary.name).symlink_to(binary)
    if name:
        (folder / name).unlink()
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return Binaries.in_folder(folder)


def processes_below(folder: Path) -> list[int]:
    """Return the processes whose command line names something in a folder."""
    named = f"{folder}/".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes() + b"/"
        except (FileNotFoundError, ProcessLookupError):
            continue
        if named in command and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def comm(process_id: int) -> str:
    return Path(f"/proc/{process_id}/comm").read_text().strip()


def exists(control_plane: ControlPlane, namespace: str, kind: str, name: str) -> bool:
    return control_plane.kubectl("get", kind, name, "-n", namespace, check=False).returncode == 0


def owned_by(uid: str, namespace: str) -> str:
    return f"""
apiVersion: v1
kind: ConfigMap
metadata:
  name: owned
  namespace: {namespace}
  ownerReferences:
  - {{apiVersion: v1, kind: ConfigMap, name: owner, uid: {uid}}}
"""


def eventually(holds: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
