import pytest

from generating import unevenness
from keyturn.generators import characters

ALPHABET = bytes(range(65, 65 + 62))


def test_each_character_is_as_likely_as_the_others() -> None:
    drawn = characters.draw(ALPHABET, 40_000)

    assert unevenness(drawn, kinds=62) < 8


@pytest.mark.parametrize("repeat", [True, False])
@pytest.mark.parametrize("count", [0, 1, 62])
def test_as_many_are_drawn_as_are_asked_for(count: int, repeat: bool) -> None:
    drawn = characters.draw(ALPHABET, count, repeat=repeat)

    assert isinstance(drawn, bytearray)
    assert len(drawn) == count
    assert set(drawn) <= set(ALPHABET)


def test_without_repeat_no_character_comes_twice() -> None:
    drawn = characters.draw(ALPHABET, 62, repeat=False)

    assert sorted(drawn) == sorted(ALPHABET)
    assert drawn != ALPHABET


def test_without_repeat_each_order_is_as_likely_as_the_others() -> None:
    drawn = [bytes(characters.draw(b"abcd", 3, repeat=False)) for _ in range(7200)]

    assert unevenness(drawn, kinds=24) < 8


def test_each_kind_is_there() -> None:
    kinds = (frozenset(b"abc"), frozenset(b"01"), frozenset(b"!"))

    drawn = [characters.draw_with_each(b"abc01!", 3, kinds) for _ in range(200)]

    assert all(not kind.isdisjoint(text) for kind in kinds for text in drawn)


def test_each_text_that_has_all_kinds_is_as_likely_as_the_others() -> None:
    kinds = (frozenset(b"a"), frozenset(b"01"))

    drawn = [bytes(characters.draw_with_each(b"a01", 4, kinds)) for _ in range(12_800)]

    # 81 texts, without the one of letters only and the 16 of digits only.
    assert unevenness(drawn, kinds=64) < 8


def test_kinds_and_no_repeat_go_together() -> None:
    kinds = (frozenset(b"a"), frozenset(b"01"))

    drawn = characters.draw_with_each(b"a01", 3, kinds, repeat=False)

    assert sorted(drawn) == sorted(b"a01")


def test_each_order_is_as_likely_as_the_others_after_shuffling() -> None:
    shuffled = []
    for _ in range(4800):
        text = bytearray(b"abcd")
        characters.shuffle(text)
        shuffled.append(bytes(text))

    assert unevenness(shuffled, kinds=24) < 8
