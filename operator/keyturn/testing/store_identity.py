"""What a store promises of itself, and of finding and attaching secrets."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from keyturn.domain.errors import ForeignStoreError, SecretNotFoundError
from keyturn.domain.recovery import ReclaimPolicy, Retention
from keyturn.domain.secret import SecretName
from keyturn.domain.stage import Stages
from keyturn.store.interface import SecretStore
from keyturn.testing.store_samples import (
    LATER,
    NOW,
    a_deleted_secret,
    a_projection,
    a_secret,
    a_version,
    an_attachment,
)

Opener = Callable[[], Awaitable[SecretStore]]


class IdentityPromises:
    """The store's own identity, and the identity of secrets."""

    async def test_a_new_store_is_bound_to_no_cluster(self, store: SecretStore) -> None:
        identity = await store.identity()

        assert (identity.cluster_uid, identity.sealed_root) == ("", b"")

    async def test_its_identity_survives_a_reopen(self, store: SecretStore, reopen: Opener) -> None:
        await store.bind("cluster-1")
        await store.set_sealed_root(b"wrapped")
        before = await store.identity()

        assert await (await reopen()).identity() == before

    async def test_binds_to_the_same_cluster_again(self, store: SecretStore) -> None:
        await store.bind("cluster-1")

        await store.bind("cluster-1")

        assert (await store.identity()).cluster_uid == "cluster-1"

    async def test_refuses_another_cluster(self, store: SecretStore) -> None:
        await store.bind("cluster-1")

        with pytest.raises(ForeignStoreError, match="cluster-1"):
            await store.bind("cluster-2")
        assert (await store.identity()).cluster_uid == "cluster-1"

    async def test_the_first_root_secret_stands(self, store: SecretStore) -> None:
        first = await store.set_sealed_root(b"first")

        second = await store.set_sealed_root(b"second")

        assert (first, second) == (b"first", b"first")

    async def test_check_passes_and_changes_nothing_that_is_seen(self, store: SecretStore) -> None:
        before = await store.identity()

        await store.check()

        assert await store.identity() == before
        assert await store.count() == 0

    async def test_attaching_makes_a_secret_without_versions(self, store: SecretStore) -> None:
        attachment = an_attachment()

        secret = await store.attach(attachment, now=NOW)

        assert secret.namespace_uid == attachment.namespace_uid
        assert secret.name == SecretName("shop", "database")
        assert secret.resource_uid == attachment.resource_uid
        assert secret.created_at == NOW
        assert secret.retention == attachment.retention
        assert secret.sealed_manifest == attachment.sealed_manifest
        assert (secret.versions, secret.stages, secret.deleted_at) == ((), Stages(), None)

    async def test_what_was_returned_is_what_is_found(self, store: SecretStore) -> None:
        attached = await store.attach(an_attachment(), now=NOW)

        found = await store.find("uid-of-shop", "database")

        assert found == attached == await store.get(attached.id)

    async def test_a_secret_survives_a_reopen_whole(
        self, store: SecretStore, reopen: Opener
    ) -> None:
        secret = await a_secret(store, versions=2)
        await store.record_projection(secret.id, a_projection(), since=NOW)
        before = await store.get(secret.id)

        assert await (await reopen()).get(secret.id) == before

    async def test_attaching_again_keeps_the_id_and_the_versions(self, store: SecretStore) -> None:
        first = await a_secret(store, versions=2, namespace_uid="uid-of-shop")
        renewed = an_attachment(
            resource_uid="uid-of-another", retention=Retention(ReclaimPolicy.RETAIN)
        )

        second = await store.attach(renewed, now=LATER)

        assert second == replace(
            first,
            resource_uid="uid-of-another",
            retention=renewed.retention,
            sealed_manifest=renewed.sealed_manifest,
        )
        assert await store.get(first.id) == second

    async def test_attaching_takes_back_a_deletion(self, store: SecretStore) -> None:
        deleted = await a_deleted_secret(store)

        attached = await store.attach(an_attachment(resource_uid="a new one"), now=LATER)

        assert attached.id == deleted.id
        assert attached.versions == deleted.versions
        assert (attached.deleted_at, attached.purge_after) == (None, None)
        assert await store.next_purge() is None

    async def test_a_namespace_made_anew_inherits_nothing(self, store: SecretStore) -> None:
        old = await a_secret(store, versions=1, namespace_uid="first life")

        new = await store.attach(an_attachment(namespace_uid="second life"), now=NOW)

        assert new.id != old.id
        assert new.versions == ()
        assert await store.find("third life", "database") is None

    async def test_finds_a_deleted_secret(self, store: SecretStore) -> None:
        deleted = await a_deleted_secret(store)

        assert await store.find("uid-of-shop", "database") == deleted

    async def test_a_secret_that_is_not_there_is_an_error(self, store: SecretStore) -> None:
        with pytest.raises(SecretNotFoundError):
            await store.get(uuid4())

    async def test_counts_deleted_secrets_too(self, store: SecretStore) -> None:
        made = [await a_deleted_secret(store, "gone"), await a_secret(store, "here")]

        assert await store.count() == len(made)

    async def test_lookup_gives_live_secrets_first_then_the_newest(
        self, store: SecretStore
    ) -> None:
        oldest = await store.attach(an_attachment(namespace_uid="1"), now=NOW)
        newest = await store.attach(an_attachment(namespace_uid="2"), now=LATER)
        gone = an_attachment(namespace_uid="3")
        deleted = await store.attach(gone, now=LATER)
        await store.mark_deleted(deleted.id, resource_uid=gone.resource_uid, now=LATER)

        found = await store.lookup(SecretName("shop", "database"))

        assert [secret.id for secret in found] == [newest.id, oldest.id, deleted.id]
        assert await store.lookup(SecretName("shop", "unknown")) == []

    async def test_iterates_over_all_in_the_order_of_their_names(self, store: SecretStore) -> None:
        made = [
            await a_secret(store, f"s{number % 211:03}", namespace_uid=f"n{number % 2}")
            for number in range(422)
        ]

        seen = [secret async for secret in store.secrets()]

        assert [secret.name for secret in seen] == sorted(secret.name for secret in made)

    async def test_iterates_over_one_namespace(self, store: SecretStore) -> None:
        for namespace in ("a", "b", "c"):
            await a_secret(store, "one", namespace_uid=namespace)
            await a_secret(store, "two", namespace_uid=namespace)

        seen = [str(secret.name) async for secret in store.secrets(namespace="b")]

        assert seen == ["b/one", "b/two"]

    async def test_iterates_over_two_lives_of_one_name(self, store: SecretStore) -> None:
        lives = {(await store.attach(an_attachment(namespace_uid=u), now=NOW)).id for u in "ab"}

        seen: list[UUID] = [secret.id async for secret in store.secrets(namespace="shop")]

        assert (len(seen), set(seen)) == (2, lives)

    async def test_a_secret_that_vanishes_while_iterating_ends_nothing(
        self, store: SecretStore
    ) -> None:
        deleted = await a_deleted_secret(store, "a")
        await a_secret(store, "b", namespace_uid="shop")

        seen: list[str] = []
        async for secret in store.secrets():
            await store.purge(deleted.id, now=LATER)
            seen.append(secret.name.name)

        assert seen == ["a", "b"]

    async def test_an_identity_is_case_sensitive_and_takes_any_text(
        self, store: SecretStore
    ) -> None:
        names = ["a", "A", "a'; DROP TABLE secrets; --", "ä", "%"]
        made = {name: await a_secret(store, name) for name in names}

        found = {name: await store.find("shop", name) for name in names}

        assert found == made

    async def test_a_version_is_kept_byte_for_byte(
        self, store: SecretStore, reopen: Opener
    ) -> None:
        secret, sealed = await a_secret(store), a_version(1)
        sealed = replace(sealed, sealed=bytes(range(256)) * 256)
        await store.add_version(secret.id, sealed, promote=True, history_limit=1)

        assert await (await reopen()).sealed(secret.id, 1) == sealed
