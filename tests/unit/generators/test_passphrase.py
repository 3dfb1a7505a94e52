import math
import string
from itertools import pairwise
from typing import Any

import pytest

from generating import make, refusal, unevenness
from keyturn.generators.passphrase import PassphraseGenerator, word_list

PASSPHRASE = PassphraseGenerator()
WORDS = frozenset(word.decode() for word in word_list())


def passphrase(**parameters: Any) -> str:
    return make(PASSPHRASE, **parameters)["key"].decode()


def test_it_fills_its_own_key() -> None:
    assert PASSPHRASE.outputs("phrase", {"words": 4}) == {"passphrase": "phrase"}


def test_without_parameters_it_has_six_words_and_hyphens_between_them() -> None:
    words = passphrase().split("-")

    assert len(words) == 6
    assert set(words) <= WORDS


@pytest.mark.parametrize("count", [3, 64])
def test_it_has_as_many_words_as_are_asked_for(count: int) -> None:
    assert len(passphrase(words=count).split("-")) == count


@pytest.mark.parametrize("count", [2, 65, "6", True])
def test_a_number_of_words_out_of_bounds_is_refused(count: Any) -> None:
    assert refusal(PASSPHRASE, words=count) == (
        "words must be a whole number from 3 to 64; write for example words: 6"
    )


@pytest.mark.parametrize("separator", [" ", ".", "--------", "·"])
def test_the_separator_stands_between_the_words(separator: str) -> None:
    words = passphrase(separator=separator).split(separator)

    assert len(words) == 6
    assert set(words) <= WORDS


def test_there_may_be_nothing_between_the_words() -> None:
    assert passphrase(separator="").isalpha()


@pytest.mark.parametrize("separator", ["123456789", "\n", 5])
def test_a_separator_that_is_too_long_or_not_printable_is_refused(separator: Any) -> None:
    assert refusal(PASSPHRASE, separator=separator).startswith("separator must be a text")


def test_capitalize_begins_each_word_with_an_upper_case_letter() -> None:
    words = passphrase(capitalize=True).split("-")

    assert all(word == word.capitalize() and word.lower() in WORDS for word in words)


def test_include_number_puts_one_digit_behind_one_of_the_words() -> None:
    places = []
    for _ in range(300):
        words = passphrase(words=3, includeNumber=True).split("-")
        numbered = [place for place, word in enumerate(words) if word[-1] in string.digits]
        assert len(numbered) == 1
        assert words[numbered[0]][:-1] in WORDS
        places.append(numbered[0])

    assert unevenness(places, kinds=3) < 8


def test_each_word_is_as_likely_as_the_others() -> None:
    drawn = [word for _ in range(500) for word in passphrase(words=64).split("-")]

    assert unevenness(drawn, kinds=len(WORDS)) < 8


@pytest.mark.parametrize("name", ["capitalize", "includeNumber"])
def test_a_flag_is_true_or_false(name: str) -> None:
    assert refusal(PASSPHRASE, **{name: 1}).startswith(f"{name} must be a boolean")


def test_the_words_are_many_different_and_easy_to_type() -> None:
    words = word_list()

    assert len(WORDS) == len(words)
    assert math.log2(len(words)) > 11
    assert all(3 <= len(word) <= 10 and word.isalpha() and word.islower() for word in words)
    assert all(word.isascii() for word in words)


def test_the_first_four_letters_tell_the_words_apart() -> None:
    assert len({word[:4] for word in WORDS}) == len(WORDS)


def test_no_word_is_the_beginning_of_another() -> None:
    """Else two draws could give the same text, and the entropy would be less than is stated."""
    in_order = sorted(WORDS)

    assert not [(a, b) for a, b in pairwise(in_order) if b.startswith(a)]
