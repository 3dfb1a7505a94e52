"""The stories of the README, told end to end on a real apiserver."""

import base64
from collections.abc import Callable

import pytest

from canary import Canary
from cluster.operating import Cluster, OperatorProcess, eventually
from cluster.site import states
from keyturn_controlplane.cluster import ControlPlane

PASSWORD = {"key": "password", "generate": {"password": {"length": 24}}}
USERNAME = {"key": "username", "value": "orders"}

Watched = Callable[..., dict[str, str]]


@pytest.fixture(autouse=True)
def operator(shared_operator: OperatorProcess) -> OperatorProcess:
    return shared_operator


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def plain(data: dict[str, str] | None, key: str) -> bytes:
    assert data is not None
    return base64.b64decode(data[key])


def synced(cluster: Cluster, canary: Canary, name: str = "db") -> dict[str, str]:
    """Wait for a ManagedSecret and return its projected data; each value is a canary from then."""
    cluster.wait_ready(name)
    data = cluster.data(name)
    assert data is not None
    for key, value in data.items():
        if key != "username" and len(base64.b64decode(value)) >= 8:
            canary.register(base64.b64decode(value))
    return data


def test_a_managed_secret_becomes_a_secret(cluster: Cluster, canary: Canary) -> None:
    cluster.apply("db", {"data": [USERNAME, PASSWORD]})

    data = synced(cluster, canary)

    assert plain(data, "username") == b"orders"
    assert len(plain(data, "password")) == 24


def test_deleting_and_applying_again_gives_the_same_values(
    cluster: Cluster, canary: Canary
) -> None:
    cluster.apply("db", {"data": [PASSWORD]})
    before = synced(cluster, canary)

    cluster.delete("managedsecrets", "db")
    eventually(lambda: cluster.data("db") is None, what="the Secret went with its resource")
    cluster.apply("db", {"data": [PASSWORD]})

    cluster.wait_ready("db")
    assert cluster.data("db") == before


def test_a_new_key_does_not_regenerate_the_others(cluster: Cluster, canary: Canary) -> None:
    cluster.apply("db", {"data": [PASSWORD]})
    before = synced(cluster, canary)

    cluster.apply("db", {"data": [PASSWORD, {"key": "token", "generate": {"hex": {"bytes": 16}}}]})

    after = synced(cluster, canary)
    assert after["password"] == before["password"]
    assert len(plain(after, "token")) == 32


def test_a_removed_key_goes_from_the_secret(cluster: Cluster, canary: Canary) -> None:
    token = {"key": "token", "generate": {"hex": {}}}
    cluster.apply("db", {"data": [PASSWORD, token]})
    before = synced(cluster, canary)

    cluster.apply("db", {"data": [PASSWORD]})

    cluster.wait_ready("db")
    assert cluster.data("db") == {"password": before["password"]}


def test_a_change_of_a_generator_makes_only_that_key_anew(cluster: Cluster, canary: Canary) -> None:
    token = {"key": "token", "generate": {"hex": {"bytes": 16}}}
    cluster.apply("db", {"data": [PASSWORD, token]})
    before = synced(cluster, canary)

    longer = {"key": "password", "generate": {"password": {"length": 40}}}
    cluster.apply("db", {"data": [longer, token]})

    after = synced(cluster, canary)
    assert len(plain(after, "password")) == 40
    assert after["token"] == before["token"]


def test_a_secret_edited_by_hand_is_put_right(cluster: Cluster, canary: Canary) -> None:
    cluster.apply("db", {"data": [PASSWORD]})
    before = synced(cluster, canary)

    cluster.patch("secrets", "db", {"data": {"password": encoded("edited-by-hand")}})

    eventually(lambda: cluster.data("db") == before, what="the drift is corrected")


def test_a_secret_deleted_by_hand_is_made_again(cluster: Cluster, canary: Canary) -> None:
    cluster.apply("db", {"data": [PASSWORD]})
    before = synced(cluster, canary)

    cluster.delete("secrets", "db")

    eventually(lambda: cluster.data("db") == before, what="the Secret is back")


def test_labels_taken_off_by_hand_are_put_back(cluster: Cluster, canary: Canary) -> None:
    cluster.apply("db", {"data": [PASSWORD]})
    synced(cluster, canary)

    cluster.patch("secrets", "db", {"metadata": {"labels": {"keyturn.dev/secret-id": None}}})

    def labelled() -> bool:
        secret = cluster.get("secrets", "db") or {}
        return "keyturn.dev/secret-id" in secret["metadata"]["labels"]

    eventually(labelled)


def test_a_key_that_others_add_stays(cluster: Cluster, canary: Canary) -> None:
    cluster.apply("db", {"data": [PASSWORD]})
    synced(cluster, canary)
    cluster.patch("secrets", "db", {"data": {"theirs": encoded("kept")}})

    cluster.apply("db", {"data": [PASSWORD, {"key": "more", "generate": {"uuid": {}}}]})

    after = synced(cluster, canary)
    assert plain(after, "theirs") == b"kept"
    assert set(after) == {"password", "more", "theirs"}


def test_drift_is_only_reported_where_the_target_says_so(cluster: Cluster, canary: Canary) -> None:
    cluster.apply("db", {"data": [PASSWORD], "targets": [{"name": "db", "drift": "Report"}]})
    synced(cluster, canary)

    cluster.patch("secrets", "db", {"data": {"password": encoded("edited-by-hand")}})

    eventually(lambda: cluster.condition("db", "Drifted").get("status") == "True")
    assert "password" in cluster.condition("db", "Drifted")["message"]
    assert plain(cluster.data("db"), "password") == b"edited-by-hand"


def test_a_foreign_secret_is_never_touched(cluster: Cluster) -> None:
    theirs = {"metadata": {"name": "db"}, "data": {"password": encoded("theirs")}}
    before = cluster.create("secrets", theirs)

    cluster.apply("db", {"data": [PASSWORD]})

    condition = cluster.wait_reason("db", "TargetOwnedByOther")
    assert "adoptionPolicy: Import" in condition["message"]
    after = cluster.get("secrets", "db")
    assert after is not None
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_an_existing_secret_becomes_version_1_without_a_byte_changed(
    cluster: Cluster, canary: Canary
) -> None:
    value = canary.make(20)
    cluster.create(
        "secrets",
        {
            "metadata": {"name": "db", "annotations": {"keyturn.dev/allow": "db"}},
            "data": {"password": encoded(value)},
        },
    )

    cluster.apply("db", {"data": [PASSWORD], "adoptionPolicy": "Import"})

    cluster.wait_ready("db")
    assert plain(cluster.data("db"), "password") == value
    status = (cluster.get("managedsecrets", "db") or {})["status"]
    assert status["currentVersion"] == 1
    assert status["history"][0]["reason"] == "Imported"


def test_an_import_needs_the_consent_of_the_owner(cluster: Cluster) -> None:
    theirs = {"metadata": {"name": "db"}, "data": {"password": encoded("theirs-for-now")}}
    cluster.create("secrets", theirs)
    cluster.apply("db", {"data": [PASSWORD], "adoptionPolicy": "Import"})
    condition = cluster.wait_reason("db", "TargetOwnedByOther")
    assert "keyturn.dev/allow=db" in condition["message"]

    cluster.patch("secrets", "db", {"metadata": {"annotations": {"keyturn.dev/allow": "db"}}})

    cluster.wait_ready("db")
    assert plain(cluster.data("db"), "password") == b"theirs-for-now"


def test_a_value_waits_for_its_input(
    cluster: Cluster, operator: OperatorProcess, canary: Canary
) -> None:
    value = canary.make(24)
    cluster.apply("db", {"data": [USERNAME, {"key": "apiToken", "input": {}}]})
    condition = cluster.wait_reason("db", "AwaitingInput")
    assert "keyturn put db" in condition["message"]
    assert cluster.data("db") is None

    operator.keyturn("put", "db", "-n", cluster.namespace, "--key", "apiToken", stdin=value)

    cluster.wait_ready("db")
    assert plain(cluster.data("db"), "apiToken") == value


def test_a_config_map_is_followed(cluster: Cluster, canary: Canary) -> None:
    cluster.create("configmaps", {"metadata": {"name": "orders"}, "data": {"host": "pg-1"}})
    host = {"key": "host", "valueFrom": {"configMapKeyRef": {"name": "orders", "key": "host"}}}
    cluster.apply("db", {"data": [PASSWORD, host]})
    before = synced(cluster, canary)

    cluster.patch("configmaps", "orders", {"data": {"host": "pg-2"}})

    eventually(lambda: plain(cluster.data("db"), "host") == b"pg-2")
    assert (cluster.data("db") or {})["password"] == before["password"]


def test_a_missing_source_is_awaited(cluster: Cluster) -> None:
    host = {"key": "host", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "host"}}}
    cluster.apply("db", {"data": [host]})
    assert "late" in cluster.wait_reason("db", "SourceNotFound")["message"]

    cluster.create("configmaps", {"metadata": {"name": "late"}, "data": {"host": "pg-1"}})

    cluster.wait_ready("db")


def test_current_and_previous_stand_side_by_side(cluster: Cluster, canary: Canary) -> None:
    stages = [{"stage": "Current"}, {"stage": "Previous", "keySuffix": "_previous"}]
    targets = [{"name": "db", "stages": stages}]
    cluster.apply("db", {"data": [PASSWORD], "targets": targets})
    before = synced(cluster, canary)

    longer = {"key": "password", "generate": {"password": {"length": 40}}}
    cluster.apply("db", {"data": [longer], "targets": targets})

    after = synced(cluster, canary)
    assert set(after) == {"password", "password_previous"}
    assert after["password_previous"] == before["password"]


def test_a_template_renders_the_values(cluster: Cluster, canary: Canary) -> None:
    template = {"data": {"DATABASE_URL": "postgres://{{ username }}:{{ password | urlencode }}@pg"}}
    targets = [{"name": "db", "template": template}]
    cluster.apply("db", {"data": [USERNAME, PASSWORD], "targets": targets})

    data = synced(cluster, canary)

    assert set(data) == {"DATABASE_URL"}
    assert plain(data, "DATABASE_URL").startswith(b"postgres://orders:")


def test_a_template_with_a_missing_key_names_it(cluster: Cluster) -> None:
    targets = [{"name": "db", "template": {"data": {"URL": "{{ nobody }}"}}}]
    cluster.apply("db", {"data": [USERNAME], "targets": targets})

    condition = cluster.wait_reason("db", "InvalidTemplate")

    assert "nobody" in condition["message"]
    assert cluster.data("db") is None


def test_a_target_that_is_renamed_takes_the_old_secret_along(
    cluster: Cluster, canary: Canary
) -> None:
    cluster.apply("db", {"data": [PASSWORD]})
    before = synced(cluster, canary)

    cluster.apply("db", {"data": [PASSWORD], "targets": [{"name": "renamed"}]})

    eventually(lambda: cluster.data("renamed") == before)
    eventually(lambda: cluster.data("db") is None)


def test_an_immutable_secret_is_replaced_by_a_new_one(cluster: Cluster, canary: Canary) -> None:
    targets = [{"name": "db", "immutable": True}]
    cluster.apply("db", {"data": [PASSWORD], "targets": targets})
    before = synced(cluster, canary)

    longer = {"key": "password", "generate": {"password": {"length": 40}}}
    cluster.apply("db", {"data": [longer], "targets": targets})

    eventually(lambda: len(plain(cluster.data("db") or before, "password")) == 40)
    assert (cluster.get("secrets", "db") or {})["immutable"] is True


def test_keys_are_merged_into_a_secret_of_somebody_else(cluster: Cluster, canary: Canary) -> None:
    cluster.create(
        "secrets",
        {
            "metadata": {"name": "theirs", "annotations": {"keyturn.dev/allow": "db"}},
            "data": {"own": encoded("stays")},
        },
    )

    targets = [{"name": "theirs", "creationPolicy": "Merge"}]
    cluster.apply("db", {"data": [PASSWORD], "targets": targets})

    cluster.wait_ready("db")
    data = cluster.data("theirs")
    assert plain(data, "own") == b"stays"
    assert len(plain(data, "password")) == 24


def test_an_orphan_stays_when_its_resource_goes(
    cluster: Cluster, operator: OperatorProcess, canary: Canary
) -> None:
    targets = [{"name": "db", "creationPolicy": "Orphan"}]
    cluster.apply("db", {"data": [PASSWORD], "targets": targets})
    before = synced(cluster, canary)

    cluster.delete("managedsecrets", "db")

    eventually(lambda: states(operator, cluster.namespace) == ["Deleted"])
    assert cluster.data("db") == before
    # By these the garbage collection would take it later.
    assert "ownerReferences" not in (cluster.get("secrets", "db") or {})["metadata"]


def test_two_resources_cannot_write_one_secret(cluster: Cluster, canary: Canary) -> None:
    cluster.apply("first", {"data": [PASSWORD], "targets": [{"name": "db"}]})
    cluster.wait_ready("first")

    cluster.apply("second", {"data": [PASSWORD], "targets": [{"name": "db"}]})

    assert "first" in cluster.wait_reason("second", "TargetOwnedByOther")["message"]


def test_a_rollback_is_not_rolled_forward(
    cluster: Cluster, operator: OperatorProcess, canary: Canary
) -> None:
    cluster.apply("db", {"data": [PASSWORD]})
    first = synced(cluster, canary)
    longer = {"key": "password", "generate": {"password": {"length": 40}}}
    cluster.apply("db", {"data": [longer]})
    synced(cluster, canary)

    operator.keyturn("rollback", "db", "-n", cluster.namespace, "--to", "1")

    eventually(lambda: cluster.data("db") == first, what="version 1 is projected again")
    cluster.patch("managedsecrets", "db", {"spec": {"description": "touched"}})
    # For the new generation: the edit was looked at.
    cluster.wait_ready("db")
    assert cluster.condition("db")["message"].startswith("Version 1 ")
    assert cluster.data("db") == first


def test_restore_makes_a_deleted_resource_again(
    cluster: Cluster, operator: OperatorProcess, canary: Canary
) -> None:
    cluster.apply("db", {"data": [PASSWORD]}, labels={"team": "shop"})
    before = synced(cluster, canary)
    cluster.delete("managedsecrets", "db")
    eventually(lambda: cluster.data("db") is None)

    operator.keyturn("restore", "db", "-n", cluster.namespace)

    cluster.wait_ready("db")
    assert cluster.data("db") == before
    resource = cluster.get("managedsecrets", "db")
    assert resource is not None
    assert resource["metadata"]["labels"] == {"team": "shop"}


def test_a_namespace_made_anew_inherits_nothing(
    cluster: Cluster, control_plane: ControlPlane, canary: Canary
) -> None:
    cluster.apply("db", {"data": [PASSWORD]})
    before = synced(cluster, canary)

    control_plane.kubectl("delete", "namespace", cluster.namespace, "--timeout=60s")
    control_plane.kubectl("create", "namespace", cluster.namespace)
    cluster.apply("db", {"data": [PASSWORD]})

    assert synced(cluster, canary)["password"] != before["password"]


def test_nothing_puts_a_finalizer_or_an_annotation_on_the_resource(
    cluster: Cluster, canary: Canary
) -> None:
    cluster.apply("db", {"data": [PASSWORD]})
    synced(cluster, canary)

    resource = cluster.get("managedsecrets", "db")

    assert resource is not None
    assert "finalizers" not in resource["metadata"]
    assert "annotations" not in resource["metadata"]
