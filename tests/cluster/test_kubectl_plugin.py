"""kubectl finds and runs the plugin."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keyturn_controlplane.binaries import Binaries
from keyturn_controlplane.cluster import ControlPlane


@pytest.fixture
def path(binaries: Binaries, tmp_path: Path) -> str:
    """A PATH of kubectl and the plugin, as an installation has them."""
    plugin = tmp_path / "kubectl-keyturn"
    plugin.write_text(f"#!{sys.executable}\nfrom keyturn.cli.kubectl import main\n\nmain()\n")
    plugin.chmod(0o755)
    return os.pathsep.join((str(binaries.kubectl.parent), str(tmp_path), "/usr/bin", "/bin"))


def kubectl(path: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["kubectl", *arguments],
        env={"PATH": path, "HOME": "/nonexistent", **environment},
        executable=str(Path(path.split(os.pathsep, maxsplit=1)[0]) / "kubectl"),
        capture_output=True,
        text=True,
        check=False,
    )


def test_kubectl_lists_the_plugin_without_a_warning(path: str) -> None:
    listed = kubectl(path, "plugin", "list")

    assert "kubectl-keyturn" in listed.stdout
    assert "warning" not in (listed.stdout + listed.stderr).lower()


def test_kubectl_runs_the_plugin(path: str) -> None:
    helped = kubectl(path, "keyturn", "--help")

    assert helped.returncode == 0
    assert "rollback" in helped.stdout


def test_the_plugin_execs_in_the_operators_pod(
    path: str, tmp_path: Path, control_plane: ControlPlane, namespace: str
) -> None:
    done = kubectl(
        path,
        *("keyturn", "get", "db", "-n", namespace, "--kubeconfig", str(control_plane.kubeconfig)),
        KEYTURN_SOCKET=str(tmp_path / "nobody.sock"),
    )

    assert done.returncode == 1
    assert 'statefulsets.apps "keyturn" not found' in done.stderr
