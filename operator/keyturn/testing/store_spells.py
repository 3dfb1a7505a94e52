"""What every store promises of the spells: from when a native Secret showed which version."""

from datetime import timedelta
from uuid import uuid4

import pytest

from keyturn.domain.consumers import Spell
from keyturn.domain.errors import SecretDeletedError
from keyturn.store.interface import SecretStore
from keyturn.testing.store_identity import Opener
from keyturn.testing.store_samples import LATER, NOW, a_deleted_secret, a_projection, a_secret, add

A_MINUTE = timedelta(minutes=1)
MANY, FEWEST = 300, 100


class SpellPromises:
    """The promises of `SecretStore.spells`."""

    async def test_a_spell_begins_with_another_version(
        self, store: SecretStore, reopen: Opener
    ) -> None:
        secret = await a_secret(store, versions=2)
        await store.record_projection(secret.id, a_projection(version=1), since=NOW)
        await store.record_projection(secret.id, a_projection(version=2), since=NOW + A_MINUTE)

        expected = (Spell("database", 1, NOW), Spell("database", 2, NOW + A_MINUTE))
        assert await store.spells(secret.id) == expected
        reopened = await reopen()
        assert await reopened.spells(secret.id) == expected

    async def test_the_same_version_written_again_goes_on_with_its_spell(
        self, store: SecretStore
    ) -> None:
        secret = await a_secret(store, versions=1)
        await store.record_projection(secret.id, a_projection(version=1), since=NOW)

        await store.record_projection(secret.id, a_projection(version=1), since=LATER)

        assert await store.spells(secret.id) == (Spell("database", 1, NOW),)

    async def test_a_version_that_comes_back_has_another_spell(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=2)
        for minute, version in enumerate((1, 2, 1)):
            projected = a_projection(version=version)
            await store.record_projection(secret.id, projected, since=NOW + minute * A_MINUTE)

        assert [spell.version for spell in await store.spells(secret.id)] == [1, 2, 1]

    async def test_a_version_that_says_the_same_begins_with_the_one_before(
        self, store: SecretStore
    ) -> None:
        secret = await a_secret(store, versions=2)
        await store.record_projection(secret.id, a_projection(version=1), since=NOW)

        await store.record_projection(
            secret.id, a_projection(version=2), since=LATER, same_data=True
        )

        expected = (Spell("database", 1, NOW), Spell("database", 2, NOW))
        assert await store.spells(secret.id) == expected

    async def test_what_stood_there_while_it_was_not_ours_is_not_known_to_be_the_same(
        self, store: SecretStore
    ) -> None:
        secret = await a_secret(store, versions=1)
        await store.record_projection(secret.id, a_projection(), since=NOW)
        await store.forget_projection(secret.id, "database", now=NOW + A_MINUTE)

        await store.record_projection(secret.id, a_projection(), since=LATER, same_data=True)

        assert (await store.spells(secret.id))[-1] == Spell("database", 1, LATER)

    async def test_each_native_secret_has_spells_of_its_own(self, store: SecretStore) -> None:
        one, other = await a_secret(store, "one"), await a_secret(store, "other")
        await store.record_projection(one.id, a_projection("a"), since=NOW)
        await store.record_projection(one.id, a_projection("b"), since=LATER)
        await store.record_projection(other.id, a_projection("a"), since=LATER)

        assert await store.spells(one.id) == (Spell("a", 1, NOW), Spell("b", 1, LATER))
        assert await store.spells(other.id) == (Spell("a", 1, LATER),)

    async def test_a_clock_that_was_put_back_does_not_turn_the_order(
        self, store: SecretStore
    ) -> None:
        secret = await a_secret(store, versions=2)
        await store.record_projection(secret.id, a_projection(version=1), since=LATER)

        await store.record_projection(secret.id, a_projection(version=2), since=NOW)

        assert [spell.since for spell in await store.spells(secret.id)] == [
            LATER,
            LATER + timedelta(microseconds=1),
        ]

    async def test_a_native_secret_that_was_released_shows_nothing_of_ours(
        self, store: SecretStore
    ) -> None:
        secret = await a_secret(store, versions=1)
        await store.record_projection(secret.id, a_projection(version=1), since=NOW)

        await store.forget_projection(secret.id, "database", now=LATER)
        await store.forget_projection(secret.id, "never there", now=LATER)

        expected = (Spell("database", 1, NOW), Spell("database", None, LATER))
        assert await store.spells(secret.id) == expected

    async def test_a_deletion_ends_each_spell_and_keeps_them(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=1)
        await store.record_projection(secret.id, a_projection(version=1), since=NOW)

        await store.mark_deleted(secret.id, resource_uid=secret.resource_uid, now=LATER)

        expected = (Spell("database", 1, NOW), Spell("database", None, LATER))
        assert await store.spells(secret.id) == expected

    async def test_spells_outlive_their_versions(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=1)
        await store.record_projection(secret.id, a_projection(version=1), since=NOW)
        for number in range(2, 5):
            secret = await add(store, secret, number, limit=1)

        assert 1 not in [version.number for version in secret.versions]
        assert await store.spells(secret.id) == (Spell("database", 1, NOW),)

    async def test_of_many_spells_the_newest_are_kept(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=1)
        for number in range(1, MANY + 1):
            projected = a_projection(version=number)
            await store.record_projection(secret.id, projected, since=NOW + number * A_MINUTE)
        await store.record_projection(secret.id, a_projection("other"), since=NOW)

        kept = [s.version for s in await store.spells(secret.id) if s.native_name == "database"]
        assert FEWEST <= len(kept) < MANY
        assert kept == list(range(MANY + 1 - len(kept), MANY + 1))

    async def test_no_spell_begins_for_a_secret_that_is_gone(self, store: SecretStore) -> None:
        deleted = await a_deleted_secret(store)

        with pytest.raises(SecretDeletedError):
            await store.record_projection(deleted.id, a_projection(), since=NOW)
        assert await store.spells(deleted.id) == ()
        assert await store.spells(uuid4()) == ()

    async def test_a_purge_takes_the_spells_along(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=1)
        await store.record_projection(secret.id, a_projection(), since=NOW)
        deleted = await store.mark_deleted(secret.id, resource_uid=secret.resource_uid, now=NOW)
        assert deleted.purge_after is not None

        await store.purge(secret.id, now=deleted.purge_after)

        assert await store.spells(secret.id) == ()
