import pickle

import pytest

from keyturn.crypto.key_providers.local import LocalKeyProvider
from keyturn.crypto.local_key import LocalKey
from keyturn.domain.errors import KeyProviderUnavailableError, TamperedError, WrongKeyError

DATA_KEY = bytes(range(32))


async def test_the_newest_key_wraps() -> None:
    older, newest = LocalKey.generate(), LocalKey.generate()

    provider = LocalKeyProvider(older, newest)

    assert provider.key_id == newest.id


async def test_an_older_key_still_unwraps() -> None:
    older = bytes(range(32, 64))
    before = LocalKeyProvider(LocalKey.of(older))
    wrapped = await before.wrap(DATA_KEY, b"context")

    after = LocalKeyProvider(LocalKey.of(older), LocalKey.generate())

    assert await after.unwrap(wrapped, b"context", key_id=before.key_id) == DATA_KEY


async def test_a_wrap_does_not_open_under_another_held_key() -> None:
    older, newest = LocalKey.generate(), LocalKey.generate()
    provider = LocalKeyProvider(older, newest)
    wrapped = await provider.wrap(DATA_KEY, b"context")

    with pytest.raises(TamperedError):
        await provider.unwrap(wrapped, b"context", key_id=older.id)


async def test_a_wrong_key_is_named() -> None:
    provider = LocalKeyProvider(LocalKey.generate())

    with pytest.raises(WrongKeyError, match=r"'local-0badc0de' is not held here; 'local-\w+' is"):
        await provider.unwrap(b"", b"context", key_id="local-0badc0de")


def test_needs_a_key() -> None:
    with pytest.raises(ValueError, match="needs keys"):
        LocalKeyProvider()


def test_refuses_two_keys_of_one_id() -> None:
    with pytest.raises(ValueError, match="an id of its own"):
        LocalKeyProvider(LocalKey.of(DATA_KEY), LocalKey.of(DATA_KEY))


async def test_the_salts_of_ten_thousand_wraps_differ() -> None:
    provider = LocalKeyProvider(LocalKey.generate())

    salts = {(await provider.wrap(DATA_KEY, b"context"))[:32] for _ in range(10_000)}

    assert len(salts) == 10_000


def test_closing_zeroes_the_keys() -> None:
    keys = [LocalKey.generate(), LocalKey.generate()]
    provider = LocalKeyProvider(*keys)

    provider.close()

    assert [bytes(key.material.reveal()) for key in keys] == [bytes(32), bytes(32)]


async def test_a_closed_provider_never_uses_a_key_of_zeros() -> None:
    provider = LocalKeyProvider(LocalKey.generate())
    wrapped = await provider.wrap(DATA_KEY, b"context")

    provider.close()

    with pytest.raises(KeyProviderUnavailableError):
        await provider.wrap(DATA_KEY, b"context")
    with pytest.raises(WrongKeyError):
        await provider.unwrap(wrapped, b"context", key_id=provider.key_id)


def test_shows_the_name_of_its_key_and_nothing_else() -> None:
    provider = LocalKeyProvider(LocalKey.of(DATA_KEY))

    assert repr(provider) == f"LocalKeyProvider({LocalKey.of(DATA_KEY).id})"


def test_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(LocalKeyProvider(LocalKey.generate()))
