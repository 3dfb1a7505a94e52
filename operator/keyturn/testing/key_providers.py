"""What every key provider has to keep, as a suite that its tests inherit.

::

    class TestMine(KeyProviderContract):
        @pytest.fixture
        def provider(self) -> KeyProvider: ...

        @pytest.fixture
        def stranger(self) -> KeyProvider: ...
"""

import asyncio

import pytest

from keyturn.crypto.key_providers.interface import KeyProvider
from keyturn.domain.errors import TamperedError, WrongKeyError

DATA_KEY = bytes(range(32))
CONTEXT = b"where the version belongs"
MAX_KEY_ID = 255
REPEATS = 50


class KeyProviderContract:
    """The promises of `KeyProvider`; `stranger` is a provider of the same kind with another key."""

    @pytest.fixture
    def provider(self) -> KeyProvider:
        raise NotImplementedError("give the provider that is tested")

    @pytest.fixture
    def stranger(self) -> KeyProvider:
        raise NotImplementedError("give a provider with another key")

    def test_its_key_has_a_printable_name(self, provider: KeyProvider) -> None:
        key_id = provider.key_id

        assert 1 <= len(key_id) <= MAX_KEY_ID
        assert key_id.isascii()
        assert key_id.isprintable()

    def test_different_keys_have_different_names(
        self, provider: KeyProvider, stranger: KeyProvider
    ) -> None:
        assert provider.key_id != stranger.key_id

    @pytest.mark.parametrize("kind", [bytes, bytearray])
    async def test_gives_back_what_it_wrapped(
        self, provider: KeyProvider, kind: type[bytes | bytearray]
    ) -> None:
        wrapped = await provider.wrap(kind(DATA_KEY), CONTEXT)

        unwrapped = await provider.unwrap(wrapped, CONTEXT, key_id=provider.key_id)

        assert unwrapped == DATA_KEY

    async def test_leaves_the_data_key_to_its_owner(self, provider: KeyProvider) -> None:
        data_key = bytearray(DATA_KEY)

        await provider.wrap(data_key, CONTEXT)

        assert data_key == DATA_KEY

    async def test_gives_a_buffer_that_its_caller_can_zero(self, provider: KeyProvider) -> None:
        wrapped = await provider.wrap(DATA_KEY, CONTEXT)
        first = await provider.unwrap(wrapped, CONTEXT, key_id=provider.key_id)
        assert isinstance(first, bytearray)

        first[:] = bytes(len(first))

        assert await provider.unwrap(wrapped, CONTEXT, key_id=provider.key_id) == DATA_KEY

    async def test_the_data_key_cannot_be_read_from_its_wrap(self, provider: KeyProvider) -> None:
        wrapped = await provider.wrap(DATA_KEY, CONTEXT)

        assert DATA_KEY[:8] not in wrapped

    async def test_never_wraps_to_the_same_bytes(self, provider: KeyProvider) -> None:
        wraps = {await provider.wrap(DATA_KEY, CONTEXT) for _ in range(REPEATS)}

        assert len(wraps) == REPEATS

    @pytest.mark.parametrize("context", [b"", CONTEXT + b"\0", CONTEXT[:-1], b"elsewhere"])
    async def test_refuses_another_context(self, provider: KeyProvider, context: bytes) -> None:
        wrapped = await provider.wrap(DATA_KEY, CONTEXT)

        with pytest.raises(TamperedError):
            await provider.unwrap(wrapped, context, key_id=provider.key_id)

    async def test_refuses_every_flipped_bit(self, provider: KeyProvider) -> None:
        wrapped = await provider.wrap(DATA_KEY, CONTEXT)

        for bit in range(len(wrapped) * 8):
            flipped = bytearray(wrapped)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(TamperedError):
                await provider.unwrap(bytes(flipped), CONTEXT, key_id=provider.key_id)

    async def test_refuses_every_other_length(self, provider: KeyProvider) -> None:
        wrapped = await provider.wrap(DATA_KEY, CONTEXT)

        for other in (*(wrapped[:end] for end in range(len(wrapped))), wrapped + b"\0"):
            with pytest.raises(TamperedError):
                await provider.unwrap(other, CONTEXT, key_id=provider.key_id)

    @pytest.mark.parametrize("key_id", ["", "nobody's", "x" * 255])
    async def test_tells_that_it_does_not_hold_a_key(
        self, provider: KeyProvider, key_id: str
    ) -> None:
        wrapped = await provider.wrap(DATA_KEY, CONTEXT)

        with pytest.raises(WrongKeyError):
            await provider.unwrap(wrapped, CONTEXT, key_id=key_id)

    async def test_tells_that_it_does_not_hold_another_providers_key(
        self, provider: KeyProvider, stranger: KeyProvider
    ) -> None:
        wrapped = await stranger.wrap(DATA_KEY, CONTEXT)

        with pytest.raises(WrongKeyError):
            await provider.unwrap(wrapped, CONTEXT, key_id=stranger.key_id)

    async def test_does_not_open_another_keys_wrap_under_its_own_name(
        self, provider: KeyProvider, stranger: KeyProvider
    ) -> None:
        wrapped = await stranger.wrap(DATA_KEY, CONTEXT)

        with pytest.raises(TamperedError):
            await provider.unwrap(wrapped, CONTEXT, key_id=provider.key_id)

    async def test_many_callers_do_not_get_in_each_others_way(self, provider: KeyProvider) -> None:
        async def there_and_back(number: int) -> bool:
            data_key, context = bytes([number]) * 32, b"%d" % number
            wrapped = await provider.wrap(data_key, context)
            return await provider.unwrap(wrapped, context, key_id=provider.key_id) == data_key

        assert all(await asyncio.gather(*(there_and_back(number) for number in range(100))))
