"""What is watched for a ManagedSecret, so that a change of it is heard of at once."""

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from keyturn import plugins
from keyturn.domain.recovery import Retention
from keyturn.domain.secret import Projected, Secret, SecretName
from keyturn.domain.stage import Stages
from keyturn.kube.following import FollowedObject
from keyturn.kube.resources import parse
from keyturn.services.generating import Generating
from keyturn.services.sourcing import Sourcing

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def sourcing() -> Sourcing:
    generating = Generating(plugins.load("keyturn.generators"), None, lambda: NOW)
    nobody = cast(Any, None)
    return Sourcing(nobody, generating, nobody, nobody, nobody, nobody)


def a_secret(*projected: str) -> Secret:
    return Secret(
        id=UUID(int=1),
        namespace_uid="uid",
        name=SecretName("shop", "db"),
        resource_uid="uid",
        created_at=NOW,
        stages=Stages(),
        retention=Retention(),
        projected=tuple(
            Projected(name, "uid", "1", 1, "", "", owned=True, keys=()) for name in projected
        ),
    )


def followed(
    sourcing: Sourcing, secret: Secret, *, has_failed: bool = False, **spec: Any
) -> frozenset[FollowedObject]:
    metadata = {"name": "db", "namespace": "shop", "uid": "uid"}
    spec = {"data": [{"key": "user", "value": "orders"}], **spec}
    resource = parse(
        {"metadata": metadata, "spec": spec}, outputs_of=sourcing._generating.outputs_of
    )
    return sourcing._to_follow(resource, secret, has_failed=has_failed)


def test_every_source_is_followed(sourcing: Sourcing) -> None:
    data = [
        {"key": "host", "valueFrom": {"configMapKeyRef": {"name": "orders", "key": "host"}}},
        {"key": "token", "valueFrom": {"secretKeyRef": {"name": "other", "key": "token"}}},
        {"key": "tls", "generate": {"tls": {"commonName": "db", "caSecretRef": {"name": "ca"}}}},
    ]

    found = followed(sourcing, a_secret("db"), data=data)

    assert found == {
        ("configmaps", "shop", "orders"),
        ("secrets", "shop", "other"),
        ("secrets", "shop", "ca"),
    }


def test_what_stands_in_the_way_of_a_target_is_followed(sourcing: Sourcing) -> None:
    targets = [{"name": "written"}, {"name": "taken"}, {"name": "no", "creationPolicy": "None"}]

    found = followed(sourcing, a_secret("written"), has_failed=True, targets=targets)

    assert found == {("secrets", "shop", "taken")}


def test_a_target_is_not_followed_as_long_as_nothing_is_wrong(sourcing: Sourcing) -> None:
    assert followed(sourcing, a_secret()) == frozenset()
