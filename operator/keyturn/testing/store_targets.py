"""What a store promises of claims and of remembered projections."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest

from keyturn.domain.errors import SecretDeletedError, SecretNotFoundError
from keyturn.domain.secret import Claim
from keyturn.store.interface import SecretStore
from keyturn.testing.store_samples import NOW, a_deleted_secret, a_projection, a_secret

WHOLE = Claim("native")
KEY_A = Claim("native", "a")
KEY_B = Claim("native", "b")


class TargetPromises:
    """Who may write a native Secret, and what was written last."""

    async def test_a_free_target_is_claimed(self, store: SecretStore) -> None:
        secret = await a_secret(store)

        refused = await store.claim(secret.id, {WHOLE, Claim("other", "key")})

        assert refused == frozenset()
        assert (await store.get(secret.id)).claims == {WHOLE, Claim("other", "key")}

    @pytest.mark.parametrize(
        ("held", "wanted"),
        [(WHOLE, WHOLE), (WHOLE, KEY_A), (KEY_A, WHOLE), (KEY_A, KEY_A)],
        ids=["whole-whole", "whole-key", "key-whole", "key-key"],
    )
    async def test_the_first_holder_wins(
        self, store: SecretStore, held: Claim, wanted: Claim
    ) -> None:
        first, second = await a_secret(store, "first"), await a_secret(store, "second")
        await store.claim(first.id, {held})

        refused = await store.claim(second.id, {wanted, Claim("free")})

        assert refused == {wanted}
        assert (await store.get(second.id)).claims == {Claim("free")}
        assert (await store.get(first.id)).claims == {held}

    async def test_two_keys_of_one_native_secret_have_two_holders(self, store: SecretStore) -> None:
        first, second = await a_secret(store, "first"), await a_secret(store, "second")
        await store.claim(first.id, {KEY_A})

        assert await store.claim(second.id, {KEY_B}) == frozenset()

    async def test_a_secret_does_not_conflict_with_itself(self, store: SecretStore) -> None:
        secret = await a_secret(store)
        await store.claim(secret.id, {WHOLE})

        assert await store.claim(secret.id, {WHOLE, KEY_A}) == frozenset()
        assert await store.claim(secret.id, {KEY_A, KEY_B}) == frozenset()
        assert (await store.get(secret.id)).claims == {KEY_A, KEY_B}

    async def test_claiming_releases_the_other_claims(self, store: SecretStore) -> None:
        first, second = await a_secret(store, "first"), await a_secret(store, "second")
        await store.claim(first.id, {WHOLE, Claim("kept")})

        await store.claim(first.id, {Claim("kept")})

        assert await store.claim(second.id, {WHOLE}) == frozenset()
        assert (await store.get(first.id)).claims == {Claim("kept")}

    async def test_claims_of_two_namespaces_do_not_meet(self, store: SecretStore) -> None:
        first = await a_secret(store, namespace_uid="one")
        second = await a_secret(store, namespace_uid="two")
        await store.claim(first.id, {WHOLE})

        assert await store.claim(second.id, {WHOLE}) == frozenset()
        assert await store.holder("three", WHOLE) is None

    async def test_of_many_that_claim_at_once_one_wins(self, store: SecretStore) -> None:
        secrets = [await a_secret(store, f"s{number}") for number in range(20)]

        refusals = await asyncio.gather(*(store.claim(secret.id, {WHOLE}) for secret in secrets))

        assert sorted(refusals, key=len) == [frozenset(), *[frozenset({WHOLE})] * 19]

    async def test_tells_the_holder_of_a_conflicting_claim(self, store: SecretStore) -> None:
        secret = await a_secret(store)
        await store.claim(secret.id, {KEY_A})

        assert await store.holder("shop", WHOLE) == await store.get(secret.id)
        assert await store.holder("shop", KEY_A) == await store.get(secret.id)
        assert await store.holder("shop", KEY_B) is None
        assert await store.holder("shop", Claim("another")) is None

    async def test_a_deletion_releases_the_claims(self, store: SecretStore) -> None:
        first, second = await a_secret(store, "first"), await a_secret(store, "second")
        await store.claim(first.id, {WHOLE})

        deleted = await store.mark_deleted(first.id, resource_uid=first.resource_uid, now=NOW)

        assert deleted.claims == frozenset()
        assert await store.claim(second.id, {WHOLE}) == frozenset()

    async def test_a_deleted_secret_claims_nothing(self, store: SecretStore) -> None:
        deleted = await a_deleted_secret(store)

        with pytest.raises(SecretDeletedError):
            await store.claim(deleted.id, {WHOLE})
        with pytest.raises(SecretNotFoundError):
            await store.claim(uuid4(), {WHOLE})
        assert await store.holder("uid-of-shop", WHOLE) is None

    async def test_a_projection_is_remembered_as_written(self, store: SecretStore) -> None:
        secret, projected = await a_secret(store, versions=1), a_projection()

        await store.record_projection(secret.id, projected, since=NOW)

        assert (await store.get(secret.id)).projected == (projected,)

    async def test_the_last_projection_of_a_native_secret_stands(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=1)
        await store.record_projection(secret.id, a_projection("b"), since=NOW)
        await store.record_projection(secret.id, a_projection("a"), since=NOW)
        rewritten = replace(a_projection("b"), resource_version="4712", owned=True, keys=())

        await store.record_projection(secret.id, rewritten, since=NOW)

        assert (await store.get(secret.id)).projected == (a_projection("a"), rewritten)

    async def test_a_projection_is_forgotten(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=1)
        await store.record_projection(secret.id, a_projection("kept"), since=NOW)
        await store.record_projection(secret.id, a_projection("gone"), since=NOW)

        await store.forget_projection(secret.id, "gone", now=NOW)
        await store.forget_projection(secret.id, "never there", now=NOW)

        assert (await store.get(secret.id)).projected == (a_projection("kept"),)

    async def test_no_projection_is_remembered_for_a_secret_that_is_gone(
        self, store: SecretStore
    ) -> None:
        deleted = await a_deleted_secret(store)

        with pytest.raises(SecretDeletedError):
            await store.record_projection(deleted.id, a_projection(), since=NOW)
        with pytest.raises(SecretNotFoundError):
            await store.record_projection(uuid4(), a_projection(), since=NOW)
        assert (await store.get(deleted.id)).projected == ()
