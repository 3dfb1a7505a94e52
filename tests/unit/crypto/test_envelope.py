from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyturn.crypto._framing import frame, unframe
from keyturn.crypto.envelope import Context, Envelope, key_id_of
from keyturn.crypto.key_providers.local import LocalKeyProvider
from keyturn.crypto.local_key import LocalKey
from keyturn.domain.errors import (
    DecryptionFailedError,
    KeyProviderUnavailableError,
    MisplacedError,
    TamperedError,
    UnknownFormatError,
    ValueTooLargeError,
    WrongKeyError,
)
from keyturn.domain.payload import Payload, SecretValue

FORMAT, FIELDS = b"KTV\x01", 7
KEY_ID, STORE, NAMESPACE, SECRET, VERSION, WRAPPED, NONCE = range(FIELDS)

HERE = Context(store_id=UUID(int=1), namespace_uid="shop-uid", secret_id=UUID(int=2), version=7)

ELSEWHERE = [
    pytest.param(replace(HERE, store_id=UUID(int=9)), id="another store"),
    pytest.param(replace(HERE, namespace_uid="shop-uie"), id="a namespace made anew"),
    pytest.param(replace(HERE, namespace_uid=""), id="no namespace"),
    pytest.param(replace(HERE, namespace_uid="\udc80"), id="a namespace that is not text"),
    pytest.param(replace(HERE, secret_id=UUID(int=9)), id="another secret"),
    pytest.param(replace(HERE, version=6), id="an older version"),
    pytest.param(replace(HERE, version=-1), id="a number that no version has"),
]


def payload(password: bytes = b"hunter2") -> Payload:
    return Payload({"username": SecretValue(b"orders"), "password": SecretValue(password)})


def revealed(opened: Payload) -> dict[str, bytes]:
    return {key: bytes(value.reveal()) for key, value in opened.items()}


def fields_of(sealed: bytes) -> tuple[list[bytes], bytes]:
    fields, end = unframe(sealed, FIELDS, start=len(FORMAT))
    return fields, sealed[end:]


def rebuilt(fields: list[bytes], ciphertext: bytes) -> bytes:
    return FORMAT + frame(*fields) + ciphertext


@pytest.fixture(scope="module")
def provider() -> LocalKeyProvider:
    return LocalKeyProvider(LocalKey.generate())


@pytest.fixture(scope="module")
def envelope(provider: LocalKeyProvider) -> Envelope:
    return Envelope(provider)


class TestSealing:
    async def test_gives_back_what_was_sealed(self, envelope: Envelope) -> None:
        sealed = await envelope.seal(payload(), HERE)

        with await envelope.open(sealed, HERE) as opened:
            assert revealed(opened) == {"username": b"orders", "password": b"hunter2"}

    async def test_takes_any_bytes_and_no_keys_at_all(self, envelope: Envelope) -> None:
        for value in ({}, {"k": b""}, {"k": bytes(range(256))}):
            sealed = await envelope.seal(
                Payload({key: SecretValue(plain) for key, plain in value.items()}), HERE
            )

            assert revealed(await envelope.open(sealed, HERE)) == value

    async def test_leaves_the_payload_to_its_owner(self, envelope: Envelope) -> None:
        given_payload = payload()

        await envelope.seal(given_payload, HERE)

        assert revealed(given_payload)["password"] == b"hunter2"

    async def test_the_plaintext_and_its_keys_are_not_in_the_sealed_bytes(
        self, envelope: Envelope
    ) -> None:
        sealed = await envelope.seal(payload(), HERE)

        assert not any(word in sealed for word in (b"hunter2", b"password", b"orders"))

    async def test_names_the_key_that_wraps(
        self, envelope: Envelope, provider: LocalKeyProvider
    ) -> None:
        sealed = await envelope.seal(payload(), HERE)

        assert key_id_of(sealed) == provider.key_id

    async def test_refuses_a_payload_over_the_limit(self, provider: LocalKeyProvider) -> None:
        with pytest.raises(ValueTooLargeError):
            await Envelope(provider, limit=14).seal(payload(), HERE)

    async def test_nothing_repeats_in_ten_thousand_versions(self, envelope: Envelope) -> None:
        nonces, wraps, ciphertexts = set(), set(), set()

        for _ in range(10_000):
            fields, ciphertext = fields_of(await envelope.seal(payload(), HERE))
            nonces.add(fields[NONCE])
            wraps.add(fields[WRAPPED])
            ciphertexts.add(ciphertext)

        assert (len(nonces), len(wraps), len(ciphertexts)) == (10_000, 10_000, 10_000)

    async def test_every_version_has_a_data_key_of_its_own(self) -> None:
        provider = RecordingProvider()
        envelope = Envelope(provider)

        for _ in range(1_000):
            await envelope.seal(payload(), HERE)

        assert len(set(provider.data_keys)) == 1_000
        assert {len(data_key) for data_key in provider.data_keys} == {32}

    async def test_zeroes_the_data_key(self) -> None:
        provider = RecordingProvider()

        sealed = await Envelope(provider).seal(payload(), HERE)
        await Envelope(provider).open(sealed, HERE)

        assert [bytes(buffer) for buffer in provider.buffers] == [bytes(32), bytes(32)]

    async def test_zeroes_the_data_key_when_it_fails(self) -> None:
        provider = RecordingProvider()
        sealed = await Envelope(provider).seal(payload(), HERE)

        with pytest.raises(ValueTooLargeError):
            await Envelope(provider, limit=1).seal(payload(), HERE)
        with pytest.raises(TamperedError):
            await Envelope(provider).open(sealed + b"\0", HERE)

        assert [bytes(buffer) for buffer in provider.buffers] == [bytes(32)] * 3

    async def test_does_not_seal_while_the_key_changes(self) -> None:
        envelope = Envelope(ChangingProvider())

        with pytest.raises(KeyProviderUnavailableError, match="changed"):
            await envelope.seal(payload(), HERE)


class TestTampering:
    async def test_every_flipped_bit_is_detected(self, envelope: Envelope) -> None:
        sealed = await envelope.seal(payload(), HERE)

        for bit in range(len(sealed) * 8):
            flipped = bytearray(sealed)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(DecryptionFailedError) as caught:
                await envelope.open(bytes(flipped), HERE)
            assert type(caught.value) in errors_of_a_flip_at(bit // 8)

    async def test_every_truncation_is_detected(self, envelope: Envelope) -> None:
        sealed = await envelope.seal(payload(), HERE)

        for end in range(len(FORMAT), len(sealed)):
            with pytest.raises(TamperedError):
                await envelope.open(sealed[:end], HERE)

    async def test_a_byte_at_the_end_is_detected(self, envelope: Envelope) -> None:
        sealed = await envelope.seal(payload(), HERE)

        with pytest.raises(TamperedError):
            await envelope.open(sealed + b"\0", HERE)

    @pytest.mark.parametrize("field", range(FIELDS))
    async def test_a_field_of_another_length_is_detected(
        self, envelope: Envelope, field: int
    ) -> None:
        fields, ciphertext = fields_of(await envelope.seal(payload(), HERE))

        for changed in (fields[field] + b"0", fields[field][:-1], b""):
            forged = rebuilt([*fields[:field], changed, *fields[field + 1 :]], ciphertext)
            with pytest.raises((TamperedError, WrongKeyError)):
                await envelope.open(forged, HERE)

    @pytest.mark.parametrize("field", range(FIELDS - 1))
    async def test_a_byte_that_moves_to_the_next_field_is_detected(
        self, envelope: Envelope, field: int
    ) -> None:
        fields, ciphertext = fields_of(await envelope.seal(payload(), HERE))

        fields[field + 1] = fields[field][-1:] + fields[field + 1]
        fields[field] = fields[field][:-1]

        with pytest.raises((TamperedError, WrongKeyError)):
            await envelope.open(rebuilt(fields, ciphertext), HERE)

    async def test_a_forged_context_is_tampering_and_not_a_misplaced_row(
        self, envelope: Envelope
    ) -> None:
        there = replace(HERE, version=8)
        fields, ciphertext = fields_of(await envelope.seal(payload(), HERE))

        fields[VERSION] = there.fields()[-1]

        with pytest.raises(TamperedError):
            await envelope.open(rebuilt(fields, ciphertext), there)

    @pytest.mark.parametrize("field", [WRAPPED, NONCE, None])
    async def test_columns_of_another_row_are_detected(
        self, envelope: Envelope, field: int | None
    ) -> None:
        rows = [await envelope.seal(payload(b"value %d" % n), HERE) for n in range(20)]

        for ours, theirs in permutations(rows, 2):
            (fields, ciphertext), (others, other_ciphertext) = fields_of(ours), fields_of(theirs)
            if field is None:
                ciphertext = other_ciphertext
            else:
                fields[field] = others[field]
            with pytest.raises(TamperedError):
                await envelope.open(rebuilt(fields, ciphertext), HERE)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=500)
    @given(st.binary(max_size=400))
    async def test_no_bytes_make_any_other_error(self, noise: bytes) -> None:
        envelope = Envelope(LocalKeyProvider(LocalKey.generate()))

        for data in (noise, FORMAT + noise):
            with pytest.raises(DecryptionFailedError):
                await envelope.open(data, HERE)

    @settings(max_examples=500)
    @given(st.lists(st.binary(max_size=60), min_size=FIELDS, max_size=FIELDS), st.binary())
    async def test_no_fields_make_any_other_error(
        self, fields: list[bytes], ciphertext: bytes
    ) -> None:
        provider = LocalKeyProvider(LocalKey.generate())
        envelope = Envelope(provider)

        for key_id in (fields[KEY_ID], provider.key_id.encode()):
            with pytest.raises(DecryptionFailedError):
                await envelope.open(rebuilt([key_id, *fields[1:]], ciphertext), HERE)

    @settings(max_examples=500)
    @given(st.data())
    async def test_a_mutated_row_is_the_value_or_a_failed_decryption(
        self, data: st.DataObject
    ) -> None:
        envelope = Envelope(LocalKeyProvider(LocalKey.of(bytes(32))))
        sealed = await envelope.seal(payload(), HERE)
        start = data.draw(st.integers(0, len(sealed)))
        length = data.draw(st.integers(0, 8))
        mutated = sealed[:start] + data.draw(st.binary(max_size=8)) + sealed[start + length :]

        try:
            opened = revealed(await envelope.open(mutated, HERE))
        except DecryptionFailedError:
            assert mutated != sealed
        else:
            assert mutated == sealed
            assert opened["password"] == b"hunter2"


class TestPlace:
    async def test_rows_that_were_swapped_are_misplaced(self, envelope: Envelope) -> None:
        places = [
            Context(UUID(int=store), f"ns-{namespace}", UUID(int=secret), version)
            for store in (1, 2)
            for namespace in (1, 2)
            for secret in (1, 2)
            for version in (1, 2, 3)
        ][:20]
        rows = {place: await envelope.seal(payload(), place) for place in places}

        for place, elsewhere in permutations(places, 2):
            with pytest.raises(MisplacedError):
                await envelope.open(rows[elsewhere], place)

    @pytest.mark.parametrize("place", ELSEWHERE)
    async def test_a_row_opens_in_its_place_only(self, envelope: Envelope, place: Context) -> None:
        sealed = await envelope.seal(payload(), HERE)

        with pytest.raises(MisplacedError):
            await envelope.open(sealed, place)

    @pytest.mark.parametrize("place", ELSEWHERE)
    async def test_the_wrap_of_the_data_key_is_bound_to_the_place(self, place: Context) -> None:
        provider = RecordingProvider()

        await Envelope(provider).seal(payload(), HERE)
        await Envelope(provider).seal(payload(), place)

        assert provider.contexts[0] != provider.contexts[1]

    async def test_the_wrap_of_the_data_key_is_bound_to_the_name_of_its_key(self) -> None:
        providers = [RecordingProvider(), RecordingProvider()]

        for provider in providers:
            await Envelope(provider).seal(payload(), HERE)

        assert providers[0].contexts != providers[1].contexts

    async def test_a_misplaced_row_that_was_edited_too_is_tampering(
        self, envelope: Envelope
    ) -> None:
        sealed = bytearray(await envelope.seal(payload(), HERE))
        sealed[-1] ^= 1

        with pytest.raises(TamperedError):
            await envelope.open(bytes(sealed), replace(HERE, version=8))


class TestKeysAndFormats:
    async def test_another_key_is_a_wrong_key(self, envelope: Envelope) -> None:
        sealed = await envelope.seal(payload(), HERE)

        with pytest.raises(WrongKeyError):
            await Envelope(LocalKeyProvider(LocalKey.generate())).open(sealed, HERE)

    async def test_no_other_key_is_tried_than_the_one_that_is_named(self) -> None:
        ours, other = LocalKey.generate(), LocalKey.generate()
        envelope = Envelope(LocalKeyProvider(other, ours))
        fields, ciphertext = fields_of(await envelope.seal(payload(), HERE))

        fields[KEY_ID] = other.id.encode()

        with pytest.raises(TamperedError):
            await envelope.open(rebuilt(fields, ciphertext), HERE)

    @pytest.mark.parametrize("start", [b"", b"KTV", b"KTV\0", b"KTV\x02", b"KTM\x01", b"KTR\x01"])
    async def test_another_format_is_told_by_its_first_bytes(
        self, envelope: Envelope, start: bytes
    ) -> None:
        sealed = await envelope.seal(payload(), HERE)
        forged = start + (sealed[len(FORMAT) :] if len(start) == len(FORMAT) else b"")

        with pytest.raises(UnknownFormatError):
            await envelope.open(forged, HERE)
        with pytest.raises(UnknownFormatError):
            key_id_of(forged)

    @pytest.mark.parametrize("answer", [bytes(32), b"", bytes(16), bytes(24), bytes(33)])
    async def test_a_data_key_that_a_hostile_provider_swapped_is_refused(
        self, answer: bytes
    ) -> None:
        provider = HostileProvider(answer)
        sealed = await Envelope(provider).seal(payload(), HERE)

        with pytest.raises(TamperedError):
            await Envelope(provider).open(sealed, HERE)

    async def test_an_absent_provider_is_not_a_failed_decryption(self) -> None:
        provider = LocalKeyProvider(LocalKey.generate())
        provider.close()

        with pytest.raises(KeyProviderUnavailableError):
            await Envelope(provider).seal(payload(), HERE)

    async def test_no_message_holds_plaintext(self, envelope: Envelope) -> None:
        sealed = await envelope.seal(payload(), HERE)

        for broken in (*flipped_everywhere(sealed), sealed[:-1]):
            with pytest.raises(DecryptionFailedError) as caught:
                await envelope.open(broken, HERE)
            assert "hunter2" not in str(caught.value)
            assert caught.value.__cause__ is None


def flipped_everywhere(sealed: bytes) -> Iterator[bytes]:
    for position in range(len(sealed)):
        flipped = bytearray(sealed)
        flipped[position] ^= 0x80
        yield bytes(flipped)


def errors_of_a_flip_at(position: int) -> set[type[DecryptionFailedError]]:
    """The format is told first, then the name of the key; all else is tampering."""
    if position < len(FORMAT):
        return {UnknownFormatError}
    in_key_id = len(FORMAT) + 4 <= position < len(FORMAT) + 4 + len("local-00000000")
    # A flip may also make a character that no key id has.
    return {WrongKeyError, TamperedError} if in_key_id else {TamperedError}


class RecordingProvider(LocalKeyProvider):
    """Remembers the data keys that passed, their buffers and the contexts they were bound to."""

    def __init__(self) -> None:
        super().__init__(LocalKey.generate())
        self.data_keys: list[bytes] = []
        self.buffers: list[bytes | bytearray] = []
        self.contexts: list[bytes] = []

    async def wrap(self, data_key: bytes | bytearray, context: bytes) -> bytes:
        self.data_keys.append(bytes(data_key))
        self.buffers.append(data_key)
        self.contexts.append(context)
        return await super().wrap(data_key, context)

    async def unwrap(self, wrapped: bytes, context: bytes, *, key_id: str) -> bytearray:
        data_key = await super().unwrap(wrapped, context, key_id=key_id)
        self.buffers.append(data_key)
        return data_key


class HostileProvider(LocalKeyProvider):
    """Answers with a data key of its own choice."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(LocalKey.generate())
        self._answer = answer

    async def unwrap(self, wrapped: bytes, context: bytes, *, key_id: str) -> bytearray:
        await super().unwrap(wrapped, context, key_id=key_id)
        return bytearray(self._answer)


class ChangingProvider(LocalKeyProvider):
    """Gets a new key while it wraps, as a provider of the cloud may."""

    def __init__(self) -> None:
        super().__init__(LocalKey.generate())

    async def wrap(self, data_key: bytes | bytearray, context: bytes) -> bytes:
        wrapped = await super().wrap(data_key, context)
        self._key_id = "the next"
        return wrapped
