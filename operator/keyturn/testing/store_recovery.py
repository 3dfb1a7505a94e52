"""What a store promises of deleting, restoring and purging."""

from datetime import timedelta
from uuid import uuid4

import pytest

from keyturn.domain.errors import SecretNotFoundError
from keyturn.domain.recovery import ReclaimPolicy, Retention
from keyturn.domain.secret import Claim
from keyturn.store.interface import SecretStore
from keyturn.testing.store_samples import (
    LATER,
    NOW,
    a_deleted_secret,
    a_projection,
    a_secret,
    an_attachment,
)

TOO_EARLY = LATER - timedelta(microseconds=1)


class RecoveryPromises:
    """A value is destroyed only when its recovery window is over."""

    async def test_a_deletion_keeps_the_versions(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=2)
        await store.record_projection(secret.id, a_projection(), since=NOW)

        deleted = await store.mark_deleted(secret.id, resource_uid=secret.resource_uid, now=NOW)

        assert (deleted.versions, deleted.stages) == (secret.versions, secret.stages)
        assert (deleted.deleted_at, deleted.purge_after) == (NOW, LATER)
        assert deleted.projected == ()
        assert deleted == await store.get(secret.id)

    @pytest.mark.parametrize(
        ("policy", "purge_after"),
        [
            (ReclaimPolicy.RECOVER, LATER),
            (ReclaimPolicy.RETAIN, None),
            (ReclaimPolicy.DELETE, NOW),
        ],
    )
    async def test_the_retention_says_when_the_purge_is_due(
        self, store: SecretStore, policy: ReclaimPolicy, purge_after: object
    ) -> None:
        retention = Retention(policy, timedelta(hours=1))

        deleted = await a_deleted_secret(store, retention=retention)

        assert deleted.purge_after == purge_after == await store.next_purge()

    async def test_the_deletion_of_an_older_resource_does_nothing(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=1)
        await store.claim(secret.id, {Claim("native")})
        before = await store.get(secret.id)

        after = await store.mark_deleted(secret.id, resource_uid="an older one", now=NOW)

        assert after == before == await store.get(secret.id)

    async def test_deleting_again_does_not_prolong_the_window(self, store: SecretStore) -> None:
        deleted = await a_deleted_secret(store)

        again = await store.mark_deleted(deleted.id, resource_uid=deleted.resource_uid, now=LATER)

        assert again == deleted

    async def test_a_restored_secret_has_all_its_versions(self, store: SecretStore) -> None:
        deleted = await a_deleted_secret(store)

        restored = await store.restore(deleted.id)

        assert (restored.versions, restored.stages) == (deleted.versions, deleted.stages)
        assert (restored.deleted_at, restored.purge_after) == (None, None)
        assert restored == await store.get(deleted.id)
        assert await store.due_for_purge(LATER) == []

    async def test_restoring_a_live_secret_changes_nothing(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=1)

        assert await store.restore(secret.id) == secret

    async def test_an_unknown_secret_is_neither_deleted_nor_restored(
        self, store: SecretStore
    ) -> None:
        with pytest.raises(SecretNotFoundError):
            await store.mark_deleted(uuid4(), resource_uid="any", now=NOW)
        with pytest.raises(SecretNotFoundError):
            await store.restore(uuid4())

    async def test_lists_what_is_due_the_longest_first(self, store: SecretStore) -> None:
        first = await a_deleted_secret(store, "b", retention=Retention(window=timedelta(hours=1)))
        second = await a_deleted_secret(store, "a", retention=Retention(window=timedelta(hours=2)))
        await a_deleted_secret(store, "kept", retention=Retention(ReclaimPolicy.RETAIN))
        await a_secret(store, "live")

        assert await store.due_for_purge(TOO_EARLY) == []
        assert await store.due_for_purge(LATER) == [first]
        assert await store.due_for_purge(NOW + timedelta(days=9)) == [first, second]
        assert await store.next_purge() == LATER

    async def test_purges_what_is_due(self, store: SecretStore) -> None:
        deleted = await a_deleted_secret(store)
        other = await a_secret(store, "other", versions=1)

        await store.purge(deleted.id, now=LATER)

        assert await store.find("uid-of-shop", "database") is None
        with pytest.raises(SecretNotFoundError):
            await store.sealed(deleted.id, 1)
        assert await store.next_purge() is None
        assert await store.get(other.id) == other

    async def test_never_purges_before_the_window_is_over(self, store: SecretStore) -> None:
        deleted = await a_deleted_secret(store)

        await store.purge(deleted.id, now=TOO_EARLY)

        assert await store.get(deleted.id) == deleted

    async def test_never_purges_what_is_retained(self, store: SecretStore) -> None:
        retained = await a_deleted_secret(store, retention=Retention(ReclaimPolicy.RETAIN))

        await store.purge(retained.id, now=NOW + timedelta(days=9999))

        assert await store.get(retained.id) == retained

    async def test_never_purges_what_was_attached_again(self, store: SecretStore) -> None:
        deleted = await a_deleted_secret(store)
        attached = await store.attach(an_attachment(resource_uid="new"), now=LATER)

        await store.purge(deleted.id, now=NOW + timedelta(days=9))

        assert await store.get(deleted.id) == attached

    async def test_purging_what_is_gone_does_nothing(self, store: SecretStore) -> None:
        deleted = await a_deleted_secret(store)

        await store.purge(deleted.id, now=LATER)
        await store.purge(deleted.id, now=LATER)

        assert await store.count() == 0

    async def test_after_a_purge_the_same_name_begins_anew(self, store: SecretStore) -> None:
        deleted = await a_deleted_secret(store)
        await store.purge(deleted.id, now=LATER)

        anew = await store.attach(an_attachment(), now=LATER)

        assert anew.id != deleted.id
        assert anew.versions == ()
