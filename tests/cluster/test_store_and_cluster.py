"""When the store and the cluster disagree, no good Secret is overwritten and nothing forgotten."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from cluster.operating import OperatorProcess, Resource, eventually
from cluster.site import (
    LONGER,
    PASSWORD,
    TOKEN,
    Site,
    history,
    keep_copy,
    put_back,
    reasons,
    states,
)
from keyturn_controlplane.cluster import ControlPlane
from keyturn_controlplane.crds import are_established

CRD = "managedsecrets.keyturn.dev"
CRDS = str(Path(__file__).parents[2] / "crds")
RBAC = str(Path(__file__).parents[2] / "rbac")
BOTH_STAGES = [{"stage": "Current"}, {"stage": "Previous", "keySuffix": "_previous"}]


@pytest.fixture
def site(quiet_site: Site) -> Site:
    return quiet_site


def test_a_lost_store_takes_its_values_from_the_secrets(site: Site) -> None:
    operator = site.started()
    targets = [{"name": "db", "stages": BOTH_STAGES}, {"name": "copy", "creationPolicy": "Orphan"}]
    site.applied(targets=targets)
    before = site.applied(data=[LONGER, TOKEN], targets=targets)
    operator.stop()
    shutil.rmtree(operator.data_dir)

    operator.start()

    eventually(lambda: reasons(operator, site) == ["Imported"])
    eventually(lambda: shown_version(site, "db") == shown_version(site, "copy") == "1")
    site.cluster.wait_ready("db")
    assert site.data() == before
    assert site.data("copy") == {key: before[key] for key in ("password", "token")}


def test_a_lost_store_takes_nothing_from_a_target_that_shows_an_older_version(site: Site) -> None:
    operator = site.started()
    targets = [{"name": "old", "stages": [{"stage": "Previous"}]}, {"name": "db"}]
    site.applied(targets=targets)
    before = site.applied(data=[LONGER], targets=targets)
    operator.stop()
    shutil.rmtree(operator.data_dir)

    operator.start()

    eventually(lambda: reasons(operator, site) == ["Imported"])
    site.cluster.wait_ready("db")
    assert site.data() == before


def test_a_lost_store_leaves_what_it_cannot_read_back_as_it_is(site: Site) -> None:
    operator = site.started()
    targets = [{"name": "db", "template": {"data": {"URL": "postgres://{{ password }}@pg"}}}]
    site.applied(targets=targets)
    before = site.resource_version()
    operator.stop()
    shutil.rmtree(operator.data_dir)

    operator.start()

    condition = site.cluster.wait_reason("db", "StoreRollback")
    assert "password" in condition["message"]
    assert site.resource_version() == before


def test_a_lost_store_makes_anew_what_the_resource_itself_states(site: Site) -> None:
    operator = site.started()
    host = {"key": "host", "value": "pg.example.com"}
    targets = [
        {"name": "db", "template": {"mergePolicy": "Merge", "data": {"host": "at {{ host }}"}}}
    ]
    before = site.applied(data=[PASSWORD, host], targets=targets)
    operator.stop()
    shutil.rmtree(operator.data_dir)

    operator.start()

    eventually(lambda: reasons(operator, site) == ["Imported"])
    site.cluster.wait_ready("db")
    assert site.data() == before


def an_older_store(site: Site) -> tuple[OperatorProcess, Path]:
    """Start with a store that lacks the version that the Secret shows; give a copy that has it."""
    operator = site.started()
    site.applied()
    operator.stop()
    older = keep_copy(operator, "older")
    operator.start()
    site.applied(data=[LONGER])
    operator.stop()
    newer = keep_copy(operator, "newer")
    put_back(operator, older)
    return operator, newer


def test_an_older_store_does_not_touch_the_secret(site: Site) -> None:
    operator, _ = an_older_store(site)
    before = site.resource_version()

    operator.start()

    condition = site.cluster.wait_reason("db", "StoreRollback")
    assert "store ends at version 1" in condition["message"]
    assert site.resource_version() == before
    assert len(history(operator, site.namespace)) == 1


def test_what_is_put_into_an_older_store_does_not_reach_the_secret(site: Site) -> None:
    operator, _ = an_older_store(site)
    before = site.data()
    operator.start()
    site.cluster.wait_reason("db", "StoreRollback")

    operator.keyturn(
        "put", "db", "-n", site.namespace, "--key", "password", stdin=b"for-an-older-store"
    )

    eventually(lambda: "another version 2" in site.cluster.condition("db").get("message", ""))
    assert site.data() == before


def test_an_older_store_takes_the_values_of_the_secret_when_a_person_says_so(site: Site) -> None:
    operator, _ = an_older_store(site)
    before = site.data()
    operator.start()
    message = site.cluster.wait_reason("db", "StoreRollback")["message"]
    command = message.partition("kubectl ")[2].split()

    site.control_plane.kubectl(*command)

    site.cluster.wait_ready("db")
    assert site.data() == before
    assert reasons(operator, site)[0] == "Imported"


def test_a_newer_store_that_is_put_back_goes_on(site: Site) -> None:
    operator, newer = an_older_store(site)
    before = site.data()
    operator.start()
    site.cluster.wait_reason("db", "StoreRollback")
    operator.stop()
    put_back(operator, newer)

    operator.start()

    site.cluster.wait_ready("db")
    assert site.data() == before


def test_a_store_of_another_cluster_is_refused_and_left_alone(
    site: Site, control_plane: ControlPlane
) -> None:
    operator = site.started()
    before = site.applied()
    operator.stop()
    digest = digest_of(operator)
    elsewhere = OperatorProcess(control_plane, operator.folder)

    elsewhere.start(ready=False)

    assert elsewhere.end() == 70
    assert "the store belongs to the cluster" in elsewhere.log
    assert digest_of(operator) == digest
    operator.start()
    site.applied("more")
    assert site.data() == before


def test_without_its_key_the_store_is_not_opened_and_no_new_key_is_made(fresh_site: Site) -> None:
    site, key = fresh_site, ("secret", "keyturn-default-key", "-n", "keyturn-system")
    operator = site.started()
    before = site.applied()
    operator.stop()
    kept = json.loads(site.control_plane.kubectl("get", *key, "-o", "json").stdout)
    site.control_plane.kubectl("delete", *key)

    operator.start(ready=False)

    assert operator.end() == 70
    assert "keyturn-default-key is gone" in operator.log
    assert site.control_plane.kubectl("get", *key, check=False).returncode != 0
    site.control_plane.kubectl("create", "-f", "-", input=json.dumps(as_new(kept)))
    operator.start()
    site.applied("more")
    assert site.data() == before


def test_a_namespace_that_is_no_longer_watched_counts_as_no_deletion(site: Site) -> None:
    operator = site.started()
    before = site.applied()
    operator.stop()
    elsewhere = site.operator(KEYTURN_WATCH_NAMESPACES="default")

    elsewhere.start()

    elsewhere.keyturn("list", "-A")
    assert states(elsewhere, site.namespace) == ["Live"]
    elsewhere.stop()
    operator.start()
    site.cluster.wait_ready("db")
    assert site.data() == before


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "stopped"])
def test_a_deleted_definition_does_not_hang_and_counts_as_no_deletion(
    fresh_site: Site, is_running: bool
) -> None:
    site = fresh_site
    operator = site.started()
    before = site.applied(reclaimPolicy="Delete")
    if not is_running:
        operator.stop()

    site.control_plane.kubectl("delete", "crd", CRD, "--timeout=60s")

    if not is_running:
        operator.start(ready=False)
        eventually(operator.socket.exists)
    eventually(lambda: site.cluster.data("db") is None)
    site.control_plane.kubectl("apply", "--server-side", "-f", CRDS)
    eventually(lambda: is_served(site.control_plane), what="the definition is back")
    eventually(lambda: states(operator, site.namespace) == ["Live"])
    assert site.applied(reclaimPolicy="Delete") == before
    # From here on a deletion is one.
    eventually(lambda: is_deleted(site, operator), within=60)


def is_served(control_plane: ControlPlane) -> bool:
    crd = json.loads(control_plane.kubectl("get", "crd", CRD, "-o", "json").stdout)
    return are_established({"items": [crd]})


def is_deleted(site: Site, operator: OperatorProcess) -> bool:
    if not site.is_gone():
        site.cluster.delete("managedsecrets", "db")
    return states(operator, site.namespace) == []


def test_lost_rights_record_nothing_and_all_goes_on_when_they_are_back(fresh_site: Site) -> None:
    site = fresh_site
    operator = site.started()
    site.applied("goes")
    before = site.applied()
    site.control_plane.kubectl("delete", "clusterrolebinding", "keyturn")
    site.cluster.delete("managedsecrets", "goes")
    site.cluster.apply("db", {"data": [PASSWORD, TOKEN]})
    eventually(lambda: "forbid" in operator.log)
    assert states(operator, site.namespace) == ["Live", "Live"]

    site.control_plane.kubectl("apply", "--server-side", "-f", RBAC)

    eventually(lambda: states(operator, site.namespace) == ["Live", "Deleted"], within=60)
    site.cluster.wait_ready("db", within=60)
    assert site.data()["password"] == before["password"]


def test_an_operator_without_rights_waits_for_them(fresh_site: Site) -> None:
    site = fresh_site
    operator = site.started()
    before = site.applied()
    operator.stop()
    site.control_plane.kubectl("delete", "clusterrolebinding", "keyturn")
    operator.start(ready=False)
    eventually(lambda: "waiting: " in operator.log)

    site.control_plane.kubectl("apply", "--server-side", "-f", RBAC)

    site.cluster.apply("db", {"data": [PASSWORD, TOKEN]})
    site.cluster.wait_ready("db")
    assert site.data()["password"] == before["password"]


def shown_version(site: Site, name: str) -> str:
    secret = site.cluster.get("secrets", name)
    assert secret is not None
    return str(secret["metadata"]["annotations"]["keyturn.dev/version"])


def digest_of(operator: OperatorProcess) -> str:
    return hashlib.sha256((operator.data_dir / "store.sqlite3").read_bytes()).hexdigest()


def as_new(resource: Resource) -> Resource:
    """Strip a resource of what only the cluster sets."""
    metadata = resource["metadata"]
    kept = {name: metadata[name] for name in ("name", "namespace", "labels", "annotations")}
    return {**resource, "metadata": kept}
