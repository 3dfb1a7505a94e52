"""The apiserver refuses a wrong Rotator or ClusterRotator with a text that helps.

Each rule stands in both CRDs; tests/contract/test_rotator_schema.py holds them, and what the
rotators themselves say, together.
"""

import json
from typing import Any

import pytest

from apiserver import Answer, Apiserver
from cluster.people import rotators
from cluster.rules import never_broken, rules_of
from keyturn_controlplane.cluster import ControlPlane
from rotator_examples import FULL, LEAST, WRONG

HOST = {"host": "pg.shop.svc"}
EXACTLY_ONE = "name exactly one type: postgresql, mysql, mongodb, redis, oracle, sqlserver, ssh"


def a_rotator(kind: str = "Rotator", /, **spec: Any) -> dict[str, Any]:
    written = {"postgresql": HOST, **spec}
    return {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "pg"},
        "spec": {name: value for name, value in written.items() if value is not None},
    }


def of_cluster(**spec: Any) -> dict[str, Any]:
    return a_rotator("ClusterRotator", **{"allowedNamespaces": ["shop"], **spec})


def of_type(name: str, /, **parameters: Any) -> dict[str, Any]:
    return a_rotator(**{"postgresql": None, name: parameters})


def admin(**more: Any) -> dict[str, Any]:
    return {"kind": "Secret", "name": "pg-admin", **more}


def authority(**more: Any) -> dict[str, Any]:
    return {"kind": "ConfigMap", "name": "pg-ca", "key": "ca.crt", **more}


def create(apiserver: Apiserver, resource: dict[str, Any]) -> Answer:
    """Have a resource checked; nothing is stored."""
    namespace = "default" if resource["kind"] == "Rotator" else ""
    return apiserver.request(
        "POST", rotators(namespace), resource, dryRun="All", fieldValidation="Strict"
    )


REFUSED = {
    # the resource
    "no spec": ({**a_rotator(), "spec": None}, "spec: Required value"),
    "a name of 254 characters": (
        {**a_rotator(), "metadata": {"name": "a" * 254}},
        "metadata.name: Too long",
    ),
    "no type": (a_rotator(postgresql=None), EXACTLY_ONE),
    "two types": (a_rotator(redis=HOST), EXACTLY_ONE),
    "an unknown type": (of_type("postgres", **HOST), 'unknown field "spec.postgres"'),
    "allowed namespaces of a Rotator": (
        a_rotator(allowedNamespaces=["shop"]),
        'unknown field "spec.allowedNamespaces"',
    ),
    # admin and authority
    "an admin without a kind": (
        a_rotator(adminRef={"name": "a"}),
        "spec.adminRef.kind: Required value",
    ),
    "an admin without a name": (
        a_rotator(adminRef={"kind": "Secret"}),
        "spec.adminRef.name: Required value",
    ),
    "an admin of another kind": (
        a_rotator(adminRef=admin(kind="ConfigMap")),
        'supported values: "Secret", "ManagedSecret"',
    ),
    "an admin of another namespace": (
        a_rotator(adminRef=admin(namespace="databases")),
        'unknown field "spec.adminRef.namespace"',
    ),
    "a path in place of an admin's name": (
        a_rotator(adminRef=admin(name="../../kube-system/secrets/a")),
        "spec.adminRef.name in body should match",
    ),
    "an admin's name of 254 characters": (
        a_rotator(adminRef=admin(name="a" * 254)),
        "spec.adminRef.name: Too long",
    ),
    "the operator's key as admin": (
        a_rotator(adminRef=admin(name="keyturn-default-key")),
        "keyturn-default-key is the operator's own key and cannot be an admin credential",
    ),
    "17 keys of an admin": (
        a_rotator(adminRef=admin(keys={f"n{number}": "k" for number in range(17)})),
        "spec.adminRef.keys: Too many: 17: must have at most 16 items",
    ),
    "a key of an admin that no Secret can have": (
        a_rotator(adminRef=admin(keys={"username": "a b"})),
        "spec.adminRef.keys.username in body should match",
    ),
    "a key of an admin of 254 characters": (
        a_rotator(adminRef=admin(keys={"username": "a" * 254})),
        "spec.adminRef.keys.username: Too long",
    ),
    "no key of an admin": (
        a_rotator(adminRef=admin(keys={"username": ""})),
        "spec.adminRef.keys.username in body should be at least 1 chars long",
    ),
    "an endless name for a key": (
        a_rotator(adminRef=admin(keys={"n" * 64: "k"})),
        "a name in keys has 1 to 63 characters",
    ),
    "an empty name for a key": (
        a_rotator(adminRef=admin(keys={"": "k"})),
        "a name in keys has 1 to 63 characters",
    ),
    "an authority of another kind": (
        a_rotator(caRef=authority(kind="ManagedSecret")),
        'supported values: "ConfigMap", "Secret"',
    ),
    "an authority without a key": (
        a_rotator(caRef={"kind": "Secret", "name": "a"}),
        "spec.caRef.key: Required value",
    ),
    "an authority's key that no Secret can have": (
        a_rotator(caRef=authority(key="a/b")),
        "spec.caRef.key in body should match",
    ),
    "an authority of another namespace": (
        a_rotator(caRef=authority(namespace="databases")),
        'unknown field "spec.caRef.namespace"',
    ),
    "the operator's key as authority": (
        a_rotator(caRef=authority(kind="Secret", name="keyturn-default-key")),
        "keyturn-default-key is the operator's own key and cannot be an authority",
    ),
    "a path in place of an authority's name": (
        a_rotator(caRef=authority(name="a/../b")),
        "spec.caRef.name in body should match",
    ),
    # the rest
    "65 user names": (
        a_rotator(allowedUsernames=[f"u{number}" for number in range(65)]),
        "spec.allowedUsernames: Too many: 65: must have at most 64 items",
    ),
    "a user name twice": (a_rotator(allowedUsernames=["a", "a"]), "Duplicate value"),
    "an empty user name": (a_rotator(allowedUsernames=[""]), "at least 1 chars long"),
    "a user name of 129 characters": (
        a_rotator(allowedUsernames=["a" * 129]),
        "spec.allowedUsernames[0]: Too long",
    ),
    "no timeout": (a_rotator(timeout="0s"), "the timeout is 1s to 60s, such as 10s"),
    "a short timeout": (a_rotator(timeout="999ms"), "the timeout is 1s to 60s, such as 10s"),
    "a long timeout": (a_rotator(timeout="1m1s"), "the timeout is 1s to 60s, such as 10s"),
    "a timeout without a unit": (a_rotator(timeout="10"), "the timeout is 1s to 60s, such as 10s"),
    "a timeout in words": (a_rotator(timeout="soon"), "the timeout is 1s to 60s, such as 10s"),
    "a timeout of endless digits": (a_rotator(timeout="1" * 16 + "s"), "spec.timeout: Too long"),
    "none at once": (a_rotator(maxConcurrent=0), "greater than or equal to 1"),
    "33 at once": (a_rotator(maxConcurrent=33), "less than or equal to 32"),
    # a ClusterRotator
    "nobody's ClusterRotator": (
        of_cluster(allowedNamespaces=None),
        "spec.allowedNamespaces: Required value",
    ),
    "a ClusterRotator for no namespace": (
        of_cluster(allowedNamespaces=[]),
        "spec.allowedNamespaces in body should have at least 1 items",
    ),
    "a pattern that no namespace can match": (
        of_cluster(allowedNamespaces=["[a-z]*"]),
        "spec.allowedNamespaces[0] in body should match",
    ),
    "a namespace twice": (of_cluster(allowedNamespaces=["a", "a"]), "Duplicate value"),
    "65 namespaces": (
        of_cluster(allowedNamespaces=[f"n{number}" for number in range(65)]),
        "must have at most 64 items",
    ),
    "a long namespace": (
        of_cluster(allowedNamespaces=["a" * 64]),
        "spec.allowedNamespaces[0]: Too long",
    ),
    "an empty namespace": (of_cluster(allowedNamespaces=[""]), "at least 1 chars long"),
    "an admin of no namespace": (
        of_cluster(adminRef=admin()),
        "spec.adminRef.namespace: Required value",
    ),
    "an authority of no namespace": (
        of_cluster(caRef=authority()),
        "spec.caRef.namespace: Required value",
    ),
    "a path in place of a namespace": (
        of_cluster(adminRef=admin(namespace="a/b")),
        "spec.adminRef.namespace in body should match",
    ),
    "an admin in the operator's namespace": (
        of_cluster(adminRef=admin(namespace="keyturn-system")),
        "nothing is read in kube-system, kube-public, kube-node-lease, keyturn-system",
    ),
    "an admin where Jobs run": (
        of_cluster(adminRef=admin(namespace="keyturn-jobs")),
        "nothing is read in kube-system, kube-public, kube-node-lease, keyturn-system",
    ),
    "an authority in a namespace of the cluster": (
        of_cluster(caRef=authority(namespace="kube-system")),
        "nothing is read in kube-system, kube-public, kube-node-lease, keyturn-system",
    ),
}


REFUSED |= {what: (of_type(each.type, **each.written), each.said) for what, each in WRONG.items()}
REFUSED |= {
    "a plugin without a name": (of_type("plugin"), "spec.plugin.name: Required value"),
    "a plugin that is built in": (
        of_type("plugin", name="mysql"),
        "this type is built in; write it as a field of spec, without plugin",
    ),
    "a plugin with a path as name": (
        of_type("plugin", name="../acme"),
        "spec.plugin.name in body should match",
    ),
    "a plugin's parameter that is no text": (
        of_type("plugin", name="acme", parameters={"port": 1}),
        "must be of type string",
    ),
    "33 parameters of a plugin": (
        of_type("plugin", name="acme", parameters={f"p{number}": "" for number in range(33)}),
        "must have at most 32 items",
    ),
    "private addresses for a Rotator": (
        of_type("webhook", **LEAST["webhook"], allowPrivateAddresses=True),
        'unknown field "spec.webhook.allowPrivateAddresses"',
    ),
}


@pytest.mark.parametrize(("resource", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_is_refused_with_a_text_that_helps(
    apiserver: Apiserver, resource: dict[str, Any], message: str
) -> None:
    answer = create(apiserver, resource)

    assert not answer.is_ok
    assert message in answer.message


@pytest.mark.parametrize("kind", ["rotators", "clusterrotators"])
def test_each_rule_refuses_something(apiserver: Apiserver, kind: str) -> None:
    answers = [create(apiserver, resource) for resource, _ in REFUSED.values()]

    assert never_broken(rules_of(f"{kind}.keyturn.dev"), answers) == set()


TAKEN = {
    **{f"the least of {name}": of_type(name, **written) for name, written in LEAST.items()},
    **{f"all of {name}": of_type(name, **written) for name, written in FULL.items()},
    "a plugin": of_type("plugin", name="acme", parameters={"url": "https://a"}),
    "private addresses for a ClusterRotator": of_cluster(
        postgresql=None, webhook={**LEAST["webhook"], "allowPrivateAddresses": True}
    ),
    "the least": a_rotator(),
    "all that is common": a_rotator(
        adminRef=admin(kind="ManagedSecret", keys={"username": "user"}),
        caRef=authority(),
        allowedUsernames=["orders", "app_*"],
        timeout="1m",
        maxConcurrent=32,
    ),
    "a fraction of a second": a_rotator(timeout="1.5s"),
    "a ClusterRotator": of_cluster(
        adminRef=admin(namespace="databases"),
        caRef=authority(kind="Secret", namespace="pki"),
        allowedNamespaces=["shop", "team-*", "?"],
    ),
}


@pytest.mark.parametrize("resource", TAKEN.values(), ids=TAKEN.keys())
def test_is_taken(apiserver: Apiserver, resource: dict[str, Any]) -> None:
    answer = create(apiserver, resource)

    assert answer.is_ok, answer.message
    # No `default:`: what an author leaves out stays out.
    assert answer.body["spec"] == resource["spec"]


SHOWN = {
    "a host": (of_type("postgresql", **HOST), "pg.shop.svc"),
    "a URL": (of_type("webhook", url="https://a.example.com/"), "https://a.example.com/"),
    "an issuer": (of_type("oauth2", issuer="https://id.example.com"), "https://id.example.com"),
    "an image": (of_type("job", image="example.com/a:1"), "example.com/a:1"),
}


@pytest.mark.parametrize(("resource", "target"), SHOWN.values(), ids=SHOWN.keys())
def test_a_list_shows_where_it_leads_and_by_which_admin(
    control_plane: ControlPlane, namespace: str, resource: dict[str, Any], target: str
) -> None:
    resource["spec"]["adminRef"] = admin()
    control_plane.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(resource))

    shown = control_plane.kubectl("get", "rot", "-n", namespace).stdout.splitlines()

    assert shown[0].split() == ["NAME", "TARGET", "ADMIN", "AGE"]
    assert shown[1].split()[:3] == ["pg", target, "pg-admin"]


def test_a_list_of_cluster_rotators_shows_who_may_use_them(control_plane: ControlPlane) -> None:
    resource = of_cluster(allowedNamespaces=["shop", "team-*"])
    resource["metadata"]["name"] = "shown"
    control_plane.kubectl("create", "-f", "-", input=json.dumps(resource))

    shown = control_plane.kubectl("get", "crot", "shown").stdout.splitlines()
    control_plane.kubectl("delete", "crot", "shown")

    assert shown[0].split() == ["NAME", "TARGET", "ADMIN", "NAMESPACES", "AGE"]
    assert '["shop","team-*"]' in shown[1]


@pytest.mark.parametrize("kind", ["rotators", "clusterrotators"])
def test_explain_tells_what_a_field_is(control_plane: ControlPlane, kind: str) -> None:
    told = control_plane.kubectl("explain", f"{kind}.spec.postgresql.lockDatabase").stdout

    assert "LockDatabase is where the lock is taken" in told


def test_all_kinds_of_the_category_are_listed_at_once(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(a_rotator()))

    assert (
        "rotator.keyturn.dev/pg"
        in control_plane.kubectl("get", "keyturn", "-n", namespace, "-o", "name").stdout
    )
