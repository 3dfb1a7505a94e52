from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.crypto.key_providers.local import LocalKeyProvider
from keyturn.crypto.local_key import LocalKey
from keyturn.crypto.root_keys import RootKeys, make_sealed_root, open_root, root_key_id
from keyturn.domain.errors import (
    DecryptionFailedError,
    IntegrityError,
    KeyMissingError,
    KeyProviderUnavailableError,
    MisplacedError,
    TamperedError,
    UnknownFormatError,
    WrongKeyError,
)

STORE, SECRET = UUID(int=1), UUID(int=2)
ROOT = bytes(range(32))


@pytest.fixture
def provider() -> LocalKeyProvider:
    return LocalKeyProvider(LocalKey.generate())


@pytest.fixture
def keys() -> RootKeys:
    return RootKeys(bytearray(ROOT), STORE)


class TestRoot:
    async def test_opens_to_the_same_keys_each_time(self, provider: LocalKeyProvider) -> None:
        sealed = await make_sealed_root(STORE, provider, holds_data=False)

        first = await open_root(sealed, STORE, provider)
        second = await open_root(sealed, STORE, provider)

        assert first.fingerprint("spec", b"x") == second.fingerprint("spec", b"x")

    async def test_every_store_has_a_root_of_its_own(self, provider: LocalKeyProvider) -> None:
        digests = set()
        for _ in range(20):
            sealed = await make_sealed_root(STORE, provider, holds_data=False)
            keys = await open_root(sealed, STORE, provider)
            digests.add(keys.fingerprint("spec", b"x"))

        assert len(digests) == 20

    async def test_is_never_made_for_a_store_that_holds_data(
        self, provider: LocalKeyProvider
    ) -> None:
        with pytest.raises(KeyMissingError, match="restore the store from a backup"):
            await make_sealed_root(STORE, provider, holds_data=True)

    async def test_a_wrong_key_fails_before_anything_is_written(
        self, provider: LocalKeyProvider
    ) -> None:
        sealed = await make_sealed_root(STORE, provider, holds_data=False)

        with pytest.raises(WrongKeyError):
            await open_root(sealed, STORE, LocalKeyProvider(LocalKey.generate()))

    async def test_names_the_key_that_has_to_be_restored(self, provider: LocalKeyProvider) -> None:
        sealed = await make_sealed_root(STORE, provider, holds_data=False)

        assert root_key_id(sealed) == provider.key_id

    async def test_the_root_of_another_store_is_misplaced(self, provider: LocalKeyProvider) -> None:
        sealed = await make_sealed_root(STORE, provider, holds_data=False)

        with pytest.raises(MisplacedError):
            await open_root(sealed, uuid4(), provider)

    async def test_its_wrap_is_bound_to_the_store_and_the_key(self) -> None:
        providers = [ForgetfulProvider(), ForgetfulProvider()]

        for provider in providers:
            for store_id in (STORE, uuid4()):
                await make_sealed_root(store_id, provider, holds_data=False)

        contexts = [context for provider in providers for context in provider.contexts]
        assert len(set(contexts)) == 4

    async def test_every_flipped_bit_is_detected(self, provider: LocalKeyProvider) -> None:
        sealed = await make_sealed_root(STORE, provider, holds_data=False)

        for bit in range(len(sealed) * 8):
            flipped = bytearray(sealed)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(DecryptionFailedError):
                await open_root(bytes(flipped), STORE, provider)

    async def test_every_other_length_is_detected(self, provider: LocalKeyProvider) -> None:
        sealed = await make_sealed_root(STORE, provider, holds_data=False)

        for other in (*(sealed[:end] for end in range(4, len(sealed))), sealed + b"\0"):
            with pytest.raises(TamperedError):
                await open_root(other, STORE, provider)

    @given(st.binary(max_size=200))
    async def test_no_bytes_make_any_other_error(self, noise: bytes) -> None:
        provider = LocalKeyProvider(LocalKey.of(bytes(32)))

        for data in (noise, b"KTR\x01" + noise):
            with pytest.raises(DecryptionFailedError):
                await open_root(data, STORE, provider)

    async def test_a_provider_that_forgets_what_it_wrapped_is_found_out_at_once(self) -> None:
        with pytest.raises(IntegrityError, match="does not give back"):
            await make_sealed_root(STORE, ForgetfulProvider(bytes(32)), holds_data=False)

    @pytest.mark.parametrize("size", [0, 16, 33])
    async def test_a_root_of_another_size_is_refused(self, size: int) -> None:
        provider = ForgetfulProvider()
        sealed = await make_sealed_root(STORE, provider, holds_data=False)

        provider.answer = bytes(size)

        with pytest.raises(TamperedError, match="size"):
            await open_root(sealed, STORE, provider)

    def test_is_zeroed_once_the_keys_are_derived(self) -> None:
        root = bytearray(ROOT)

        RootKeys(root, STORE)

        assert root == bytes(32)


class TestFingerprint:
    def test_is_the_same_for_the_same_parts(self, keys: RootKeys) -> None:
        assert keys.fingerprint("spec", b"a", b"b") == keys.fingerprint(
            "spec", memoryview(b"a"), bytearray(b"b")
        )

    def test_has_the_form_of_a_sha_256_in_hex(self, keys: RootKeys) -> None:
        digest = keys.fingerprint("spec", b"a")

        assert len(bytes.fromhex(digest)) == 32

    @pytest.mark.parametrize(
        ("purpose", "parts"),
        [
            pytest.param("spec", [b"a", b"bc"], id="a byte moved to the next part"),
            pytest.param("spec", [b"abc"], id="parts joined"),
            pytest.param("spec", [b"ab", b"c", b""], id="one more empty part"),
            pytest.param("spec", [b"c", b"ab"], id="another order"),
            pytest.param("speca", [b"b", b"c"], id="a byte moved to the purpose"),
            pytest.param("value", [b"ab", b"c"], id="another purpose"),
        ],
    )
    def test_differs_for_anything_else(
        self, keys: RootKeys, purpose: str, parts: list[bytes]
    ) -> None:
        assert keys.fingerprint(purpose, *parts) != keys.fingerprint("spec", b"ab", b"c")

    def test_differs_between_stores_of_one_root(self, keys: RootKeys) -> None:
        other = RootKeys(bytearray(ROOT), uuid4())

        assert other.fingerprint("spec", b"a") != keys.fingerprint("spec", b"a")

    def test_cannot_be_guessed_at_without_the_root(self, keys: RootKeys) -> None:
        other = RootKeys(bytearray(reversed(ROOT)), STORE)

        assert other.fingerprint("spec", b"a") != keys.fingerprint("spec", b"a")

    def test_stays_the_same_in_every_release(self, keys: RootKeys) -> None:
        # Stored fingerprints are compared with these for ever: a change is a change of format.
        assert keys.fingerprint("spec", b"a", b"b") == (
            "7f1ecfa1856fcfb9168bc63aff0da7aa20fffee43c3b06beae9c87741611219f"
        )


class TestManifest:
    def test_opens_to_what_was_sealed(self, keys: RootKeys) -> None:
        sealed = keys.seal_manifest(b"kind: ManagedSecret", SECRET)

        assert keys.open_manifest(sealed, SECRET) == b"kind: ManagedSecret"

    def test_cannot_be_read(self, keys: RootKeys) -> None:
        assert b"ManagedSecret" not in keys.seal_manifest(b"kind: ManagedSecret", SECRET)

    def test_never_seals_to_the_same_bytes(self, keys: RootKeys) -> None:
        assert len({keys.seal_manifest(b"kind", SECRET) for _ in range(1_000)}) == 1_000

    def test_the_manifest_of_another_secret_is_misplaced(self, keys: RootKeys) -> None:
        sealed = keys.seal_manifest(b"kind", uuid4())

        with pytest.raises(MisplacedError):
            keys.open_manifest(sealed, SECRET)

    def test_the_manifest_of_another_store_does_not_open(self, keys: RootKeys) -> None:
        sealed = RootKeys(bytearray(ROOT), uuid4()).seal_manifest(b"kind", SECRET)

        with pytest.raises(TamperedError):
            keys.open_manifest(sealed, SECRET)

    def test_every_flipped_bit_is_detected(self, keys: RootKeys) -> None:
        sealed = keys.seal_manifest(b"kind", SECRET)

        for bit in range(len(sealed) * 8):
            flipped = bytearray(sealed)
            flipped[bit // 8] ^= 1 << bit % 8
            error = UnknownFormatError if bit < 4 * 8 else TamperedError
            with pytest.raises(error):
                keys.open_manifest(bytes(flipped), SECRET)

    @given(st.binary(max_size=120))
    def test_no_bytes_make_any_other_error(self, noise: bytes) -> None:
        keys = RootKeys(bytearray(ROOT), STORE)

        for data in (noise, b"KTM\x01" + noise):
            with pytest.raises(DecryptionFailedError):
                keys.open_manifest(data, SECRET)


class TestClosing:
    def test_zeroes_the_keys(self, keys: RootKeys) -> None:
        held = [keys._fingerprint_key, keys._manifest_key]

        keys.close()

        assert held == [bytes(32), bytes(32)]

    def test_nothing_is_done_with_a_key_of_zeros(self, keys: RootKeys) -> None:
        sealed = keys.seal_manifest(b"kind", SECRET)

        keys.close()

        with pytest.raises(KeyProviderUnavailableError):
            keys.fingerprint("spec", b"a")
        with pytest.raises(KeyProviderUnavailableError):
            keys.seal_manifest(b"kind", SECRET)
        with pytest.raises(KeyProviderUnavailableError):
            keys.open_manifest(sealed, SECRET)

    def test_shows_the_store_and_no_key(self, keys: RootKeys) -> None:
        assert repr(keys) == f"RootKeys({STORE})"


class ForgetfulProvider(LocalKeyProvider):
    """Answers with something else than it wrapped, once `answer` is set."""

    def __init__(self, answer: bytes | None = None) -> None:
        super().__init__(LocalKey.generate())
        self.answer = answer
        self.contexts: list[bytes] = []

    async def wrap(self, data_key: bytes | bytearray, context: bytes) -> bytes:
        self.contexts.append(context)
        return await super().wrap(data_key, context)

    async def unwrap(self, wrapped: bytes, context: bytes, *, key_id: str) -> bytearray:
        root = await super().unwrap(wrapped, context, key_id=key_id)
        return root if self.answer is None else bytearray(self.answer)
