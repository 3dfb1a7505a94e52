import contextlib
import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.errors import InvalidSpecError, TamperedError, ValueTooLargeError
from keyturn.domain.payload import MAX_PAYLOAD_BYTES, Payload, SecretValue

keys = st.text(min_size=1, max_size=60, alphabet=st.characters(exclude_categories=["Cs"]))
values = st.dictionaries(keys, st.binary(max_size=40), max_size=6)


def payload(**plain: bytes) -> Payload:
    return Payload({key: SecretValue(value) for key, value in plain.items()})


def revealed(opened: Payload) -> dict[str, bytes]:
    return {key: bytes(value.reveal()) for key, value in opened.items()}


class TestSecretValue:
    def test_reveals_its_plaintext(self) -> None:
        assert bytes(SecretValue(b"hunter2").reveal()) == b"hunter2"

    def test_knows_its_length(self) -> None:
        assert len(SecretValue(b"hunter2")) == 7

    def test_its_view_cannot_be_written_to(self) -> None:
        view = SecretValue(b"hunter2").reveal()

        with pytest.raises(TypeError):
            view[0] = 0

    @pytest.mark.parametrize(
        "text",
        [
            str(SecretValue(b"hunter2")),
            repr(SecretValue(b"hunter2")),
            f"{SecretValue(b'hunter2')}",
            f"{SecretValue(b'hunter2')!s:>40}".strip(),
            f"{SecretValue(b'hunter2'):x>9}",
            f"{[SecretValue(b'hunter2')]}".strip("[]"),
            "%s" % SecretValue(b"hunter2"),  # noqa: UP031 - the way of logging
        ],
    )
    def test_no_text_form_shows_it(self, text: str) -> None:
        assert text == "SecretValue(***)"

    def test_a_traceback_with_the_value_in_it_does_not_show_it(self) -> None:
        value = SecretValue(b"hunter2")

        error = ValueError("bad value", value)

        assert "hunter2" not in repr(error)

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_cannot_be_pickled(self, protocol: int) -> None:
        with pytest.raises(TypeError, match="pickled or copied"):
            pickle.dumps(SecretValue(b"hunter2"), protocol)

    def test_cannot_be_copied_by_accident(self) -> None:
        with pytest.raises(TypeError):
            copy.copy(SecretValue(b"hunter2"))
        with pytest.raises(TypeError):
            copy.deepcopy({"password": SecretValue(b"hunter2")})

    def test_cannot_become_json_or_bytes_by_accident(self) -> None:
        with pytest.raises(TypeError):
            json.dumps(SecretValue(b"hunter2"))
        with pytest.raises(TypeError):
            b"".join([SecretValue(b"hunter2")])  # type: ignore[list-item]

    def test_has_no_dictionary_of_attributes(self) -> None:
        assert not hasattr(SecretValue(b"hunter2"), "__dict__")

    def test_is_compared_in_constant_time_only(self) -> None:
        with pytest.raises(TypeError, match="matches"):
            assert SecretValue(b"hunter2") == SecretValue(b"hunter2")
        with pytest.raises(TypeError, match="matches"):
            assert SecretValue(b"hunter2") != b"hunter2"

    def test_cannot_be_a_key_of_a_cache(self) -> None:
        with pytest.raises(TypeError, match="hash"):
            hash(SecretValue(b"hunter2"))

    @pytest.mark.parametrize(
        ("other", "same"), [(b"hunter2", True), (b"hunter3", False), (b"hunter", False)]
    )
    def test_matches_the_same_plaintext(self, other: bytes, same: bool) -> None:
        assert SecretValue(b"hunter2").matches(SecretValue(other)) is same

    def test_is_zeroed_when_its_with_ends(self) -> None:
        with SecretValue(b"hunter2") as value:
            view = value.reveal()

        assert view == bytes(7)

    def test_is_zeroed_when_its_with_fails(self) -> None:
        value = SecretValue(b"hunter2")

        with pytest.raises(RuntimeError), value:
            raise RuntimeError

        assert value.reveal() == bytes(7)

    def test_takes_a_buffer_over_to_zero_it(self) -> None:
        buffer = bytearray(b"hunter2")

        SecretValue(buffer).zero()

        assert buffer == bytes(7)

    def test_a_copy_outlives_its_original(self) -> None:
        with SecretValue(b"hunter2") as value:
            copied = value.copy()

        assert bytes(copied.reveal()) == b"hunter2"


class TestPayload:
    def test_is_a_mapping_in_the_order_of_its_keys(self) -> None:
        fields = payload(username=b"orders", password=b"hunter2")

        assert list(fields) == ["password", "username"]
        assert len(fields) == 2
        assert "username" in fields
        assert bytes(fields["username"].reveal()) == b"orders"

    def test_shows_its_keys_and_no_value(self) -> None:
        assert repr(payload(username=b"orders", password=b"hunter2")) == (
            "Payload(password, username)"
        )

    def test_cannot_be_pickled_or_copied(self) -> None:
        with pytest.raises(TypeError):
            pickle.dumps(payload(password=b"hunter2"))
        with pytest.raises(TypeError):
            copy.deepcopy(payload(password=b"hunter2"))

    def test_has_no_plain_equality_and_no_hash(self) -> None:
        with pytest.raises(TypeError, match="matches"):
            assert payload() == payload()
        with pytest.raises(TypeError, match="hash"):
            hash(payload())

    def test_is_zeroed_when_its_with_ends(self) -> None:
        with payload(a=b"one", b=b"two") as fields:
            views = [value.reveal() for value in fields.values()]

        assert views == [bytes(3), bytes(3)]


class TestEncoding:
    @given(values)
    def test_gives_back_what_was_encoded(self, plain: dict[str, bytes]) -> None:
        encoded = payload(**plain).encode()

        assert revealed(Payload.decode(encoded)) == plain

    def test_stays_the_same_in_every_release(self) -> None:
        encoded = payload(b=b"two", a=b"1").encode()

        assert encoded.hex() == "000000010000000161310000000100000003" + b"btwo".hex()

    @given(values, values)
    def test_only_the_same_payload_has_the_same_form(
        self, left: dict[str, bytes], right: dict[str, bytes]
    ) -> None:
        assert (payload(**left).encode() == payload(**right).encode()) == (left == right)

    def test_is_made_in_one_buffer_that_never_grew(self) -> None:
        # A buffer that grows is moved, and leaves plaintext behind in freed memory.
        encoded = payload(**{f"key-{n}": b"x" * 100 for n in range(50)}).encode()

        assert encoded.__alloc__() == len(encoded) + 1

    def test_takes_a_payload_of_just_the_limit(self) -> None:
        assert payload(k=b"x" * (MAX_PAYLOAD_BYTES - 1)).encode()

    def test_refuses_one_byte_over_the_limit(self) -> None:
        with pytest.raises(ValueTooLargeError, match="65537 bytes together; the limit is 65536"):
            payload(k=b"x" * MAX_PAYLOAD_BYTES).encode()

    def test_counts_keys_as_well_as_values(self) -> None:
        with pytest.raises(ValueTooLargeError):
            payload(key=b"12345").encode(limit=7)

    @pytest.mark.parametrize("key", ["", "k" * 254, "ü" * 127])
    def test_refuses_a_key_that_no_native_secret_takes(self, key: str) -> None:
        with pytest.raises(InvalidSpecError, match="1 to 253 bytes"):
            payload(**{key: b"x"}).encode()

    def test_takes_the_longest_key(self) -> None:
        assert payload(**{"k" * 253: b"x"}).encode()


class TestDecoding:
    def test_refuses_every_truncated_form_that_ends_inside_a_field(self) -> None:
        encoded = bytes(payload(a=b"one", b=b"two").encode())
        whole = {0, len(payload(a=b"one").encode())}

        for end in set(range(len(encoded))) - whole:
            with pytest.raises(TamperedError):
                Payload.decode(encoded[:end])

    def test_refuses_a_key_that_is_not_text(self) -> None:
        with pytest.raises(TamperedError, match="not text") as caught:
            Payload.decode(b"\0\0\0\1\0\0\0\0\xff")

        assert caught.value.__cause__ is None

    @given(st.binary(max_size=60))
    def test_no_bytes_make_any_other_error(self, noise: bytes) -> None:
        with contextlib.suppress(TamperedError):
            Payload.decode(noise)

    def test_gives_values_that_do_not_share_the_buffer(self) -> None:
        encoded = payload(a=b"one").encode()

        decoded = Payload.decode(encoded)
        encoded[:] = bytes(len(encoded))

        assert revealed(decoded) == {"a": b"one"}
