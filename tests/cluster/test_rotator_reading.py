"""Rotators, and what they name, as the operator reads them: by its own rights, from an apiserver.

Where the policies are not bound is told by the answer of a function, as in a cluster without them.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from apiserver import Apiserver, a_managed_secret, core, managed_secrets
from canary import Canary
from cluster.people import a_secret, rotators
from keyturn.domain.errors import DeniedError, InvalidSpecError, KeyturnError, SourceNotFoundError
from keyturn.domain.managed_secret import OWN_NAMESPACES
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import RotatorRef
from keyturn.domain.rotator import RotatorSettings
from keyturn.domain.secret import SecretName
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.facts import ClusterFacts
from keyturn.kube.following import FollowedObject, Following
from keyturn.kube.rotator_resources import parse
from keyturn.kube.rotators import Rotators, TargetMaterials, followed
from keyturn_controlplane.cluster import ControlPlane

ONE = RotatorRef("Rotator", "main")
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


async def nobody_was_checked(_: object) -> bool:
    return False


@pytest.fixture
async def kube(control_plane: ControlPlane, enforced: None) -> AsyncIterator[KubeClient]:
    kubeconfig = control_plane.kubeconfig_for_service_account("keyturn-system", "keyturn")
    async with KubeClient(Connection(kubeconfig)) as kube:
        yield kube


@pytest.fixture
def reader(kube: KubeClient) -> Rotators:
    """The reader in a cluster with all policies."""
    facts = ClusterFacts(kube)
    return Rotators(
        kube,
        author_checked=facts.author_checked,
        rotator_author_checked=facts.rotator_author_checked,
        own_namespaces=OWN_NAMESPACES,
    )


@pytest.fixture
def wary(kube: KubeClient) -> Rotators:
    """The reader in a cluster where no policy is bound."""
    return Rotators(
        kube,
        author_checked=nobody_was_checked,
        rotator_author_checked=nobody_was_checked,
        own_namespaces=OWN_NAMESPACES,
    )


class Shop:
    """A namespace with a ManagedSecret `orders`, where objects are made by the administrator."""

    def __init__(self, apiserver: Apiserver, namespace: str) -> None:
        self.apiserver = apiserver
        self.namespace = namespace
        self.orders = SecretName(namespace, "orders")
        resource = a_managed_secret(targets=[{"name": "orders", "creationPolicy": "None"}])
        self.make(managed_secrets(namespace), resource)

    def make(self, path: str, body: Mapping[str, Any]) -> None:
        made = self.apiserver.request("POST", path, body)
        assert made.is_ok, made.message

    def rotator(self, **spec: Any) -> None:
        self.make(rotators(self.namespace), a_rotator("Rotator", "main", **spec))

    @contextmanager
    def cluster_rotator(self, **spec: Any) -> Iterator[RotatorRef]:
        """Make a ClusterRotator for the length of the `with`, named as the namespace is."""
        name = self.namespace
        self.make(rotators(""), a_rotator("ClusterRotator", name, **spec))
        try:
            yield RotatorRef("ClusterRotator", name)
        finally:
            self.apiserver.request("DELETE", rotators("", name))

    def secret(self, name: str, **data: bytes) -> None:
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        self.make(core("secrets", self.namespace), a_secret(name, data=encoded))

    def config_map(self, name: str, **data: str) -> None:
        self.make(core("configmaps", self.namespace), {"metadata": {"name": name}, "data": data})

    def allow(self, path: str, name: str) -> None:
        consent = {"metadata": {"annotations": {"keyturn.dev/allow": name}}}
        assert self.apiserver.request("PATCH", path, consent).is_ok


def a_rotator(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    written = {"redis": {"host": "redis"}, **spec}
    return {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {name: value for name, value in written.items() if value is not None},
    }


@pytest.fixture
def shop(apiserver: Apiserver, namespace: str) -> Shop:
    return Shop(apiserver, namespace)


async def no_managed_secret(name: SecretName) -> Mapping[str, SecretValue]:
    raise AssertionError(name)


async def materials(reader: Rotators, shop: Shop) -> TargetMaterials:
    return await reader.target_materials(await reader.read(shop.orders, ONE), no_managed_secret)


# Which rotator


async def test_a_rotator_is_read(reader: Rotators, shop: Shop) -> None:
    shop.rotator(timeout="20s", allowedUsernames=["app_*"])

    found = await reader.read(shop.orders, ONE)

    assert (found.type, found.parameters) == ("redis", {"host": "redis"})
    assert (found.timeout, found.allowed_usernames) == (20.0, ("app_*",))
    assert found.author_checked
    assert found.uid


async def test_a_rotator_of_another_namespace_is_none(reader: Rotators, shop: Shop) -> None:
    shop.rotator()

    with pytest.raises(SourceNotFoundError, match="the Rotator 'main' does not exist in default"):
        await reader.read(SecretName("default", "orders"), ONE)


async def test_a_cluster_rotator_is_for_the_namespaces_that_it_names(
    reader: Rotators, shop: Shop
) -> None:
    with shop.cluster_rotator(allowedNamespaces=[f"{shop.namespace[:-1]}?"]) as ref:
        assert (await reader.read(shop.orders, ref)).ref == ref

    with (
        shop.cluster_rotator(allowedNamespaces=["test", "test-"]) as ref,
        pytest.raises(DeniedError, match=r"add it to its spec\.allowedNamespaces"),
    ):
        await reader.read(shop.orders, ref)


# What it reads


async def test_an_admin_credential_has_the_rotators_own_names(reader: Rotators, shop: Shop) -> None:
    shop.secret("admin", user=b"root", password=b"hunter2", username=b"not this")
    admin = {"kind": "Secret", "name": "admin", "keys": {"username": "user"}}
    shop.rotator(adminRef=admin)

    with (await materials(reader, shop)).admin as found:
        assert set(found) == {"user", "username", "password"}
        assert found["username"].matches(SecretValue(b"root"))
        assert found["password"].matches(SecretValue(b"hunter2"))


async def test_without_an_admin_there_are_no_values(reader: Rotators, shop: Shop) -> None:
    shop.rotator()

    found = await materials(reader, shop)

    assert (dict(found.admin), found.authority) == ({}, b"")


async def test_an_admin_credential_may_be_a_managed_secret(reader: Rotators, shop: Shop) -> None:
    admin = {"kind": "ManagedSecret", "name": "pg-admin", "keys": {"username": "user"}}
    shop.rotator(adminRef=admin)
    asked: list[SecretName] = []

    async def managed(name: SecretName) -> Mapping[str, SecretValue]:
        asked.append(name)
        return {"user": SecretValue(b"root")}

    settings = await reader.read(shop.orders, ONE)
    with (await reader.target_materials(settings, managed)).admin as found:
        assert found["username"].matches(SecretValue(b"root"))

    assert asked == [SecretName(shop.namespace, "pg-admin")]


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
async def test_the_certificates_of_the_authority_are_read(
    reader: Rotators, shop: Shop, kind: str
) -> None:
    if kind == "Secret":
        shop.secret("ca", **{"ca.crt": CERTIFICATE.encode()})
    else:
        shop.config_map("ca", **{"ca.crt": CERTIFICATE})
    shop.rotator(caRef={"kind": kind, "name": "ca", "key": "ca.crt"})

    assert (await materials(reader, shop)).authority == CERTIFICATE.encode()


async def test_a_cluster_rotator_reads_in_the_namespaces_that_it_names(
    reader: Rotators, shop: Shop
) -> None:
    shop.secret("admin", password=b"hunter2")
    shop.config_map("ca", **{"ca.crt": CERTIFICATE})
    there = {"namespace": shop.namespace}
    spec = {
        "allowedNamespaces": ["*"],
        "adminRef": {"kind": "Secret", "name": "admin", **there},
        "caRef": {"kind": "ConfigMap", "name": "ca", "key": "ca.crt", **there},
    }
    with shop.cluster_rotator(**spec) as ref:
        settings = await reader.read(shop.orders, ref)
        found = await reader.target_materials(settings, no_managed_secret)

    with found.admin as admin:
        assert set(admin) == {"password"}
    assert found.authority == CERTIFICATE.encode()


ADMIN = {"kind": "Secret", "name": "admin"}
CA = {"kind": "ConfigMap", "name": "ca", "key": "ca.crt"}

MISSING: dict[str, tuple[dict[str, Any], type[KeyturnError], str]] = {
    "the admin": (
        {"adminRef": {**ADMIN, "name": "gone"}},
        SourceNotFoundError,
        "the Secret 'gone' does not exist in",
    ),
    "a key of the admin": (
        {"adminRef": {**ADMIN, "keys": {"username": "gone"}}},
        SourceNotFoundError,
        "the Secret 'admin' in .* has no key 'gone'",
    ),
    "the authority": (
        {"caRef": {**CA, "name": "gone"}},
        SourceNotFoundError,
        "the ConfigMap 'gone' does not exist in",
    ),
    "a key of the authority": (
        {"caRef": {**CA, "key": "gone"}},
        SourceNotFoundError,
        "the ConfigMap 'ca' in .* has no key 'gone'",
    ),
    "certificates": (
        {"caRef": {**CA, "key": "other"}},
        InvalidSpecError,
        "the key 'other' of the ConfigMap 'ca' in .* holds no certificates",
    ),
    "nothing but certificates": (
        {"caRef": {"kind": "Secret", "name": "admin", "key": "bundle"}},
        InvalidSpecError,
        "holds no certificates, or more than these",
    ),
}


@pytest.mark.parametrize(("spec", "error", "message"), MISSING.values(), ids=MISSING.keys())
async def test_what_is_missing_is_named_and_no_value_is(
    reader: Rotators,
    shop: Shop,
    canary: Canary,
    spec: dict[str, Any],
    error: type[KeyturnError],
    message: str,
) -> None:
    bundle = f"{CERTIFICATE}-----BEGIN PRIVATE KEY-----\n{canary.make().decode()}\n".encode()
    shop.secret("admin", user=canary.make(), bundle=bundle)
    shop.config_map("ca", **{"ca.crt": CERTIFICATE, "other": canary.make().decode()})
    shop.rotator(**spec)

    with pytest.raises(error, match=message) as caught:
        await materials(reader, shop)

    assert canary.scan_text(repr(caught.value)) == []


# Where no policy is bound


async def test_a_rotator_is_used_only_with_consent(wary: Rotators, shop: Shop) -> None:
    shop.rotator()
    with pytest.raises(DeniedError, match=r"kubectl annotate rotator main .*/allow=orders$"):
        await wary.read(shop.orders, ONE)

    shop.allow(rotators(shop.namespace, "main"), "orders")

    assert not (await wary.read(shop.orders, ONE)).author_checked


async def test_a_cluster_rotator_is_used_only_with_consent_for_one_namespace(
    wary: Rotators, shop: Shop
) -> None:
    with shop.cluster_rotator(allowedNamespaces=["*"]) as ref:
        shop.allow(rotators("", ref.name), "orders,other/orders")
        with pytest.raises(DeniedError, match=f"allow={shop.namespace}/orders$"):
            await wary.read(shop.orders, ref)

        shop.allow(rotators("", ref.name), f"other/orders, {shop.namespace}/orders")

        assert (await wary.read(shop.orders, ref)).ref == ref


NAMED: dict[str, tuple[dict[str, Any], str]] = {
    "a Secret as admin": ({"adminRef": ADMIN}, "secrets/admin"),
    "a ManagedSecret as admin": (
        {"adminRef": {"kind": "ManagedSecret", "name": "orders"}},
        "managedsecrets/orders",
    ),
    "a Secret as authority": (
        {"caRef": {"kind": "Secret", "name": "admin", "key": "ca.crt"}},
        "secrets/admin",
    ),
}


@pytest.mark.parametrize(("spec", "place"), NAMED.values(), ids=NAMED.keys())
async def test_what_a_rotator_names_is_read_only_with_consent(
    wary: Rotators, shop: Shop, spec: dict[str, Any], place: str
) -> None:
    async def managed(_: SecretName) -> Mapping[str, SecretValue]:
        return {"password": SecretValue(b"x")}

    shop.secret("admin", **{"ca.crt": CERTIFICATE.encode()})
    shop.rotator(**spec)
    shop.allow(rotators(shop.namespace, "main"), "orders")
    settings = await wary.read(shop.orders, ONE)
    plural, name = place.split("/")
    path = (core if plural == "secrets" else lambda _, *at: managed_secrets(*at))(
        plural, shop.namespace, name
    )

    for other in ("main", "orders", "clusterrotator/main"):
        shop.allow(path, other)
        with pytest.raises(DeniedError, match=r"keyturn\.dev/allow=rotator/main"):
            await wary.target_materials(settings, managed)
    shop.allow(path, "rotator/main")

    assert await wary.target_materials(settings, managed)


async def test_a_rotator_runs_no_jobs(wary: Rotators, shop: Shop) -> None:
    shop.rotator(redis=None, job={"image": "example.com/rotate:1"})
    shop.allow(rotators(shop.namespace, "main"), "orders")

    with pytest.raises(DeniedError, match="make it anew, or use a ClusterRotator"):
        await wary.read(shop.orders, ONE)


# What is followed


def settings_of(shop: Shop, **spec: Any) -> RotatorSettings:
    body = a_rotator("Rotator", "main", **spec)
    body["metadata"] |= {"namespace": shop.namespace, "uid": "u"}
    return parse(body, ONE, author_checked=True, own_namespaces=OWN_NAMESPACES)


async def test_each_change_of_what_a_rotation_rests_on_is_heard_of(
    kube: KubeClient, shop: Shop
) -> None:
    shop.secret("admin", password=b"hunter2")
    shop.config_map("ca", **{"ca.crt": CERTIFICATE})
    shop.rotator(adminRef=ADMIN, caRef=CA)
    heard: asyncio.Queue[SecretName] = asyncio.Queue()
    following = Following(kube, heard.put_nowait)
    settings = settings_of(shop, adminRef=ADMIN, caRef=CA)
    objects = followed(shop.orders, ONE, settings)
    paths = {
        FollowedObject("rotators", shop.namespace, "main"): rotators(shop.namespace, "main"),
        FollowedObject("secrets", shop.namespace, "admin"): core(
            "secrets", shop.namespace, "admin"
        ),
        FollowedObject("configmaps", shop.namespace, "ca"): core(
            "configmaps", shop.namespace, "ca"
        ),
    }
    assert objects == paths.keys()
    try:
        following.follow(shop.orders, objects, purpose="rotation")
        for _ in objects:  # each is told of once, when it is listed
            assert await asyncio.wait_for(heard.get(), 30) == shop.orders
        for path in paths.values():
            shop.allow(path, "somebody")
            assert await asyncio.wait_for(heard.get(), 30) == shop.orders
    finally:
        await following.close()


async def test_a_cluster_rotator_that_comes_is_heard_of(kube: KubeClient, shop: Shop) -> None:
    heard: asyncio.Queue[SecretName] = asyncio.Queue()
    following = Following(kube, heard.put_nowait)
    ref = RotatorRef("ClusterRotator", shop.namespace)
    try:
        following.follow(shop.orders, followed(shop.orders, ref, None), purpose="rotation")
        with shop.cluster_rotator(allowedNamespaces=["*"]):
            assert await asyncio.wait_for(heard.get(), 30) == shop.orders
    finally:
        await following.close()


async def test_what_is_followed_for_one_purpose_stays_when_another_ends(
    kube: KubeClient, shop: Shop
) -> None:
    shop.config_map("ca", a="b")
    ca = frozenset({FollowedObject("configmaps", shop.namespace, "ca")})
    heard: asyncio.Queue[SecretName] = asyncio.Queue()
    following = Following(kube, heard.put_nowait)
    try:
        following.follow(shop.orders, ca, purpose="sources")
        following.follow(shop.orders, ca, purpose="rotation")
        assert await asyncio.wait_for(heard.get(), 30) == shop.orders
        assert heard.empty()

        following.follow(shop.orders, frozenset(), purpose="sources")
        shop.allow(core("configmaps", shop.namespace, "ca"), "somebody")

        assert await asyncio.wait_for(heard.get(), 30) == shop.orders
    finally:
        await following.close()


def test_a_secret_that_is_its_own_admin_does_not_follow_itself(shop: Shop) -> None:
    admin = {"kind": "ManagedSecret", "name": "orders"}

    objects = followed(shop.orders, ONE, settings_of(shop, adminRef=admin))

    assert objects == {("rotators", shop.namespace, "main")}
