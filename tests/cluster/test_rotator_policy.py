"""The policy of rotators: what a Rotator reads, and where it runs, its author may read and run."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest

from apiserver import Answer, Apiserver, a_namespace
from cluster.operating import eventually
from cluster.people import Rule, a_person, may, rotators

POLICY = "ValidatingAdmissionPolicy 'keyturn-rotators'"
CLUSTER_ROLES = "/apis/rbac.authorization.k8s.io/v1"

Need = tuple[str, str, str, str]
"""Verb, plural with its group, namespace (`own` is that of the person) and name; no name is all."""


@pytest.fixture(scope="module", autouse=True)
def all_policies(enforced: None) -> None:
    """No request is sent before the policies are enforced."""


@pytest.fixture(scope="module")
def shop(apiserver: Apiserver) -> Iterator[str]:
    """A namespace for the people of these tests; they only ask, and change nothing."""
    with a_namespace(apiserver) as name:
        yield name


def a_rotator(kind: str = "Rotator", /, **spec: Any) -> dict[str, Any]:
    written = {"redis": {"host": "redis"}, **spec}
    return {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "main"},
        "spec": {name: value for name, value in written.items() if value is not None},
    }


def of_cluster(**spec: Any) -> dict[str, Any]:
    return a_rotator("ClusterRotator", allowedNamespaces=["shop"], **spec)


def admin(kind: str = "Secret", name: str = "admin", **more: str) -> dict[str, str]:
    return {"kind": kind, "name": name, **more}


def authority(kind: str, name: str = "ca", **more: str) -> dict[str, str]:
    return {"kind": kind, "name": name, "key": "ca.crt", **more}


def create(person: Apiserver, namespace: str, resource: dict[str, Any]) -> Answer:
    """Have a resource checked; nothing is stored."""
    where = namespace if resource["kind"] == "Rotator" else ""
    return person.request("POST", rotators(where), resource, dryRun="All")


def is_let(answer: Answer) -> bool:
    """Tell whether the policy let a request through; any other refusal fails the test."""
    assert answer.is_ok or (answer.is_forbidden and POLICY in answer.message), answer.message
    return answer.is_ok


GET_ADMIN = ("get", "secrets", "own", "admin")
GET_OTHER_ADMIN = ("get", "secrets", "default", "admin")
JOB: dict[str, Any] = {"redis": None, "job": {"image": "example.com/rotate:1"}}

RESOURCES: dict[str, tuple[dict[str, Any], Sequence[Need]]] = {
    "without an admin": (a_rotator(), []),
    "by a Secret": (a_rotator(adminRef=admin()), [GET_ADMIN]),
    "by a ManagedSecret": (
        a_rotator(adminRef=admin("ManagedSecret")),
        [("get", "secrets", "own", "")],
    ),
    "with an authority of a ConfigMap": (
        a_rotator(caRef=authority("ConfigMap")),
        [("get", "configmaps", "own", "ca")],
    ),
    "with an authority of a Secret": (
        a_rotator(caRef=authority("Secret")),
        [("get", "secrets", "own", "ca")],
    ),
    "with all": (
        a_rotator(adminRef=admin(), caRef=authority("ConfigMap")),
        [GET_ADMIN, ("get", "configmaps", "own", "ca")],
    ),
    "by Jobs": (a_rotator(**JOB), [("create", "jobs.batch", "keyturn-jobs", "")]),
    "for the cluster": (of_cluster(), []),
    "for the cluster, by a Secret": (
        of_cluster(adminRef=admin(namespace="default")),
        [GET_OTHER_ADMIN],
    ),
    "for the cluster, by a ManagedSecret": (
        of_cluster(adminRef=admin("ManagedSecret", namespace="default")),
        [("get", "secrets", "default", "")],
    ),
    "for the cluster, with an authority": (
        of_cluster(caRef=authority("ConfigMap", namespace="default")),
        [("get", "configmaps", "default", "ca")],
    ),
    "for the cluster, by Jobs": (
        of_cluster(**JOB),
        [("create", "jobs.batch", "keyturn-jobs", "")],
    ),
}

WRITES_ROTATORS = may("create update patch", "rotators", group="keyturn.dev")
JOBS = may("create", "jobs", group="batch")

PEOPLE: dict[str, dict[str, Sequence[Rule]]] = {
    "nothing": {},
    "list is not get": {"own": [may("list watch patch", "secrets configmaps")]},
    "read the admin": {"own": [may("get", "secrets", "admin")]},
    "read the admin elsewhere": {"default": [may("get", "secrets", "admin")]},
    "read secrets": {"own": [may("get", "secrets")]},
    "read secrets elsewhere": {"default": [may("get", "secrets")]},
    "read configmaps": {
        "own": [may("get", "configmaps", "ca")],
        "default": [may("get", "configmaps", "ca")],
    },
    "read all": {"own": [may("get", "secrets configmaps")]},
    "jobs at home": {"own": [JOBS]},
    "jobs where they run": {"keyturn-jobs": [JOBS]},
    "everything at home": {"own": [may("*", "*", group="*")]},
}


@pytest.fixture(scope="module")
def people(apiserver: Apiserver, shop: str) -> Iterator[dict[str, Apiserver]]:
    """Everybody may write Rotators and ClusterRotators, and has some right beside."""
    users = {rights: f"rotating-{number}-{shop}" for number, rights in enumerate(PEOPLE)}
    made = [
        apiserver.request("POST", f"{CLUSTER_ROLES}/{plural}", body)
        for plural, body in cluster_wide(shop, list(users.values()))
    ]
    assert all(answer.is_ok for answer in made), made
    found = {}
    for rights, user in users.items():
        for place, rules in {"own": [], **PEOPLE[rights]}.items():
            namespace = shop if place == "own" else place
            found[rights] = a_person(apiserver, namespace, user, *rules)
    for person in found.values():
        eventually(partial(person.may, "create", "clusterrotators.keyturn.dev"))
    yield found
    for plural, body in cluster_wide(shop, list(users.values())):
        apiserver.request("DELETE", f"{CLUSTER_ROLES}/{plural}/{body['metadata']['name']}")
    for rights, user in users.items():
        for place in PEOPLE[rights].keys() - {"own"}:
            for plural in ("roles", "rolebindings"):
                apiserver.request("DELETE", f"{CLUSTER_ROLES}/namespaces/{place}/{plural}/{user}")


def cluster_wide(name: str, users: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The role and the binding of who may write rotators anywhere."""
    rule = may("create update patch", "rotators clusterrotators", group="keyturn.dev")
    group = "rbac.authorization.k8s.io"
    yield "clusterroles", {"metadata": {"name": name}, "rules": [rule]}
    yield (
        "clusterrolebindings",
        {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user} for user in users],
        },
    )


@pytest.mark.parametrize("rights", PEOPLE)
@pytest.mark.parametrize(("resource", "needs"), RESOURCES.values(), ids=RESOURCES.keys())
def test_decides_as_can_i_does(
    people: dict[str, Apiserver],
    shop: str,
    resource: dict[str, Any],
    needs: Sequence[Need],
    rights: str,
) -> None:
    person = people[rights]

    answer = create(person, shop, resource)

    assert is_let(answer) == all(
        person.may(verb, plural, shop if place == "own" else place, name)
        for verb, plural, place, name in needs
    )


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        pytest.param(
            a_rotator(adminRef=admin()),
            "you may not get the Secret admin, whose values this rotator sends to its target",
            id="a Secret",
        ),
        pytest.param(
            a_rotator(adminRef=admin("ManagedSecret")),
            "ask for the right to get all secrets there",
            id="a ManagedSecret",
        ),
        pytest.param(
            a_rotator(caRef=authority("ConfigMap")),
            "you may not get the object ca of the caRef; ask for the right to get configmaps",
            id="an authority",
        ),
        pytest.param(
            a_rotator(**JOB), "ask for the right to create jobs.batch in that namespace", id="Jobs"
        ),
    ],
)
def test_says_what_to_ask_for(
    people: dict[str, Apiserver], shop: str, resource: dict[str, Any], message: str
) -> None:
    answer = create(people["nothing"], shop, resource)

    assert not is_let(answer)
    assert message in answer.message


# Changes


@pytest.fixture
def stored(apiserver: Apiserver, namespace: str) -> str:
    """Store a Rotator with an admin, by the administrator; return its path."""
    made = apiserver.request("POST", rotators(namespace), a_rotator(adminRef=admin()))
    assert made.is_ok, made.message
    return rotators(namespace, "main")


@pytest.fixture
def nobody(apiserver: Apiserver, namespace: str) -> Apiserver:
    """Somebody who may write Rotators and read no Secret."""
    return a_person(apiserver, namespace, "nobody", WRITES_ROTATORS)


SPECS = {
    "another host": {"redis": {"host": "elsewhere"}},
    "more users": {"allowedUsernames": ["*"]},
    "another admin": {"adminRef": admin(name="other")},
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
@pytest.mark.parametrize("how", ["patch", "apply by force"])
def test_a_change_is_for_who_may_read_the_admin_credential(
    nobody: Apiserver, stored: str, spec: dict[str, Any], how: str
) -> None:
    if how == "patch":
        answer = nobody.request("PATCH", stored, {"spec": spec})
    else:
        answer = nobody.apply(stored, {**a_rotator(), "spec": spec}, manager="nobody")

    assert not is_let(answer)


def test_a_change_is_let_through_with_the_right(
    apiserver: Apiserver, namespace: str, stored: str
) -> None:
    person = a_person(
        apiserver, namespace, "author", WRITES_ROTATORS, may("get", "secrets", "admin")
    )

    assert is_let(person.request("PATCH", stored, {"spec": {"redis": {"host": "elsewhere"}}}))


def test_labels_are_changed_without_rights_on_secrets(nobody: Apiserver, stored: str) -> None:
    answer = nobody.request("PATCH", stored, {"metadata": {"labels": {"team": "shop"}}})

    assert answer.is_ok, answer.message


# What nobody may


@pytest.mark.parametrize(
    "place", ["kube-system", "kube-public", "kube-node-lease", "keyturn-system", "keyturn-jobs"]
)
def test_no_rotator_stands_where_no_secret_is_rotated(apiserver: Apiserver, place: str) -> None:
    answer = create(apiserver, place, a_rotator())

    assert not is_let(answer)
    assert "use another namespace" in answer.message
