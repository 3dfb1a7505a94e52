"""What a Rotator may say is checked again by the operator, whatever admission let through."""

from typing import Any

import pytest

from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.managed_secret import OWN_NAMESPACES
from keyturn.domain.rotation import RotatorRef
from keyturn.domain.rotator import AdminKind, AdminRef, AuthorityKind, AuthorityRef, RotatorSettings
from keyturn.kube.rotator_resources import parse

POSTGRESQL = {"host": "pg.shop.svc", "port": 5432}
IN_SHOP = {"namespace": "shop"}


def read(kind: str = "Rotator", **spec: Any) -> RotatorSettings:
    metadata = {"name": "pg", "uid": "uid-1"} | (IN_SHOP if kind == "Rotator" else {})
    written = {"postgresql": POSTGRESQL, **spec}
    return parse(
        {
            "metadata": metadata,
            "spec": {name: value for name, value in written.items() if value is not None},
        },
        RotatorRef(kind, "pg"),
        author_checked=True,
        own_namespaces=OWN_NAMESPACES,
    )


def cluster(**spec: Any) -> RotatorSettings:
    return read("ClusterRotator", **{"allowedNamespaces": ["shop"], **spec})


def admin(name: str = "pg-admin", kind: str = "Secret", **more: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, **more}


def authority(name: str = "pg-ca", kind: str = "ConfigMap", **more: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, "key": "ca.crt", **more}


def test_what_is_left_out_has_a_default() -> None:
    assert read() == RotatorSettings(
        ref=RotatorRef("Rotator", "pg"),
        uid="uid-1",
        type="postgresql",
        parameters=POSTGRESQL,
        author_checked=True,
        timeout=10.0,
        max_concurrent=2,
    )


def test_everything_is_read() -> None:
    found = read(
        adminRef=admin(kind="ManagedSecret", keys={"username": "user"}),
        caRef=authority(),
        allowedUsernames=["orders", "app_*"],
        timeout="1m",
        maxConcurrent=32,
    )

    assert found.admin == AdminRef(AdminKind.MANAGED, "shop", "pg-admin", {"username": "user"})
    assert found.authority == AuthorityRef(AuthorityKind.CONFIG_MAP, "shop", "pg-ca", "ca.crt")
    assert found.allowed_usernames == ("orders", "app_*")
    assert (found.timeout, found.max_concurrent) == (60.0, 32)


def test_a_cluster_rotator_names_the_namespaces_of_what_it_reads() -> None:
    found = cluster(
        adminRef=admin(namespace="databases"), caRef=authority(kind="Secret", namespace="pki")
    )

    assert found.admin == AdminRef(AdminKind.NATIVE, "databases", "pg-admin")
    assert found.authority == AuthorityRef(AuthorityKind.NATIVE, "pki", "pg-ca", "ca.crt")
    assert found.allowed_namespaces == ("shop",)


def test_a_rotator_of_another_package_has_its_own_name() -> None:
    found = read(postgresql=None, plugin={"name": "acme", "parameters": {"url": "https://a"}})

    assert (found.type, found.parameters) == ("acme", {"url": "https://a"})


@pytest.mark.parametrize("kind", ["Rotator", "ClusterRotator"])
def test_the_consent_of_an_owner_is_for_one_kind(kind: str) -> None:
    found = read() if kind == "Rotator" else cluster()

    assert found.consent_name == f"{kind.lower()}/pg"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no type": ({"postgresql": None}, "spec needs exactly one of postgresql, mysql"),
    "two types": ({"mysql": {}}, "spec needs exactly one of postgresql, mysql"),
    "a type that is no object": ({"postgresql": "pg"}, "spec.postgresql is wrong"),
    "a built-in type as plugin": (
        {"postgresql": None, "plugin": {"name": "mysql"}},
        "spec.plugin.name is built in; write mysql",
    ),
    "parameters of a plugin that are no texts": (
        {"postgresql": None, "plugin": {"name": "acme", "parameters": {"port": 1}}},
        "spec.plugin.parameters.port is wrong",
    ),
    "private addresses": (
        {"postgresql": None, "webhook": {"url": "https://a", "allowPrivateAddresses": True}},
        "spec.webhook.allowPrivateAddresses is for a ClusterRotator only",
    ),
    "an admin of another namespace": (
        {"adminRef": admin(namespace="databases")},
        "spec.adminRef.namespace is for a ClusterRotator only",
    ),
    "an admin of its own namespace, said": (
        {"adminRef": admin(namespace="shop")},
        "spec.adminRef.namespace is for a ClusterRotator only",
    ),
    "an authority of another namespace": (
        {"caRef": authority(namespace="databases")},
        "spec.caRef.namespace is for a ClusterRotator only",
    ),
    "the operator's key as admin": (
        {"adminRef": admin("keyturn-default-key")},
        "spec.adminRef.name is reserved for Keyturn itself",
    ),
    "the operator's key as authority": (
        {"caRef": authority("keyturn-default-key", kind="Secret")},
        "spec.caRef.name is reserved for Keyturn itself",
    ),
    "a path in place of a name": (
        {"adminRef": admin("../../kube-system/secrets/a")},
        "spec.adminRef.name is wrong",
    ),
    "an admin of an unknown kind": ({"adminRef": admin(kind="Pod")}, "spec.adminRef.kind is wrong"),
    "an authority of an unknown kind": (
        {"caRef": authority(kind="ManagedSecret")},
        "spec.caRef.kind is wrong",
    ),
    "allowed namespaces": (
        {"allowedNamespaces": ["shop"]},
        "spec.allowedNamespaces is for a ClusterRotator only",
    ),
    "no time": ({"timeout": "0s"}, "spec.timeout is out of bounds; write 1s to 60s"),
    "too much time": ({"timeout": "61s"}, "spec.timeout is out of bounds; write 1s to 60s"),
    "a time that is none": ({"timeout": "ten"}, "spec.timeout is no duration"),
    "none at once": ({"maxConcurrent": 0}, "spec.maxConcurrent is wrong"),
    "33 at once": ({"maxConcurrent": 33}, "spec.maxConcurrent is wrong"),
    "an empty pattern": ({"allowedUsernames": [""]}, "spec.allowedUsernames[0] is wrong"),
}


@pytest.mark.parametrize(("spec", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        read(**spec)

    assert str(caught.value).startswith(f"the Rotator 'pg': {message}")


REFUSED_IN_THE_CLUSTER: dict[str, tuple[dict[str, Any], str]] = {
    "an admin of no namespace": ({"adminRef": admin()}, "spec.adminRef.namespace is missing"),
    "an authority of no namespace": ({"caRef": authority()}, "spec.caRef.namespace is missing"),
    "a path in place of a namespace": (
        {"adminRef": admin(namespace="a/secrets/b?")},
        "spec.adminRef.namespace is wrong",
    ),
    "no allowed namespaces": (
        {"allowedNamespaces": None},
        "spec.allowedNamespaces is missing",
    ),
    "an empty list of them": (
        {"allowedNamespaces": []},
        "spec.allowedNamespaces is missing",
    ),
    **{
        f"an admin of {namespace}": (
            {"adminRef": admin(namespace=namespace)},
            f"spec.adminRef names an object in {namespace}, which is closed",
        )
        for namespace in ("keyturn-system", "keyturn-jobs", "kube-system")
    },
    "an authority of the operator": (
        {"caRef": authority(namespace="keyturn-system")},
        "spec.caRef names an object in keyturn-system, which is closed",
    ),
}


@pytest.mark.parametrize(
    ("spec", "message"), REFUSED_IN_THE_CLUSTER.values(), ids=REFUSED_IN_THE_CLUSTER.keys()
)
def test_refuses_of_a_cluster_rotator(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        cluster(**spec)

    assert str(caught.value).startswith(f"the ClusterRotator 'pg': {message}")


def test_a_cluster_rotator_may_allow_private_addresses() -> None:
    found = cluster(postgresql=None, webhook={"url": "https://a", "allowPrivateAddresses": True})

    assert found.parameters["allowPrivateAddresses"] is True


def test_what_a_newer_release_knows_is_left_alone() -> None:
    assert read(newField=1) == read()
