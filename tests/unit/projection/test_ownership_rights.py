"""What a ManagedSecret may not take although its author asks for it and no policy is bound."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from keyturn.domain.managed_secret import AdoptionPolicy, CreationPolicy, Target, Template
from keyturn.domain.secret import SecretName
from keyturn.projection.existing import ExistingNativeSecret
from keyturn.projection.ownership import Action, Facts, RefusalReason, decide

OURS, LOST = UUID(int=1), UUID(int=2)
MANAGER = f"keyturn-{OURS}"
NEW = Facts(Target("app"), SecretName("shop", "orders-db"), OURS, AdoptionPolicy.IMPORT)

WITH_RIGHTS = [
    "kubernetes.io/service-account-token",
    "bootstrap.kubernetes.io/token",
    "helm.sh/release.v1",
]


def a_secret(**more: Any) -> ExistingNativeSecret:
    metadata = {"uid": "u1", "annotations": {"keyturn.dev/allow": "orders-db"}, **more}
    return ExistingNativeSecret.of({"metadata": metadata, "type": metadata.pop("type", "Opaque")})


def left_by_a_lost_store(**more: Any) -> ExistingNativeSecret:
    labels = {"keyturn.dev/managed": "true", "keyturn.dev/secret-id": str(LOST)}
    return a_secret(labels=labels, **{"annotations": {}, **more})


@pytest.mark.parametrize("native_type", WITH_RIGHTS)
@pytest.mark.parametrize("policy", [p for p in CreationPolicy if p is not CreationPolicy.NONE])
def test_consent_opens_no_secret_that_gives_rights(
    policy: CreationPolicy, native_type: str
) -> None:
    facts = replace(NEW, target=Target("app", policy))

    decision = decide(facts, a_secret(type=native_type))

    assert decision.reason is RefusalReason.TARGET_OWNED_BY_OTHER
    assert "login to the cluster" in decision.message


def test_what_a_lost_store_left_is_not_for_everybody_who_names_it() -> None:
    decision = decide(NEW, left_by_a_lost_store())

    assert decision.reason is RefusalReason.TARGET_OWNED_BY_OTHER
    assert "keyturn.dev/allow=orders-db" in decision.message


CONTROLLER = [{"kind": "ManagedSecret", "name": "orders-db", "controller": True}]


@pytest.mark.parametrize(
    ("facts", "existing"),
    [
        pytest.param(
            NEW, left_by_a_lost_store(ownerReferences=CONTROLLER), id="the resource it was made for"
        ),
        pytest.param(
            NEW,
            left_by_a_lost_store(annotations={"keyturn.dev/allow": "orders-db"}),
            id="one that its owner lets",
        ),
        pytest.param(
            replace(NEW, author_checked=True),
            left_by_a_lost_store(),
            id="one whose author may write it",
        ),
    ],
)
def test_what_a_lost_store_left_is_for(facts: Facts, existing: ExistingNativeSecret) -> None:
    assert decide(facts, existing).action is Action.IMPORT_LOST_STORE


def merging(**metadata: Any) -> Facts:
    target = Target("app", CreationPolicy.MERGE, template=Template(**metadata))
    return replace(NEW, target=target)


@pytest.mark.parametrize("section", ["labels", "annotations"])
def test_merging_changes_no_metadata_of_others(section: str) -> None:
    theirs = {"annotations": {"keyturn.dev/allow": "orders-db"}, "labels": {}}
    theirs[section] = {**theirs[section], "example.com/team": "them"}
    existing = a_secret(**theirs)

    taken = decide(merging(**{section: {"example.com/team": "us"}}), existing)
    equal = decide(merging(**{section: {"example.com/team": "them"}}), existing)
    other = decide(merging(**{section: {"example.com/more": "us"}}), existing)

    assert taken.reason is RefusalReason.TARGET_OWNED_BY_OTHER
    assert "example.com/team" in taken.message
    assert {equal.action, other.action} == {Action.MERGE}


def test_merging_changes_the_metadata_that_it_wrote() -> None:
    fields: dict[str, Any] = {"f:metadata": {"f:labels": {"f:example.com/team": {}}}}
    existing = a_secret(
        labels={"example.com/team": "before"},
        managedFields=[{"manager": MANAGER, "fieldsV1": fields}],
    )

    decision = decide(merging(labels={"example.com/team": "after"}), existing)

    assert decision.action is Action.MERGE
