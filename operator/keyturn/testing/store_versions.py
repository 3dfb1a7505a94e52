"""What a store promises of versions and their stages."""

import asyncio
from uuid import uuid4

import pytest

from keyturn.domain.errors import (
    ConflictError,
    SecretDeletedError,
    SecretNotFoundError,
    StageMovedError,
    VersionNotFoundError,
)
from keyturn.domain.secret import Secret
from keyturn.domain.stage import Stage, Stages
from keyturn.store.interface import SecretStore
from keyturn.testing.store_samples import a_deleted_secret, a_secret, a_version, add, numbers


class VersionPromises:
    """Adding, promoting, pruning."""

    async def test_a_version_that_is_promoted_is_current(self, store: SecretStore) -> None:
        secret, sealed = await a_secret(store), a_version(1)

        secret = await store.add_version(secret.id, sealed, promote=True, history_limit=1)

        assert secret.current == sealed.version
        assert secret == await store.get(secret.id)
        assert await store.sealed(secret.id, 1) == sealed

    async def test_the_version_before_becomes_previous(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=3)

        assert secret.stages == Stages({Stage.CURRENT: 3, Stage.PREVIOUS: 2})
        assert numbers(secret) == [1, 2, 3]
        assert secret == await store.get(secret.id)

    async def test_a_version_with_the_same_credential_leaves_previous_where_it_is(
        self, store: SecretStore
    ) -> None:
        secret = await a_secret(store, versions=2)

        sealed = a_version(3, credential=2)
        secret = await store.add_version(secret.id, sealed, promote=True, history_limit=1)
        back = await store.promote(secret.id, 2, expected=3)

        assert secret.stages == Stages({Stage.CURRENT: 3, Stage.PREVIOUS: 1})
        assert back.stages == Stages({Stage.CURRENT: 2, Stage.PREVIOUS: 1})
        assert back == await store.get(secret.id)
        assert await store.sealed(secret.id, 3) == sealed

    async def test_a_previous_that_has_it_too_is_replaced(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=1)

        for number in (2, 3):
            sealed = a_version(number, credential=1)
            secret = await store.add_version(secret.id, sealed, promote=True, history_limit=1)

        assert secret.stages == Stages({Stage.CURRENT: 3, Stage.PREVIOUS: 2})

    async def test_a_version_that_is_not_promoted_holds_no_stage(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=1)

        secret = await add(store, secret, 2, promote=False)

        assert secret.stages == Stages({Stage.CURRENT: 1})
        assert secret == await store.get(secret.id)

    async def test_repeating_a_version_changes_nothing(self, store: SecretStore) -> None:
        secret, sealed = await a_secret(store, versions=1), a_version(2)
        once = await store.add_version(secret.id, sealed, promote=True, history_limit=1)

        again = await store.add_version(secret.id, sealed, promote=True, history_limit=1)

        assert again == once == await store.get(secret.id)

    async def test_repeating_an_older_version_does_not_promote_it(self, store: SecretStore) -> None:
        secret, sealed = await a_secret(store), a_version(1)
        await store.add_version(secret.id, sealed, promote=True, history_limit=5)
        newer = await add(store, secret, 2)

        again = await store.add_version(secret.id, sealed, promote=True, history_limit=5)

        assert again == newer

    async def test_the_id_of_another_secrets_version_is_refused(self, store: SecretStore) -> None:
        one, other, taken = await a_secret(store, "a"), await a_secret(store, "b"), uuid4()
        await store.add_version(
            one.id, a_version(1, version_id=taken), promote=True, history_limit=1
        )

        with pytest.raises(ConflictError):
            await store.add_version(
                other.id, a_version(1, version_id=taken), promote=True, history_limit=1
            )
        assert (await store.get(other.id)).versions == ()

    @pytest.mark.parametrize("number", [0, 1, 2, 4])
    async def test_a_number_that_is_not_the_next_is_refused(
        self, store: SecretStore, number: int
    ) -> None:
        secret = await a_secret(store, versions=2)

        with pytest.raises(StageMovedError):
            await add(store, secret, number)
        assert await store.get(secret.id) == secret

    async def test_of_two_versions_with_one_number_the_first_wins(self, store: SecretStore) -> None:
        secret = await a_secret(store)

        outcomes = await asyncio.gather(
            *(add(store, secret, 1) for _ in range(5)), return_exceptions=True
        )

        won = [outcome for outcome in outcomes if isinstance(outcome, Secret)]
        assert len(won) == 1
        assert all(isinstance(lost, StageMovedError) for lost in outcomes if lost not in won)
        assert await store.get(secret.id) == won[0]

    async def test_a_deleted_secret_takes_no_version(self, store: SecretStore) -> None:
        deleted = await a_deleted_secret(store)

        with pytest.raises(SecretDeletedError):
            await add(store, deleted, 2)
        assert await store.get(deleted.id) == deleted

    async def test_an_unknown_secret_takes_no_version(self, store: SecretStore) -> None:
        with pytest.raises(SecretNotFoundError):
            await store.add_version(uuid4(), a_version(1), promote=True, history_limit=1)

    async def test_old_versions_are_destroyed_beyond_the_limit(self, store: SecretStore) -> None:
        secret = await a_secret(store)
        for number in range(1, 8):
            secret = await add(store, secret, number, limit=2)

        assert numbers(secret) == [4, 5, 6, 7]
        assert secret == await store.get(secret.id)
        with pytest.raises(VersionNotFoundError):
            await store.sealed(secret.id, 3)

    async def test_a_smaller_limit_destroys_what_is_too_much(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=6)

        secret = await add(store, secret, 7, limit=1)

        assert numbers(secret) == [5, 6, 7]

    async def test_a_version_with_a_stage_is_never_destroyed(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=3)
        await store.promote(secret.id, 1, expected=3)
        for number in range(4, 9):
            secret = await add(store, secret, number, promote=False, limit=1)

        assert secret.stages == Stages({Stage.CURRENT: 1, Stage.PREVIOUS: 3})
        assert numbers(secret) == [1, 3, 8]
        assert (await store.sealed(secret.id, 1)).version == secret.current

    async def test_the_newest_version_is_never_destroyed(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=1)

        secret = await add(store, secret, 2, promote=False, limit=0)

        assert numbers(secret) == [1, 2]
        assert numbers(await add(store, secret, 3, promote=False, limit=0)) == [1, 3]

    async def test_promoting_moves_current_and_drags_previous(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=3)

        secret = await store.promote(secret.id, 1, expected=3)

        assert secret.stages == Stages({Stage.CURRENT: 1, Stage.PREVIOUS: 3})
        assert secret == await store.get(secret.id)

    async def test_promotes_where_nothing_was_current(self, store: SecretStore) -> None:
        secret = await add(store, await a_secret(store), 1, promote=False)

        secret = await store.promote(secret.id, 1, expected=None)

        assert secret.stages == Stages({Stage.CURRENT: 1})

    async def test_promoting_what_is_current_changes_nothing(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=2)

        assert await store.promote(secret.id, 2, expected=2) == secret

    @pytest.mark.parametrize("expected", [None, 1, 7])
    async def test_promoting_is_refused_when_current_has_moved(
        self, store: SecretStore, expected: int | None
    ) -> None:
        secret = await a_secret(store, versions=2)

        with pytest.raises(StageMovedError):
            await store.promote(secret.id, 1, expected=expected)
        assert await store.get(secret.id) == secret

    async def test_promotes_neither_an_unknown_version_nor_an_unknown_secret(
        self, store: SecretStore
    ) -> None:
        secret = await a_secret(store, versions=1)

        with pytest.raises(VersionNotFoundError):
            await store.promote(secret.id, 2, expected=1)
        with pytest.raises(SecretNotFoundError):
            await store.promote(uuid4(), 1, expected=None)

    async def test_an_unknown_version_has_no_ciphertext(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=1)

        with pytest.raises(VersionNotFoundError):
            await store.sealed(secret.id, 2)
        with pytest.raises(SecretNotFoundError):
            await store.sealed(uuid4(), 1)
