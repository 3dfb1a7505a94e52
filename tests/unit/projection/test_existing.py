from typing import Any
from uuid import UUID

import pytest

from keyturn.projection.existing import ExistingNativeSecret


def an_item(**metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "app", "uid": "u1", "resourceVersion": "5", **metadata}}


def existing(**metadata: Any) -> ExistingNativeSecret:
    return ExistingNativeSecret.of(an_item(**metadata))


def test_bare_metadata_is_read() -> None:
    secret = existing()

    assert (secret.uid, secret.resource_version) == ("u1", "5")
    assert (secret.labels, secret.annotations, secret.managers) == ({}, {}, {})
    assert secret.version == 0
    assert not any((secret.deleting, secret.is_made_by_keyturn, secret.is_to_be_taken_over))


def test_metadata_that_is_null_is_read_as_empty() -> None:
    secret = existing(labels=None, annotations=None, ownerReferences=None, managedFields=None)

    assert secret == existing()


@pytest.mark.parametrize(
    ("labels", "made"),
    [
        ({"keyturn.dev/managed": "true", "keyturn.dev/secret-id": str(UUID(int=1))}, True),
        ({"keyturn.dev/managed": "merge", "keyturn.dev/secret-id": str(UUID(int=1))}, False),
        ({"keyturn.dev/managed": "true", "keyturn.dev/secret-id": "x"}, False),
        ({"keyturn.dev/managed": "true"}, False),
    ],
)
def test_only_both_marks_say_that_we_made_it(labels: dict[str, str], *, made: bool) -> None:
    assert existing(labels=labels).is_made_by_keyturn is made


@pytest.mark.parametrize(
    ("text", "version"),
    [("7", 7), ("", 0), ("-7", 0), ("7.0", 0), ("\u0667", 0), ("9" * 19, 0), ("import", 0)],
)
def test_a_version_that_is_no_number_says_nothing(text: str, version: int) -> None:
    assert existing(annotations={"keyturn.dev/version": text}).version == version


def test_a_person_may_ask_to_take_the_values_over() -> None:
    assert existing(annotations={"keyturn.dev/version": "import"}).is_to_be_taken_over


@pytest.mark.parametrize(
    ("allow", "allowed"),
    [
        ("orders", True),
        ("other, orders", True),
        ("other,orders ,", True),
        ("orders-db", False),
        ("*", False),
        ("", False),
    ],
)
def test_the_opt_in_names_each_managed_secret_in_full(allow: str, *, allowed: bool) -> None:
    assert existing(annotations={"keyturn.dev/allow": allow}).allows("orders") is allowed


@pytest.mark.parametrize(
    ("references", "controlled"),
    [
        ([], False),
        ([{"kind": "ConfigMap", "name": "x", "uid": "u"}], False),
        ([{"kind": "ManagedSecret", "name": "orders", "uid": "old", "controller": True}], False),
        ([{"kind": "ManagedSecret", "name": "other", "uid": "u", "controller": True}], True),
        ([{"kind": "ExternalSecret", "name": "orders", "uid": "u", "controller": True}], True),
    ],
)
def test_a_controller_is_another_unless_it_is_the_same_resource_made_anew(
    references: list[dict[str, Any]], *, controlled: bool
) -> None:
    assert existing(ownerReferences=references).is_controlled_by_other("orders") is controlled


def test_the_writers_of_keys_are_read_from_the_managed_fields() -> None:
    fields = [
        {"manager": "helm", "fieldsV1": {"f:data": {".": {}, "f:a": {}, "f:tls.crt": {}}}},
        {"manager": "kubectl", "fieldsV1": {"f:metadata": {"f:labels": {}}}},
        {"manager": "empty"},
    ]

    assert existing(managedFields=fields).managers == {"a": "helm", "tls.crt": "helm"}


def test_a_key_without_a_writer_is_somebodys() -> None:
    item = an_item(managedFields=[{"manager": "helm", "fieldsV1": {"f:data": {"f:a": {}}}}])

    secret = ExistingNativeSecret.of({**item, "data": {"a": "eA==", "b": "eA=="}})

    assert secret.managers == {"a": "helm", "b": "somebody"}


def test_one_that_is_being_deleted_says_so() -> None:
    assert existing(deletionTimestamp="2030-01-01T00:00:00Z").deleting
