"""Which native Secrets are written where one of several cannot be: on a real store.

A few Secrets stand where the cluster does; what the apiserver makes of writes is tested there.
"""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from keyturn.bootstrap.vault import Vault, now
from keyturn.domain.errors import (
    ClusterUnavailableError,
    DeniedError,
    KeyturnError,
    TargetOwnedByOtherError,
)
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.recovery import Retention
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.version import VersionReason
from keyturn.kube.errors import AlreadyExistsError, ObjectNotFoundError
from keyturn.kube.native_secrets import NativeSecrets, Written
from keyturn.kube.resources import parse
from keyturn.services.importing import Importing
from keyturn.services.projecting import Projecting, Projection
from keyturn.services.sightings import Sightings
from keyturn.services.target_writing import TargetWriter
from keyturn.services.targets import Targets, claims_of
from keyturn.store.interface import Attachment
from vaults import opened

Json = dict[str, Any]


class Shelf:
    """The Secrets of one namespace; reading or making one may end in an error."""

    def __init__(self) -> None:
        self.secrets: dict[str, Json] = {}
        self.errors: dict[str, KeyturnError] = {}
        self.create_error: KeyturnError | None = None
        self.applied: Callable[[], None] = lambda: None
        self._writes = 0

    def put(self, body: Json) -> Written:
        self._writes += 1
        body["metadata"] |= {"uid": str(uuid4()), "resourceVersion": str(self._writes)}
        self.secrets[body["metadata"]["name"]] = body
        return Written(body["metadata"]["uid"], self._writes)

    async def get(self, _: str, name: str) -> Json:
        if name in self.errors:
            raise self.errors[name]
        if name not in self.secrets:
            raise ObjectNotFoundError(f"there is no Secret {name}")
        return self.secrets[name]

    async def create(self, _: str, body: bytearray, *, manager: str) -> Written:
        if self.create_error is not None:
            raise self.create_error
        made: Json = json.loads(body)
        if made["metadata"]["name"] in self.secrets:
            raise AlreadyExistsError("it exists already")
        return self.put(made)

    async def apply(self, actual: Json, body: bytearray, **_: Any) -> Written:
        self.applied()
        applied: Json = json.loads(body)
        actual["data"] = {**actual.get("data", {}), **applied["data"]}
        return self.put(actual)


class Desk:
    """Projects ManagedSecrets of one namespace, each with one version."""

    def __init__(self, vault: Vault) -> None:
        self.vault, self.shelf = vault, Shelf()
        self.touched: list[str] = []
        natives, sightings = cast("NativeSecrets", self.shelf), Sightings()
        targets = Targets(vault.store, vault.identity, vault.keys, cast("Any", None))
        writer = TargetWriter(
            vault.store,
            vault.versions,
            natives,
            targets,
            Importing(targets, vault.versions),
            sightings=sightings,
            keys=vault.keys,
            touched=lambda _: None,
            clock=now,
        )
        self._targets = targets
        self._projecting = Projecting(
            vault.store,
            natives,
            targets,
            writer,
            sightings,
            touched=lambda name: self.touched.append(name.name),
            clock=now,
        )

    async def project(
        self, name: str, *targets: Json, key: str = "a", adoption: str = "Fail"
    ) -> Projection:
        resource = self._resource(name, targets, key, adoption)
        secret = await self._secret(resource)
        return await self._projecting.project(resource, secret, self._projecting.view("shop"))

    async def claim(self, name: str, target: Json, *, merging: bool = False) -> None:
        """Claim a target as a reconcile does that ends before it writes."""
        resource = self._resource(name, (target,))
        merged = frozenset({target["name"]} if merging else ())
        await self._targets.claim(await self._secret(resource), claims_of(resource, merged))

    def forget(self, name: str) -> None:
        self._projecting.forget(SecretName("shop", name))

    def _resource(
        self, name: str, targets: tuple[Json, ...], key: str = "a", adoption: str = "Fail"
    ) -> ManagedSecret:
        body = {
            "metadata": {"name": name, "namespace": "shop", "uid": f"uid-of-{name}"},
            "spec": {
                "data": [{"key": key, "value": name}],
                "targets": list(targets),
                "adoptionPolicy": adoption,
            },
        }
        return parse(body, outputs_of=lambda *_: {})

    async def _secret(self, resource: ManagedSecret) -> Secret:
        named = SecretName("shop", resource.name.name)
        attachment = Attachment("uid-of-shop", named, resource.uid, Retention(), b"manifest")
        secret = await self.vault.store.attach(attachment, now=now())
        if secret.stages.current is not None:
            return secret
        with Payload({"a": SecretValue(named.name.encode())}) as payload:
            return await self.vault.versions.add(
                secret, payload, origins={}, reason=VersionReason.CREATED, history_limit=10
            )


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened(tmp_path) as vault:
        yield Desk(vault)


def synced(projection: Projection) -> dict[str, bool]:
    return {target.name: target.synced for target in projection.targets}


OWN, SHARED = {"name": "own"}, {"name": "shared"}
OTHER_KEY = {"template": {"data": {"other": "{{ a }}"}}}


@pytest.mark.parametrize("targets", [(OWN, SHARED), (SHARED, OWN)], ids=["last", "first"])
async def test_a_target_that_another_has_claimed_keeps_no_other_from_being_written(
    desk: Desk, targets: tuple[Json, ...]
) -> None:
    await desk.project("first", SHARED)
    theirs = desk.shelf.secrets["shared"]

    done = await desk.project("second", *targets)

    assert synced(done) == {"own": True, "shared": False}
    assert isinstance(done.error, TargetOwnedByOtherError)
    assert done.error.message == (
        "the Secret shared is written by the ManagedSecret shop/first already; "
        "write another name in spec.targets"
    )
    assert done.left_behind is done.error
    assert desk.shelf.secrets["own"]["metadata"]["name"] == "own"
    assert desk.shelf.secrets["shared"] is theirs


async def test_of_a_key_that_another_has_claimed_the_message_names_it(desk: Desk) -> None:
    desk.shelf.put({"metadata": {"name": "shared", "annotations": {"keyturn.dev/allow": "second"}}})
    await desk.claim("first", SHARED, merging=True)

    done = await desk.project("second", {**SHARED, "creationPolicy": "Merge"}, OWN)

    assert synced(done) == {"shared": False, "own": True}
    assert done.error is not None
    assert done.error.message.startswith("the key a of the Secret shared is written by the")


@pytest.mark.parametrize("manager", ["somebody", f"keyturn-{UUID(int=1)}"])
async def test_nor_is_a_key_overwritten_that_the_version_has_and_the_resource_does_not(
    desk: Desk, manager: str
) -> None:
    # As after a rollback, or while a new version waits for something. Nor is the key imported: the
    # resource has no place for it.
    theirs = {"manager": manager, "operation": "Update", "fieldsV1": {"f:data": {"f:a": {}}}}
    allowed = {"keyturn.dev/allow": "second"}
    metadata = {"name": "shared", "annotations": allowed, "managedFields": [theirs]}
    desk.shelf.put({"metadata": metadata, "data": {"a": "dGhlaXJz"}})

    done = await desk.project("second", {**SHARED, "creationPolicy": "Merge"}, key="b")

    assert isinstance(done.error, TargetOwnedByOtherError)
    assert done.error.message.startswith(f"the key a of the Secret shared is written by {manager}")
    assert desk.shelf.secrets["shared"]["data"] == {"a": "dGhlaXJz"}


@pytest.mark.parametrize("policy", ["Owner", "Merge"])
async def test_what_is_rendered_otherwise_than_it_stands_is_imported_once(
    desk: Desk, policy: str
) -> None:
    theirs = {"manager": "somebody", "operation": "Update", "fieldsV1": {"f:data": {"f:url": {}}}}
    allowed = {"keyturn.dev/allow": "second"}
    metadata = {"name": "shared", "annotations": allowed, "managedFields": [theirs]}
    desk.shelf.put({"metadata": metadata, "data": {"url": "b2xk"}})
    rendered = {"template": {"data": {"url": "of {{ a }}"}}}

    done = await desk.project(
        "second", {**SHARED, **rendered, "creationPolicy": policy}, adoption="Import"
    )

    assert synced(done) == {"shared": True}
    assert desk.shelf.secrets["shared"]["data"] == {"url": b64encode(b"of second").decode()}
    (secret,) = await desk.vault.store.lookup(SecretName("shop", "second"))
    assert len(secret.versions) == 1


async def test_it_is_written_once_the_other_gives_it_up(desk: Desk) -> None:
    await desk.claim("first", SHARED)
    assert (await desk.project("second", OWN, SHARED)).error is not None

    await desk.project("first", {"name": "another"})
    done = await desk.project("second", OWN, SHARED)

    assert done.error is None
    assert synced(done) == {"own": True, "shared": True}


async def test_who_waits_for_it_hears_when_the_other_gives_it_up(desk: Desk) -> None:
    # Nothing stands there, so no watch tells it.
    await desk.project("first", {**SHARED, "creationPolicy": "Merge"})
    await desk.project("second", SHARED)
    assert desk.touched == []

    await desk.project("first", {"name": "another"})

    assert desk.touched == ["second"]
    assert (await desk.project("second", SHARED)).error is None


async def test_who_waits_for_a_key_hears_when_it_is_given_up_and_not_before(desk: Desk) -> None:
    # The watch does not tell: it hears of our own write only.
    desk.shelf.put({"metadata": {"name": "shared", "annotations": {"keyturn.dev/allow": "first"}}})
    merged = {**SHARED, "creationPolicy": "Merge"}
    await desk.project("first", {**merged, **OTHER_KEY})
    await desk.project("second", {**merged, **OTHER_KEY})
    before: list[str] = []
    desk.shelf.applied = lambda: before.extend(desk.touched)

    await desk.project("first", merged)

    assert before == []
    assert desk.touched == ["second"]


async def test_who_waits_for_it_hears_although_the_other_cannot_go_on(desk: Desk) -> None:
    await desk.project("first", {**SHARED, "creationPolicy": "Merge"})
    await desk.project("second", SHARED)
    desk.shelf.create_error = ClusterUnavailableError("it does not answer")

    with pytest.raises(ClusterUnavailableError):
        await desk.project("first", {"name": "another"})

    assert desk.touched == ["second"]


async def test_and_when_the_other_goes_on_only_later(desk: Desk) -> None:
    await desk.project("first", {**SHARED, "creationPolicy": "Merge"})
    await desk.project("second", SHARED)
    merged = {"name": "another", "creationPolicy": "CreateOrMerge"}
    desk.shelf.errors["another"] = ClusterUnavailableError("it does not answer")
    with pytest.raises(ClusterUnavailableError):
        await desk.project("first", merged)
    del desk.shelf.errors["another"]
    assert desk.touched == []

    await desk.project("first", merged)

    assert desk.touched == ["second"]


async def test_who_waits_for_it_hears_when_the_other_is_gone(desk: Desk) -> None:
    await desk.project("first", {**SHARED, "creationPolicy": "Merge"}, OWN)
    await desk.project("second", SHARED)

    desk.forget("first")

    assert desk.touched == ["second"]


@pytest.mark.parametrize(
    "error",
    [DeniedError("a right is missing"), TargetOwnedByOtherError("it is somebody else's")],
    ids=["denied", "theirs"],
)
async def test_one_that_cannot_even_be_read_keeps_no_other_from_being_written(
    desk: Desk, error: KeyturnError
) -> None:
    desk.shelf.errors["shared"] = error

    done = await desk.project("second", {**SHARED, "creationPolicy": "CreateOrMerge"}, OWN)

    assert synced(done) == {"shared": False, "own": True}
    assert done.error is done.left_behind is error


async def test_our_own_stays_claimed_as_a_whole_while_it_cannot_be_read(desk: Desk) -> None:
    target = {**SHARED, "creationPolicy": "CreateOrMerge"}
    await desk.project("first", target)
    desk.shelf.errors["shared"] = DeniedError("a right is missing")
    await desk.project("first", target)
    del desk.shelf.errors["shared"]

    theirs = await desk.project("second", {**SHARED, "creationPolicy": "Merge", **OTHER_KEY})
    assert isinstance(theirs.error, TargetOwnedByOtherError)
    assert (await desk.project("first", target)).error is None


async def test_one_that_cannot_be_made_is_not_left_behind(desk: Desk) -> None:
    desk.shelf.create_error = DeniedError("exceeded quota")

    done = await desk.project("second", OWN)

    assert done.error is desk.shelf.create_error
    assert done.left_behind is None


async def test_nor_is_one_that_cannot_be_rendered_the_first_time(desk: Desk) -> None:
    done = await desk.project("second", {**OWN, "template": {"data": {"url": "{{ nobody }}"}}})

    assert done.error is not None
    assert done.error.code == "InvalidTemplate"
    assert done.left_behind is None


async def test_one_that_is_not_there_is_not_left_behind(desk: Desk) -> None:
    done = await desk.project("second", {**SHARED, "creationPolicy": "Merge"}, OWN)

    assert done.error is not None
    assert done.error.code == "SecretMissing"
    assert done.left_behind is None


async def test_one_that_is_being_deleted_is(desk: Desk) -> None:
    desk.shelf.put({"metadata": {"name": "shared", "deletionTimestamp": "2030-01-01T00:00:00Z"}})

    done = await desk.project("second", SHARED, OWN)

    assert done.left_behind is not None
    assert done.left_behind.code == "SecretMissing"
