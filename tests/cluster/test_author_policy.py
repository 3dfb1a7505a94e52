"""The author policy: what a ManagedSecret reads and writes, its author may read and write."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

import pytest

from apiserver import (
    APPLY_PATCH,
    Answer,
    Apiserver,
    a_managed_secret,
    a_namespace,
    core,
    managed_secrets,
)
from canary import Canary
from cluster.operating import eventually
from cluster.people import Rule, a_person, may

AUTHOR = "ValidatingAdmissionPolicy 'keyturn-author'"

Needs = Sequence[tuple[str, str, str]]
"""The rights (verb, plural, name) that a ManagedSecret asks of its author; no name is all."""


@pytest.fixture(scope="module", autouse=True)
def both_policies(enforced: None) -> None:
    """No request is sent before the policies are enforced."""


@pytest.fixture(scope="module")
def shop(apiserver: Apiserver) -> Iterator[str]:
    """A namespace for the people of these tests; they only ask, and change nothing."""
    with a_namespace(apiserver) as name:
        yield name


def create(person: Apiserver, namespace: str, resource: Mapping[str, Any]) -> Answer:
    """Have a resource checked; nothing is stored."""
    return person.request("POST", managed_secrets(namespace), resource, dryRun="All")


def is_let(answer: Answer) -> bool:
    """Tell whether the policy let a request through; any other refusal fails the test."""
    assert answer.is_ok or (answer.is_forbidden and AUTHOR in answer.message), answer.message
    return answer.is_ok


def a_source(kind: str, name: str, key: str = "copy") -> dict[str, Any]:
    if kind == "caSecretRef":
        tls = {"commonName": "orders", "caSecretRef": {"name": name}}
        return {"key": key, "generate": {"tls": tls}}
    return {"key": key, "valueFrom": {kind: {"name": name, "key": "k"}}}


def reading(kind: str, *names: str, **spec: Any) -> dict[str, Any]:
    data = [a_source(kind, name, f"k{number}") for number, name in enumerate(names)]
    return a_managed_secret(data=data, **{"targets": [NOWHERE], **spec})


def writing(*names: str, policy: str = "Owner", **spec: Any) -> dict[str, Any]:
    targets = [{"name": name, "creationPolicy": policy} for name in names]
    return a_managed_secret(targets=targets, **spec)


NOWHERE = {"name": "orders", "creationPolicy": "None"}

CREATE = ("create", "secrets", "")
WRITE_ORDERS: Needs = [CREATE, ("patch", "secrets", "orders")]
GET_ORDERS = ("get", "secrets", "orders")
GET_SOURCE = ("get", "secrets", "source")

RESOURCES: dict[str, tuple[dict[str, Any], Needs]] = {
    "writes the Secret of its name": (a_managed_secret(), WRITE_ORDERS),
    "writes no Secret": (a_managed_secret(targets=[NOWHERE]), []),
    "writes a Secret that it leaves": (writing("orders", policy="Orphan"), WRITE_ORDERS),
    "writes two Secrets": (
        writing("orders", "second"),
        [*WRITE_ORDERS, ("patch", "secrets", "second")],
    ),
    "merges": (writing("orders", policy="Merge"), [*WRITE_ORDERS, GET_ORDERS]),
    "creates or merges": (writing("orders", policy="CreateOrMerge"), [*WRITE_ORDERS, GET_ORDERS]),
    "imports": (a_managed_secret(adoptionPolicy="Import"), [*WRITE_ORDERS, GET_ORDERS]),
    "imports into the target that it names": (
        writing("orders", adoptionPolicy="Import"),
        [*WRITE_ORDERS, GET_ORDERS],
    ),
    "imports nothing": (a_managed_secret(adoptionPolicy="Import", targets=[NOWHERE]), []),
    "fails where a Secret exists": (a_managed_secret(adoptionPolicy="Fail"), WRITE_ORDERS),
    "reads a Secret": (reading("secretKeyRef", "source"), [GET_SOURCE]),
    "reads a ConfigMap": (
        reading("configMapKeyRef", "source"),
        [("get", "configmaps", "source")],
    ),
    "signs by a Secret": (reading("caSecretRef", "source"), [GET_SOURCE]),
    "reads two Secrets": (
        reading("secretKeyRef", "source", "second"),
        [GET_SOURCE, ("get", "secrets", "second")],
    ),
    "reads one Secret and writes another": (
        reading("secretKeyRef", "source", targets=[{"name": "orders"}]),
        [GET_SOURCE, *WRITE_ORDERS],
    ),
}

WRITES = [may("create", "secrets"), may("patch", "secrets", "orders")]

USE_ONE: Needs = [("use", "rotators.keyturn.dev", "main")]
USE_ANY: Needs = [("use", "clusterrotators.keyturn.dev", "main")]


def rotating(kind: str, name: str = "main", **spec: Any) -> dict[str, Any]:
    rotation = {"rotatorRef": {"kind": kind, "name": name}, "strategy": "SingleUser"}
    password = {"key": "password", "generate": {"password": {}}}
    data = [{"key": "username", "value": "orders"}, password]
    return a_managed_secret(data=data, rotation=rotation, **{"targets": [NOWHERE], **spec})


RESOURCES |= {
    "is rotated by a Rotator": (rotating("Rotator"), USE_ONE),
    "is rotated by a ClusterRotator": (rotating("ClusterRotator"), USE_ANY),
    "is rotated and writes": (
        rotating("Rotator", targets=[{"name": "orders"}]),
        [*USE_ONE, *WRITE_ORDERS],
    ),
    "is made anew, by no rotator": (
        a_managed_secret(
            data=[{"key": "password", "generate": {"password": {}}}],
            rotation={"interval": "30d"},
            targets=[NOWHERE],
        ),
        [],
    ),
}

PEOPLE: dict[str, Sequence[Rule]] = {
    "nothing": [],
    "create": [may("create", "secrets")],
    "patch": [may("patch", "secrets")],
    "update is not patch": [may("create update", "secrets")],
    "write all": [may("create patch", "secrets")],
    "write one": WRITES,
    "list is not get": [may("list watch", "secrets configmaps"), *WRITES],
    "read all": [may("get", "secrets configmaps")],
    "read secrets": [may("get", "secrets")],
    "read configmaps": [may("get", "configmaps")],
    "read the source": [may("get", "secrets", "source")],
    "read the configmap": [may("get", "configmaps", "source")],
    "read the target, write it": [may("get", "secrets", "orders"), *WRITES],
    "read the source, write one": [may("get", "secrets", "source"), *WRITES],
    "read both sources": [may("get", "secrets", "source", "second")],
    "read and write all": [may("get create patch", "secrets")],
    "everything": [may("*", "*")],
    "use rotators": [may("use", "rotators", group="keyturn.dev")],
    "use the rotator": [may("use", "rotators", "main", group="keyturn.dev")],
    "use another rotator": [may("use", "rotators", "other", group="keyturn.dev")],
    "use the rotator, write one": [may("use", "rotators", "main", group="keyturn.dev"), *WRITES],
    "get is not use": [may("get list watch create patch", "rotators", group="keyturn.dev")],
    "use in the namespace": [may("use", "rotators clusterrotators", group="keyturn.dev")],
}


@pytest.fixture(scope="module")
def people(apiserver: Apiserver, shop: str) -> dict[str, Apiserver]:
    return {
        rights: a_person(apiserver, shop, f"person-{number}", *rules)
        for number, (rights, rules) in enumerate(PEOPLE.items())
    }


@pytest.fixture(scope="module")
def can_i(people: dict[str, Apiserver], shop: str) -> Callable[[str, str, str, str], bool]:
    """Ask what `kubectl auth can-i` asks, once for each right: nobody gets another one here."""

    @cache
    def ask(rights: str, verb: str, plural: str, name: str) -> bool:
        where = "" if plural.startswith("cluster") else shop
        return people[rights].may(verb, plural, where, name)

    return ask


@pytest.mark.parametrize("rights", PEOPLE)
@pytest.mark.parametrize(("resource", "needs"), RESOURCES.values(), ids=RESOURCES.keys())
def test_decides_as_can_i_does(
    people: dict[str, Apiserver],
    can_i: Callable[[str, str, str, str], bool],
    shop: str,
    resource: dict[str, Any],
    needs: Needs,
    rights: str,
) -> None:
    answer = create(people[rights], shop, resource)

    assert is_let(answer) == all(can_i(rights, *need) for need in needs)


@pytest.mark.parametrize(
    ("rights", "resource", "message"),
    [
        pytest.param(
            "write one",
            reading("secretKeyRef", "source"),
            "you may not get the Secret source, whose values this ManagedSecret reads",
            id="a Secret that is read",
        ),
        pytest.param(
            "write one",
            reading("configMapKeyRef", "source"),
            "you may not get the ConfigMap source, which this ManagedSecret reads",
            id="a ConfigMap that is read",
        ),
        pytest.param(
            "create",
            writing("orders"),
            "you may not patch the Secret orders, which this ManagedSecret writes",
            id="a Secret that is written",
        ),
        pytest.param(
            "patch", writing("orders"), "you may not create Secrets in this namespace", id="any"
        ),
        pytest.param(
            "nothing",
            rotating("Rotator"),
            "you may not use the Rotator main, by which this ManagedSecret changes credentials",
            id="a Rotator",
        ),
        pytest.param(
            "use in the namespace",
            rotating("ClusterRotator"),
            "ask for the verb use on clusterrotators, for all or for that name",
            id="a ClusterRotator",
        ),
    ],
)
def test_says_what_to_ask_for(
    people: dict[str, Apiserver], shop: str, rights: str, resource: dict[str, Any], message: str
) -> None:
    answer = create(people[rights], shop, resource)

    assert not is_let(answer)
    assert message in answer.message


KINDS = {
    "Secrets": ("secretKeyRef", "secrets", 8),
    "authorities": ("caSecretRef", "secrets", 8),
    "ConfigMaps": ("configMapKeyRef", "configmaps", 4),
}

PLACES = [
    pytest.param(kind, place, id=f"{what} {place + 1}")
    for what, (kind, _, count) in KINDS.items()
    for place in range(count)
]


@pytest.fixture(scope="module")
def reader(apiserver: Apiserver, shop: str) -> Apiserver:
    """Somebody who may get nine objects by name."""
    names = [f"open-{number}" for number in range(9)]
    return a_person(apiserver, shop, "reader", may("get", "secrets configmaps", *names))


@pytest.mark.parametrize(("kind", "place"), PLACES)
def test_each_source_is_checked_at_whatever_place_it_stands(
    reader: Apiserver, shop: str, kind: str, place: int
) -> None:
    names = [f"open-{number}" for number in range(8 if kind != "configMapKeyRef" else 4)]
    assert is_let(create(reader, shop, reading(kind, *names)))

    names[place] = "closed"
    answer = create(reader, shop, reading(kind, *names))

    assert not is_let(answer)
    assert "closed" in answer.message


@pytest.mark.parametrize(("kind", "plural", "count"), KINDS.values(), ids=KINDS.keys())
def test_more_sources_than_are_asked_for_by_name_need_the_right_to_all(
    reader: Apiserver, people: dict[str, Apiserver], shop: str, kind: str, plural: str, count: int
) -> None:
    resource = reading(kind, *(f"open-{number}" for number in range(count + 1)))

    by_name = create(reader, shop, resource)
    by_right_to_all = create(people["read all"], shop, resource)

    assert not is_let(by_name)
    assert f"the right to get all {plural} of the namespace" in by_name.message
    assert is_let(by_right_to_all)


def test_one_secret_that_is_read_by_many_keys_counts_once(reader: Apiserver, shop: str) -> None:
    assert is_let(create(reader, shop, reading("secretKeyRef", *["open-0"] * 40)))


@pytest.fixture(scope="module")
def writer(apiserver: Apiserver, shop: str) -> Apiserver:
    """Somebody who may patch eight Secrets by name."""
    names = [f"open-{number}" for number in range(8)]
    rules = [may("create", "secrets"), may("patch", "secrets", *names)]
    return a_person(apiserver, shop, "writer", *rules)


@pytest.mark.parametrize("place", range(8))
def test_each_target_is_checked_at_whatever_place_it_stands(
    writer: Apiserver, shop: str, place: int
) -> None:
    names = [f"open-{number}" for number in range(8)]
    assert is_let(create(writer, shop, writing(*names)))

    names[place] = "closed"
    answer = create(writer, shop, writing(*names))

    assert not is_let(answer)
    assert "you may not patch the Secret closed" in answer.message


def test_the_largest_resource_is_within_what_a_policy_may_cost(
    apiserver: Apiserver, shop: str
) -> None:
    secrets = [f"secret-{number}" for number in range(8)]
    config_maps = [f"config-{number}" for number in range(4)]
    targets = [f"target-{number}" for number in range(8)]
    person = a_person(
        apiserver,
        shop,
        "largest",
        may("get", "secrets", *secrets),
        may("get", "configmaps", *config_maps),
        may("create", "secrets"),
        may("patch", "secrets", *targets),
        may("use", "rotators", "main", group="keyturn.dev"),
    )
    data = [
        *(a_source("secretKeyRef", name, name) for name in secrets),
        *(a_source("configMapKeyRef", name, name) for name in config_maps),
        *({"key": f"more-{number}", "value": "x"} for number in range(52)),
    ]

    rotation = {"rotatorRef": {"kind": "Rotator", "name": "main"}, "strategy": "SingleUser"}

    answer = create(person, shop, writing(*targets, data=data, rotation=rotation))

    assert is_let(answer), answer.message


@pytest.mark.parametrize(("rights", "let"), [("write one", False), ("write all", True)])
def test_a_name_that_the_apiserver_makes_is_a_target_too(
    people: dict[str, Apiserver], shop: str, rights: str, let: bool
) -> None:
    resource = {**a_managed_secret(), "metadata": {"generateName": "orders"}}

    answer = create(people[rights], shop, resource)

    assert is_let(answer) == let


# Changes


@pytest.fixture
def stored(apiserver: Apiserver, namespace: str) -> str:
    """Store a ManagedSecret, by the administrator, that reads and writes; return its path."""
    resource = reading("secretKeyRef", "source", targets=[{"name": "orders"}])
    made = apiserver.request("POST", managed_secrets(namespace), resource)
    assert made.is_ok, made.message
    return managed_secrets(namespace, "orders")


@pytest.fixture
def nobody(apiserver: Apiserver, namespace: str) -> Apiserver:
    """Somebody who may write ManagedSecrets and no more."""
    return a_person(apiserver, namespace, "nobody")


def test_labels_are_changed_without_rights_on_secrets(nobody: Apiserver, stored: str) -> None:
    answer = nobody.request("PATCH", stored, {"metadata": {"labels": {"team": "shop"}}})

    assert answer.is_ok, answer.message


def test_the_same_spec_again_is_no_change(
    apiserver: Apiserver, nobody: Apiserver, stored: str
) -> None:
    def put_again() -> Answer:
        return nobody.request("PUT", stored, apiserver.request("GET", stored).body)

    while (answer := put_again()).status == HTTPStatus.CONFLICT:
        pass  # The operator of another test wrote the status in between.

    assert answer.is_ok, answer.message


SPECS = {
    "another description": {"description": "changed"},
    "another source": {"data": [a_source("secretKeyRef", "other")]},
    "another target": {"targets": [{"name": "other"}]},
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
@pytest.mark.parametrize("how", ["patch", "apply by force"])
def test_any_change_of_the_spec_is_checked(
    nobody: Apiserver, stored: str, spec: dict[str, Any], how: str
) -> None:
    if how == "patch":
        answer = nobody.request("PATCH", stored, {"spec": spec})
    else:
        resource = {**a_managed_secret(), "spec": spec}
        answer = nobody.apply(stored, resource, manager="nobody")

    assert not is_let(answer)


ROTATED = {
    "another description": {"description": "changed"},
    "another user": {"data": [{"key": "username", "value": "admin"}]},
    "another schedule": {"rotation": {"schedule": "0 3 * * *"}},
}


@pytest.mark.parametrize("spec", ROTATED.values(), ids=ROTATED.keys())
def test_any_change_of_what_is_rotated_is_for_who_may_use_the_rotator(
    apiserver: Apiserver, namespace: str, nobody: Apiserver, spec: dict[str, Any]
) -> None:
    made = apiserver.request("POST", managed_secrets(namespace), rotating("Rotator"))
    assert made.is_ok, made.message
    path = managed_secrets(namespace, "orders")
    user = a_person(
        apiserver, namespace, "user", may("use", "rotators", "main", group="keyturn.dev")
    )

    changed = nobody.request("PATCH", path, {"spec": spec}, dryRun="All")
    allowed = user.request("PATCH", path, {"spec": spec}, dryRun="All")
    taken_off = nobody.request("PATCH", path, {"spec": {"rotation": None}}, dryRun="All")

    assert not is_let(changed)
    assert "you may not use the Rotator main" in changed.message
    assert is_let(allowed)
    assert is_let(taken_off)


def test_a_cluster_rotator_is_for_who_may_use_it_in_the_cluster(
    apiserver: Apiserver, namespace: str, nobody: Apiserver
) -> None:
    group = "rbac.authorization.k8s.io"
    rule = may("use", "clusterrotators", "main", group="keyturn.dev")
    bodies = {
        "clusterroles": {"metadata": {"name": namespace}, "rules": [rule]},
        "clusterrolebindings": {
            "metadata": {"name": namespace},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": namespace},
            "subjects": [{"apiGroup": group, "kind": "User", "name": namespace}],
        },
    }
    for plural, body in bodies.items():
        assert apiserver.request("POST", f"/apis/{group}/v1/{plural}", body).is_ok
    user = a_person(apiserver, namespace, namespace)
    eventually(lambda: user.may("use", "clusterrotators.keyturn.dev", "", "main"))

    allowed = create(user, namespace, rotating("ClusterRotator"))
    another = create(user, namespace, rotating("ClusterRotator", "other"))
    refused = create(nobody, namespace, rotating("ClusterRotator"))
    for plural in reversed(bodies):
        apiserver.request("DELETE", f"/apis/{group}/v1/{plural}/{namespace}")

    assert (is_let(allowed), is_let(another), is_let(refused)) == (True, False, False)


def test_an_apply_that_creates_is_checked(nobody: Apiserver, namespace: str) -> None:
    path = managed_secrets(namespace, "orders")

    answer = nobody.apply(path, reading("secretKeyRef", "source"), manager="nobody")

    assert not is_let(answer)


def test_a_change_is_let_through_with_the_rights(
    apiserver: Apiserver, namespace: str, stored: str
) -> None:
    person = a_person(apiserver, namespace, "author", may("get", "secrets", "source"), *WRITES)

    answer = person.request("PATCH", stored, {"spec": {"description": "changed"}})

    assert is_let(answer)


MINE = may("get create patch", "secrets", "mine"), may("create", "secrets")

SHOWN_ELSEWHERE = {
    "a second target": [{"name": "orders"}, {"name": "mine"}],
    "another target instead": [{"name": "mine"}],
}


@pytest.fixture
def generated(apiserver: Apiserver, namespace: str) -> str:
    """Store a ManagedSecret, by the administrator, with a value of its own; return its path."""
    password = {"key": "password", "generate": {"password": {}}}
    resource = a_managed_secret(data=[password])
    made = apiserver.request("POST", managed_secrets(namespace), resource)
    assert made.is_ok, made.message
    return managed_secrets(namespace, "orders")


@pytest.mark.parametrize("targets", SHOWN_ELSEWHERE.values(), ids=SHOWN_ELSEWHERE.keys())
def test_values_are_not_shown_elsewhere_by_who_may_not_read_them(
    apiserver: Apiserver, namespace: str, generated: str, targets: list[dict[str, Any]]
) -> None:
    writes_both = may("patch", "secrets", "orders")
    thief = a_person(apiserver, namespace, "thief", *MINE, writes_both)
    reader = a_person(
        apiserver, namespace, "reader", *MINE, writes_both, may("get", "secrets", "orders")
    )
    change = {"spec": {"targets": targets}}

    stolen = thief.request("PATCH", generated, change, dryRun="All")
    shown = reader.request("PATCH", generated, change, dryRun="All")

    assert not is_let(stolen)
    assert "you may not get the Secret orders" in stolen.message
    assert is_let(shown), shown.message


def test_values_that_stand_in_no_secret_are_shown_by_who_may_read_all(
    apiserver: Apiserver, namespace: str, generated: str
) -> None:
    hidden = {"spec": {"targets": [NOWHERE]}}
    assert apiserver.request("PATCH", generated, hidden).is_ok
    thief = a_person(apiserver, namespace, "thief", *MINE)
    reader = a_person(apiserver, namespace, "reader", *MINE, may("get", "secrets"))
    change = {"spec": {"targets": [{"name": "mine"}]}}

    stolen = thief.request("PATCH", generated, change, dryRun="All")
    shown = reader.request("PATCH", generated, change, dryRun="All")

    assert not is_let(stolen)
    assert "stand in no Secret" in stolen.message
    assert is_let(shown), shown.message


# What nobody may, and who is not asked


@pytest.mark.parametrize(
    "place", ["kube-system", "kube-public", "kube-node-lease", "keyturn-system", "keyturn-jobs"]
)
def test_nobody_projects_into_a_namespace_of_the_cluster(apiserver: Apiserver, place: str) -> None:
    answer = create(apiserver, place, a_managed_secret(targets=[NOWHERE]))

    assert not is_let(answer)
    assert "use another namespace" in answer.message


RESERVED = {
    "its name": a_managed_secret("keyturn-default-key"),
    "a target": writing("keyturn-default-key"),
    "a target that is merged into": writing("keyturn-default-key", policy="Merge"),
    "a source": reading("secretKeyRef", "keyturn-default-key"),
    "an authority": reading("caSecretRef", "keyturn-default-key"),
}


@pytest.mark.parametrize("resource", RESERVED.values(), ids=RESERVED.keys())
def test_nobody_names_the_operators_key(
    apiserver: Apiserver, shop: str, resource: dict[str, Any]
) -> None:
    answer = create(apiserver, shop, resource)

    assert not answer.is_ok
    assert "keyturn-default-key" in answer.message


MARKED: dict[str, dict[str, dict[str, str]]] = {
    "a label of ours": {"labels": {"keyturn.dev/managed": "true"}},
    "consent to a takeover": {"annotations": {"keyturn.dev/allow": "orders"}},
    "a mark of Kubernetes": {"annotations": {"kubernetes.io/service-account.name": "default"}},
    "a mark of a part of Kubernetes": {"labels": {"node.kubernetes.io/role": "x"}},
    "a mark of k8s.io": {"labels": {"x.k8s.io/y": "z"}},
    "a key that is none": {"annotations": {"a/b/c": "x"}},
}


@pytest.mark.parametrize("metadata", MARKED.values(), ids=MARKED.keys())
def test_nobody_sets_marks_that_other_programs_act_on(
    apiserver: Apiserver, shop: str, metadata: dict[str, Any]
) -> None:
    target = {"name": "orders", "template": {"metadata": metadata}}

    answer = create(apiserver, shop, a_managed_secret(targets=[target]))

    assert not answer.is_ok
    assert "template.metadata" in answer.message


FOREIGN_PLACES: dict[str, dict[str, Any]] = {
    "a namespace in a secretKeyRef": {
        "data": [
            {"key": "k", "valueFrom": {"secretKeyRef": {"name": "x", "key": "k", "namespace": "y"}}}
        ]
    },
    "a namespace in a target": {"targets": [{"name": "x", "namespace": "kube-system"}]},
    "a path in a name": {"data": [a_source("secretKeyRef", "../../other/secrets/x")]},
    "a slash in a target": {"targets": [{"name": "other/x"}]},
    "an encoded slash": {"data": [a_source("configMapKeyRef", "other%2fx")]},
    "a letter that looks like another": {"data": [a_source("secretKeyRef", "s\u043eurce")]},
    "a line feed at the end": {"data": [a_source("secretKeyRef", "source\n")]},
    "a path as authority": {"data": [a_source("caSecretRef", "../x")]},
}


@pytest.mark.parametrize("spec", FOREIGN_PLACES.values(), ids=FOREIGN_PLACES.keys())
def test_no_field_leads_out_of_the_namespace(
    apiserver: Apiserver, shop: str, spec: dict[str, Any]
) -> None:
    resource = a_managed_secret(**spec)

    answer = apiserver.request(
        "POST", managed_secrets(shop), resource, dryRun="All", fieldValidation="Strict"
    )

    assert not answer.is_ok


def test_the_operator_makes_again_what_its_author_was_let_write(
    operator_identity: Apiserver, shop: str
) -> None:
    resource = reading("secretKeyRef", "source", targets=[{"name": "orders"}])

    answer = create(operator_identity, shop, resource)

    assert is_let(answer)


def test_the_operator_changes_no_resource(
    operator_identity: Apiserver, namespace: str, stored: str
) -> None:
    change = {"spec": {"description": "changed"}}

    patched = operator_identity.request("PATCH", stored, change)
    applied = operator_identity.request(
        "PATCH", stored, a_managed_secret(), patch=APPLY_PATCH, fieldManager="x", force="true"
    )

    assert patched.is_forbidden
    assert applied.is_forbidden


def test_the_answer_to_a_refusal_shows_nothing_of_the_secret(
    apiserver: Apiserver, namespace: str, nobody: Apiserver, canary: Canary
) -> None:
    value = canary.make().decode()
    body = {"metadata": {"name": "source"}, "stringData": {"k": value}}
    assert apiserver.request("POST", core("secrets", namespace), body).is_ok

    answer = create(nobody, namespace, reading("secretKeyRef", "source"))

    assert not is_let(answer)
    assert canary.scan_text(str(answer.body)) == []
