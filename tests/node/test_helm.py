"""The chart on a real node: the pod runs, is upgraded, goes, comes back, and no value is lost."""

import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from apiserver import a_managed_secret
from chart.helming import HelmError
from cluster.operating import eventually
from documents import document
from keyturn_controlplane.binaries import Binaries
from node.pods import Pods
from node.releases import CHART, HOME, POD, RELEASE, VALUES, WAIT, Site
from servers.ports import free_port

BACKUP = document("docs/backup.md")
ENFORCE = "pod-security.kubernetes.io/enforce"

Follow = Callable[[str], None]


@pytest.fixture
def follow(site: Site, binaries: Binaries, tmp_path: Path) -> Follow:
    """Run a section of docs/backup.md as a person would, in the namespace of the release."""
    office = tmp_path / "office"
    (office / "bin").mkdir(parents=True)
    (office / "bin" / "kubectl").symlink_to(binaries.kubectl)
    environ = {
        "PATH": f"{office / 'bin'}:{os.defpath}",
        "HOME": str(office),
        "KUBECONFIG": str(site.control_plane.kubeconfig),
    }

    def run(heading: str) -> None:
        _, _, below = BACKUP.text.partition(f"\n## {heading}\n")
        lines = below.partition("\n```sh\n")[2].partition("\n```\n")[0]
        done = subprocess.run(
            ["/bin/sh", "-ec", lines.replace("keyturn-system", HOME)],
            cwd=office,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{heading}: {done.stderr}"

    return run


def made(pods: Pods, name: str) -> dict[str, str]:
    """Apply a ManagedSecret, wait for it, and read what it has generated."""
    pods.apply(a_managed_secret(name, data=[{"key": "password", "generate": {"password": {}}}]))
    pods.kubectl("wait", "--for=condition=Ready", f"managedsecret/{name}", "--timeout=180s")
    return shown(pods, name)


def shown(pods: Pods, name: str) -> dict[str, str]:
    said = pods.kubectl("get", "secret", name, "--output", "json", "--ignore-not-found")
    data: dict[str, str] = json.loads(said or "{}").get("data", {})
    return data


def test_the_chart_from_install_to_reinstall(site: Site, follow: Follow, tmp_path: Path) -> None:
    kubectl = site.control_plane.kubectl
    shop = Pods(site.control_plane, "shop")
    kubectl("create", "namespace", "shop")
    kubectl("label", "namespace", HOME, f"{ENFORCE}=restricted")

    assert "keyturn-default-key" in site.run("install")
    value = made(shop, "orders")
    assert site.keyturn("key", "export").startswith("keyturn-")

    take_a_backup_lose_the_files_and_put_it_back(site, shop, follow, tmp_path / "volume")
    assert shown(shop, "orders") == value

    upgrade_to_one_that_reads_no_secrets(site)
    assert made(shop, "web")
    roll_back_what_never_becomes_ready(site)
    assert "orders" in site.keyturn("list", "-n", "shop")
    assert shown(shop, "orders") == value

    uninstall(site)
    assert shown(shop, "orders") == value
    kubectl("get", "managedsecret", "orders", "--namespace", "shop")
    kubectl("get", "secret", "keyturn-default-key", "--namespace", HOME)

    # Only the store and the key, which both stayed, know the value now.
    shop.kubectl("delete", "secret", "orders")
    # Pods reach each other by the node's own network alone, which `helm test` has to.
    kubectl("label", "namespace", HOME, f"{ENFORCE}-")
    site.run("install", hostNetwork=True, health={"port": free_port()})
    site.helm("test", RELEASE, "--namespace", HOME, "--timeout=180s")
    eventually(lambda: shown(shop, "orders") == value, within=180, what="the value is back")


def take_a_backup_lose_the_files_and_put_it_back(
    site: Site, shop: Pods, follow: Follow, volume: Path
) -> None:
    """Do so with the commands of the document; the Secret is lost, too."""
    before = site.keyturn("history", "orders", "-n", "shop", "-o", "json")
    follow("Stop")
    follow("A pod for the files")
    follow("Take a backup")
    for name in ("store.sqlite3", "store.sqlite3-wal", "store.sqlite3-shm"):
        (volume / name).write_bytes(b"of something else")
    shop.kubectl("delete", "secret", "orders")

    follow("Put a backup back")

    files = {path.name: path.stat() for path in volume.glob("*store*")}
    with tarfile.open(volume.parent / "office" / "keyturn-store.tar") as backup:
        assert files.keys() == set(backup.getnames())
    assert {(each.st_mode & 0o777, each.st_uid) for each in files.values()} == {(0o600, 65532)}
    follow("Start")
    eventually(lambda: shown(shop, "orders") != {}, within=180, what="the Secret is back")
    assert site.keyturn("history", "orders", "-n", "shop", "-o", "json") == before


def upgrade_to_one_that_reads_no_secrets(site: Site) -> None:
    before = site.pod_uid
    site.run("upgrade", mode="caged")
    assert site.pod_uid != before


def roll_back_what_never_becomes_ready(site: Site) -> None:
    broken = {**VALUES, "image": {"pullPolicy": "Never", "tag": "none"}}
    with pytest.raises(HelmError):
        site.helm(
            *("upgrade", RELEASE, CHART, "--namespace", HOME, "--wait", "--timeout=5s"),
            values=broken,
        )
    site.helm("rollback", RELEASE, "1", "--namespace", HOME, *WAIT)


def uninstall(site: Site) -> None:
    site.uninstall()
    eventually(lambda: site.home.get(POD) == {}, what="the pod is gone")
