"""A value is never lost: whatever is deleted, stopped, killed or full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from canary import Canary
from cluster.operating import OperatorProcess, eventually
from cluster.site import (
    LONGER,
    PASSWORD,
    TOKEN,
    Site,
    end_recovery_windows,
    history,
    listed,
    states,
)
from office import as_root


@pytest.fixture
def site(quiet_site: Site) -> Site:
    return quiet_site


def test_what_is_applied_again_while_the_operator_is_stopped_has_its_values(site: Site) -> None:
    operator = site.started()
    before = site.applied()
    operator.stop()
    site.delete()
    site.cluster.apply("db", {"data": [PASSWORD]})

    operator.start()

    site.cluster.wait_ready("db")
    assert site.data() == before
    assert len(history(operator, site.namespace)) == 1


def test_a_deletion_is_found_on_the_next_start(site: Site) -> None:
    operator = site.started()
    before = site.applied()
    operator.stop()
    site.delete()

    operator.start()

    eventually(lambda: states(operator, site.namespace) == ["Deleted"])
    assert site.applied() == before


def test_another_resource_of_the_same_name_keeps_what_it_still_names(site: Site) -> None:
    operator = site.started()
    before = site.applied()
    operator.stop()
    site.delete()
    site.cluster.apply("db", {"data": [TOKEN, PASSWORD]})

    operator.start()

    site.cluster.wait_ready("db")
    assert site.data()["password"] == before["password"]
    assert site.data().keys() == {"password", "token"}


@pytest.mark.parametrize(("policy", "is_purged"), [("Recover", True), ("Retain", False)])
def test_a_deleted_secret_keeps_its_values_as_its_policy_says(
    site: Site, policy: str, is_purged: bool
) -> None:
    operator = site.started()
    before = site.applied(reclaimPolicy=policy)

    site.delete()

    eventually(lambda: states(operator, site.namespace) == ["Deleted"])
    assert (listed(operator, site.namespace)[0]["purgeTime"] is not None) is is_purged
    assert site.applied(reclaimPolicy=policy) == before


def test_the_policy_delete_destroys_the_values_at_once(site: Site) -> None:
    operator = site.started()
    before = site.applied(reclaimPolicy="Delete")

    site.delete()

    eventually(lambda: states(operator, site.namespace) == [])
    assert site.applied(reclaimPolicy="Delete")["password"] != before["password"]


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        pytest.param({"recoveryWindow": "1h"}, [], id="destroyed after the window"),
        pytest.param({"reclaimPolicy": "Retain"}, ["Deleted"], id="retained for ever"),
    ],
)
def test_the_end_of_the_recovery_window_comes_while_the_operator_is_stopped(
    site: Site, policy: dict[str, str], left: list[str]
) -> None:
    operator = site.started()
    site.applied(**policy)
    site.applied("lives")
    site.delete()
    eventually(lambda: states(operator, site.namespace) == ["Deleted", "Live"])
    operator.stop()
    end_recovery_windows(operator)

    operator.start()

    eventually(lambda: states(operator, site.namespace) == [*left, "Live"])


def test_so_many_at_once_are_destroyed_only_when_it_is_confirmed(site: Site) -> None:
    operator, names = site.started(), [f"db-{number:02}" for number in range(11)]
    for name in names:
        site.cluster.apply(name, {"data": [PASSWORD]})
    for name in names:
        site.cluster.wait_ready(name)
        site.cluster.delete("managedsecrets", name)
    eventually(lambda: states(operator, site.namespace) == ["Deleted"] * 11)
    operator.stop()
    end_recovery_windows(operator)

    operator.start()

    refused = operator.keyturn("purge", check=False)
    assert refused.returncode == 2
    assert b"keyturn purge --confirm" in refused.stderr
    assert "nothing is purged: 11 secrets" in operator.log
    assert states(operator, site.namespace) == ["Deleted"] * 11
    assert operator.keyturn("purge", "--confirm").stdout == b"secrets purged: 11\n"
    assert states(operator, site.namespace) == []


def test_a_namespace_made_anew_while_the_operator_is_stopped_inherits_nothing(site: Site) -> None:
    operator = site.started()
    before = site.applied()
    operator.stop()
    site.control_plane.kubectl("delete", "namespace", site.namespace, "--timeout=60s")
    site.control_plane.kubectl("create", "namespace", site.namespace)
    site.cluster.apply("db", {"data": [PASSWORD]})

    operator.start()

    site.cluster.wait_ready("db")
    assert site.data()["password"] != before["password"]
    assert sorted(states(operator, site.namespace)) == ["Deleted", "Live"]


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "stopped"])
def test_the_deletion_of_a_namespace_does_not_hang(site: Site, is_running: bool) -> None:
    operator = site.started()
    site.applied()
    if not is_running:
        operator.stop()

    site.control_plane.kubectl("delete", "namespace", site.namespace, "--timeout=60s")

    assert site.is_gone()


def test_a_secret_goes_with_its_resource_while_the_operator_is_stopped(site: Site) -> None:
    operator = site.started()
    site.applied()
    operator.stop()

    site.cluster.delete("managedsecrets", "db")

    eventually(lambda: site.cluster.data("db") is None)


def test_a_secret_that_was_left_gets_the_new_resource_for_its_owner(site: Site) -> None:
    site.started()
    before = site.applied()
    site.control_plane.kubectl(
        "delete", "managedsecret", "db", "-n", site.namespace, "--cascade=orphan"
    )
    assert site.data() == before

    site.applied()

    resource, secret = site.cluster.get("managedsecrets", "db"), site.cluster.get("secrets", "db")
    assert resource is not None
    assert secret is not None
    (owner,) = secret["metadata"]["ownerReferences"]
    assert owner["uid"] == resource["metadata"]["uid"]
    assert owner["controller"] is True
    assert owner.get("blockOwnerDeletion", False) is False
    site.delete()


def test_a_renamed_target_leaves_the_old_secret_until_the_new_one_is_right(site: Site) -> None:
    site.started()
    before = site.applied()
    targets = [{"name": "renamed", "template": {"data": {"URL": "{{ nobody }}"}}}]

    site.cluster.apply("db", {"data": [PASSWORD], "targets": targets})

    site.cluster.wait_reason("db", "InvalidTemplate")
    assert site.data() == before
    site.cluster.apply("db", {"data": [PASSWORD], "targets": [{"name": "renamed"}]})
    eventually(lambda: site.cluster.data("renamed") == before)
    eventually(lambda: site.cluster.data("db") is None)


def test_a_kill_between_the_store_and_the_secret_loses_nothing(site: Site) -> None:
    operator = site.started()
    quota = no_more(site, "secrets")
    site.cluster.apply("db", {"data": [PASSWORD]})
    site.cluster.wait_reason("db", "Denied")
    committed = operator.keyturn("get", "db", "-n", site.namespace, "--reveal", "--key", "password")

    operator.kill()
    site.control_plane.kubectl("delete", "resourcequota", quota, "-n", site.namespace)
    operator.start()

    site.cluster.wait_ready("db")
    revealed = operator.keyturn("get", "db", "-n", site.namespace, "--reveal", "--key", "password")
    assert revealed.stdout == committed.stdout
    assert len(history(operator, site.namespace)) == 1


def test_what_cannot_be_restored_stays_deleted(site: Site) -> None:
    operator = site.started()
    site.applied()
    site.delete()
    eventually(lambda: states(operator, site.namespace) == ["Deleted"])
    quota = no_more(site, "managedsecrets.keyturn.dev")

    refused = operator.keyturn("restore", "db", "-n", site.namespace, check=False)

    assert refused.returncode == 5
    eventually(lambda: states(operator, site.namespace) == ["Deleted"])
    site.control_plane.kubectl("delete", "resourcequota", quota, "-n", site.namespace)
    operator.keyturn("restore", "db", "-n", site.namespace)
    site.cluster.wait_ready("db")


def no_more(site: Site, resources: str) -> str:
    """Let nobody make another object of a kind in the namespace; return the name of the quota."""
    name, limit = "no-more", {f"count/{resources}": "0"}
    site.control_plane.kubectl(
        "create", "quota", name, "-n", site.namespace, f"--hard=count/{resources}=0"
    )
    site.control_plane.kubectl(
        *("patch", "resourcequota", name, "-n", site.namespace, "--subresource=status"),
        *("--type=merge", "-p", str({"status": {"hard": limit, "used": limit}}).replace("'", '"')),
    )
    return name


def test_a_second_operator_on_the_same_store_is_refused(site: Site) -> None:
    operator = site.started()
    before = site.applied()
    second = OperatorProcess(
        site.control_plane,
        site.folder / "second",
        environment={"KEYTURN_DATA_DIR": str(operator.data_dir), "KEYTURN_STORE_WAIT": "0s"},
    )

    second.start(ready=False)

    assert second.end() == 70
    assert f"is open in process {operator.pid}" in second.log
    operator.keyturn("list")
    assert site.data() == before


@contextmanager
def disk(folder: Path) -> Iterator[Path]:
    """A disk of its own at a folder."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all the space that is left; return the file to delete."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                os.sync()
        except OSError:
            return ballast
    raise AssertionError("the disk has no end")


@as_root
def test_a_full_disk_is_reported_and_when_there_is_space_all_goes_on(
    site: Site, canary: Canary
) -> None:
    operator = site.operator()
    with disk(operator.data_dir) as folder:
        operator.start()
        before = site.applied()
        ballast = fill(folder)
        site.cluster.apply("late", {"data": [PASSWORD]})
        site.cluster.apply("db", {"data": [PASSWORD, TOKEN]})
        assert "full" in site.cluster.wait_reason("db", "StorageFull")["message"]
        assert "full" in site.cluster.wait_reason("late", "StorageFull")["message"]
        assert site.data() == before

        ballast.unlink()

        site.cluster.wait_ready("late", within=60)
        site.cluster.wait_ready("db", within=60)
        assert site.data()["password"] == before["password"]
        assert canary.scan_tree(folder) == []
        operator.stop()


@as_root
def test_on_a_read_only_disk_nothing_is_lost(site: Site) -> None:
    operator = site.operator()
    with disk(operator.data_dir) as folder:
        operator.start()
        before = site.applied()
        operator.stop()
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        operator.start(ready=False)
        assert operator.end() == 6
        assert "is on a read-only disk" in operator.log

        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)

        operator.start()
        site.cluster.apply("db", {"data": [PASSWORD, TOKEN]})
        site.cluster.wait_ready("db")
        assert site.data()["password"] == before["password"]
        operator.stop()


def test_a_change_while_the_operator_is_stopped_is_made_on_its_start(site: Site) -> None:
    operator = site.started()
    before = site.applied()
    operator.stop()
    site.cluster.apply("db", {"data": [LONGER]})

    operator.start()

    site.cluster.wait_ready("db")
    assert site.data() != before
    assert [version["stage"] for version in history(operator, site.namespace)] == [
        "Current",
        "Previous",
    ]
