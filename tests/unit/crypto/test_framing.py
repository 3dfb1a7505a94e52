import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.crypto._framing import frame, parse_key_id, require_format, unframe
from keyturn.domain.errors import TamperedError, UnknownFormatError

parts = st.lists(st.binary(max_size=6), max_size=6)


@given(parts, parts)
def test_only_the_same_parts_make_the_same_frame(left: list[bytes], right: list[bytes]) -> None:
    assert (frame(*left) == frame(*right)) == (left == right)


def test_a_byte_that_moves_to_the_neighbour_makes_another_frame() -> None:
    assert frame(b"ab", b"c") != frame(b"a", b"bc")


@given(parts, st.binary(max_size=9))
def test_gives_back_the_parts_and_where_they_end(fields: list[bytes], rest: bytes) -> None:
    framed = frame(*fields)

    assert unframe(b"head" + framed + rest, len(fields), start=4) == (fields, 4 + len(framed))


def test_refuses_every_truncated_frame() -> None:
    framed = frame(b"one", b"two")

    for end in range(len(framed)):
        with pytest.raises(TamperedError):
            unframe(framed[:end], 2)


def test_refuses_a_length_far_beyond_the_end() -> None:
    with pytest.raises(TamperedError, match="inside a field"):
        unframe(b"\xff\xff\xff\xff", 1)


@pytest.mark.parametrize("data", [b"", b"KTV", b"KTV\x02rest", b"ktv\x01rest"])
def test_refuses_another_format(data: bytes) -> None:
    with pytest.raises(UnknownFormatError):
        require_format(data, b"KTV\x01")


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"x" * 256, id="too long"),
        pytest.param(b"key\nlevel=info", id="a line break, to forge a log line"),
        pytest.param(b"\x1b[2J", id="an escape sequence for the terminal"),
        pytest.param("schlüssel".encode(), id="not ASCII"),
    ],
)
def test_refuses_what_cannot_be_the_name_of_a_key(field: bytes) -> None:
    with pytest.raises(TamperedError):
        parse_key_id(field)


def test_takes_the_longest_name_of_a_key() -> None:
    assert parse_key_id(b"x" * 255) == "x" * 255
