"""What every store has to keep, as a suite that its tests inherit.

::

    class TestMine(StoreContract):
        @pytest.fixture
        def opener(self) -> Opener: ...

`opener` opens the same store each time it is called: an empty one at first, and what was written
after the one before was closed.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from keyturn.domain.errors import StoreUnavailableError
from keyturn.store.interface import SecretStore
from keyturn.testing.store_identity import IdentityPromises, Opener
from keyturn.testing.store_recovery import RecoveryPromises
from keyturn.testing.store_reloads import ReloadPromises
from keyturn.testing.store_rollouts import RolloutPromises
from keyturn.testing.store_rotated_users import RotatedUserPromises
from keyturn.testing.store_rotation_ends import RotationEndPromises
from keyturn.testing.store_rotations import RotationPromises
from keyturn.testing.store_samples import NOW, a_secret, a_version, add, an_attachment, numbers
from keyturn.testing.store_spells import SpellPromises
from keyturn.testing.store_targets import TargetPromises
from keyturn.testing.store_versions import VersionPromises

CALLERS = 1000


class StoreContract(
    IdentityPromises,
    VersionPromises,
    TargetPromises,
    SpellPromises,
    RecoveryPromises,
    ReloadPromises,
    RotationPromises,
    RotationEndPromises,
    RotatedUserPromises,
    RolloutPromises,
):
    """The promises of `SecretStore`."""

    @pytest.fixture
    def opener(self) -> Opener:
        raise NotImplementedError("open the store that is tested")

    @pytest.fixture
    async def store(self, opener: Opener) -> AsyncIterator[SecretStore]:
        store = await opener()
        yield store
        await store.close()

    @pytest.fixture
    async def reopen(self, store: SecretStore, opener: Opener) -> AsyncIterator[Opener]:
        opened: list[SecretStore] = []

        async def reopen() -> SecretStore:
            await store.close()
            opened.append(await opener())
            return opened[-1]

        yield reopen
        for again in opened:
            await again.close()

    async def test_a_thousand_callers_at_once_lose_nothing(
        self, store: SecretStore, reopen: Opener
    ) -> None:
        async def one(number: int) -> None:
            secret = await store.attach(an_attachment(f"s{number}"), now=NOW)
            await add(store, secret, 1)

        await asyncio.gather(*(one(number) for number in range(CALLERS)))

        reopened = await reopen()
        assert await reopened.count() == CALLERS
        assert all([numbers(secret) == [1] async for secret in reopened.secrets()])

    async def test_an_error_of_one_caller_is_nobody_elses(self, store: SecretStore) -> None:
        secret = await a_secret(store, versions=1)

        wrong, _, right = await asyncio.gather(
            add(store, secret, 9),
            store.check(),
            add(store, secret, 2),
            return_exceptions=True,
        )

        assert isinstance(wrong, Exception)
        assert await store.get(secret.id) == right

    async def test_a_caller_that_was_cancelled_disturbs_nobody(self, store: SecretStore) -> None:
        secret = await a_secret(store)
        given_up = asyncio.ensure_future(add(store, secret, 1))
        await asyncio.sleep(0)
        given_up.cancel()

        await store.check()

        assert numbers(await store.get(secret.id)) in ([], [1])

    async def test_a_read_sees_each_write_that_was_answered(self, store: SecretStore) -> None:
        secret = await a_secret(store)
        for number in range(1, 30):
            await add(store, secret, number)

            assert (await store.sealed(secret.id, number)).version.number == number

    async def test_closing_first_does_what_was_asked_for(
        self, store: SecretStore, reopen: Opener
    ) -> None:
        secret = await a_secret(store)
        asked = [asyncio.ensure_future(add(store, secret, 1)), asyncio.ensure_future(store.check())]
        await asyncio.sleep(0)

        reopened = await reopen()

        await asyncio.gather(*asked)
        assert numbers(await reopened.get(secret.id)) == [1]

    async def test_a_closed_store_says_so_at_every_call(self, store: SecretStore) -> None:
        secret = await a_secret(store)
        await store.close()

        with pytest.raises(StoreUnavailableError):
            await store.get(secret.id)
        with pytest.raises(StoreUnavailableError):
            await store.check()
        with pytest.raises(StoreUnavailableError):
            await store.add_version(secret.id, a_version(1), promote=True, history_limit=1)
        with pytest.raises(StoreUnavailableError):
            [secret async for secret in store.secrets()]

    async def test_closing_twice_is_fine(self, store: SecretStore) -> None:
        await store.close()

        await store.close()
