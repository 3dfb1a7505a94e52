import string
from collections.abc import Callable
from typing import Any

import pytest

from generating import unevenness
from keyturn.domain.errors import InvalidParameterError
from keyturn.generators.password_recipe import SYMBOLS, PasswordRecipe

ALL_PASSWORDS = 200


def draw(**parameters: Any) -> list[str]:
    """Draw enough passwords that one which breaks a rule is among them."""
    recipe = PasswordRecipe.read(parameters)
    return [recipe.draw().decode() for _ in range(ALL_PASSWORDS)]


def refusal(**parameters: Any) -> str:
    with pytest.raises(InvalidParameterError) as caught:
        PasswordRecipe.read(parameters)
    return str(caught.value)


def count(password: str, characters: str) -> int:
    return sum(character in characters for character in password)


@pytest.mark.parametrize("length", [1, 3, 4, 20, 4096])
def test_it_is_as_long_as_length_says(length: int) -> None:
    assert len(PasswordRecipe.read({"length": length}).draw()) == length


@pytest.mark.parametrize("length", [0, 4097, -1, 1.5, "32", True])
def test_a_length_out_of_bounds_is_refused(length: Any) -> None:
    assert refusal(length=length) == (
        "length must be a whole number from 1 to 4096; write for example length: 32"
    )


@pytest.mark.parametrize("name", ["digits", "symbols"])
@pytest.mark.parametrize("number", [-1, 4097, "1", True])
def test_a_count_out_of_bounds_is_refused(name: str, number: Any) -> None:
    assert f"{name} must be a whole number from 0 to 4096" in refusal(**{name: number})


def test_digits_and_symbols_are_counted_exactly() -> None:
    for password in draw(length=12, digits=4, symbols=3):
        assert count(password, string.digits) == 4
        assert count(password, SYMBOLS) == 3
        assert count(password, string.ascii_letters) == 5


def test_a_password_may_be_of_digits_alone() -> None:
    assert all(len(p) == 6 and p.isdigit() for p in draw(length=6, digits=6))


def test_digits_and_symbols_that_exceed_the_length_are_refused() -> None:
    assert refusal(length=8, digits=5, symbols=4) == (
        "length is smaller than digits and symbols together; raise it or lower them"
    )


def test_the_symbols_of_one_that_names_none_are_those_of_external_secrets() -> None:
    seen = {c for p in draw(length=60, symbols=60) for c in p}

    assert seen == set(string.punctuation) - {"'", ";"} == set(SYMBOLS)


def test_symbol_characters_replace_the_symbols() -> None:
    assert {c for p in draw(length=8, symbols=8, symbolCharacters="-_") for c in p} == {"-", "_"}
    assert all(count(p, "-_") >= 1 for p in draw(length=8, symbolCharacters="-_"))


def test_a_symbol_that_is_written_twice_is_not_twice_as_likely() -> None:
    recipe = PasswordRecipe.read({"length": 4000, "symbols": 4000, "symbolCharacters": "--_"})

    assert unevenness(recipe.draw(), kinds=2) < 8


@pytest.mark.parametrize("characters", ["a", "0", " ", "-ä", "\u2013", "-\n"])
def test_symbol_characters_are_symbols_of_ascii(characters: str) -> None:
    assert refusal(symbolCharacters=characters).startswith("symbolCharacters ")


def test_no_upper_excludes_upper_case_letters() -> None:
    assert all(password == password.lower() for password in draw(noUpper=True))


@pytest.mark.parametrize(
    ("flag", "characters"),
    [
        ("excludeNumbers", string.digits),
        ("excludePunctuation", string.punctuation),
        ("excludeUppercase", string.ascii_uppercase),
        ("excludeLowercase", string.ascii_lowercase),
    ],
)
def test_an_excluded_kind_is_not_there(flag: str, characters: str) -> None:
    assert not any(count(password, characters) for password in draw(**{flag: True}))
    assert all(count(password, characters) for password in draw(**{flag: False}))


def test_excluded_characters_are_not_there() -> None:
    assert not any(count(p, "/@\"'\\0Oabc") for p in draw(excludeCharacters="/@\"'\\0Oabc"))


def test_a_kind_whose_every_character_is_excluded_is_not_required() -> None:
    passwords = draw(length=8, excludeCharacters=string.digits, requireEachIncludedType=True)

    assert not any(count(password, string.digits) for password in passwords)


def test_a_count_of_a_kind_whose_every_character_is_excluded_is_refused() -> None:
    assert refusal(digits=2, excludeCharacters=string.digits).startswith(
        "digits asks for 2 characters where none is allowed"
    )


def test_excluding_everything_is_refused() -> None:
    message = refusal(
        excludeNumbers=True,
        excludePunctuation=True,
        excludeUppercase=True,
        excludeLowercase=True,
    )

    assert message.startswith("length asks for 32 characters where none is allowed")


def test_a_password_of_spaces_alone_is_refused() -> None:
    excluded = string.ascii_letters + string.digits + string.punctuation

    assert refusal(includeSpace=True, excludeCharacters=excluded) == (
        "every character but the space is excluded; allow letters, digits or symbols"
    )


def test_a_space_comes_only_where_it_is_included() -> None:
    assert not any(" " in password for password in draw(length=200))
    assert any(" " in password for password in draw(length=200, includeSpace=True))


def test_a_space_is_no_kind_of_its_own() -> None:
    passwords = draw(length=4, includeSpace=True, requireEachIncludedType=True)

    # Four places for four kinds, so there is no place left for a space.
    assert not any(" " in password for password in passwords)


def test_each_kind_is_there_where_the_length_has_just_room_for_it() -> None:
    for password in draw(length=4):
        assert count(password, string.ascii_lowercase) == 1
        assert count(password, string.ascii_uppercase) == 1
        assert count(password, string.digits) == 1
        assert count(password, SYMBOLS) == 1


def test_a_length_too_short_for_the_required_kinds_is_refused_in_the_words_of_aws() -> None:
    message = refusal(length=3, requireEachIncludedType=True)

    assert message.startswith("Password length is too short based on the required types.")
    assert "write a larger length" in message


def test_a_kind_may_be_missing_where_it_is_not_required() -> None:
    passwords = draw(length=4, requireEachIncludedType=False)

    assert any(not count(password, string.digits) for password in passwords)


def test_no_digits_by_count_are_not_required_either() -> None:
    assert not any(count(p, string.digits) for p in draw(digits=0, requireEachIncludedType=True))


def test_without_repeats_no_character_comes_twice() -> None:
    passwords = draw(length=60, digits=10, allowRepeat=False)

    assert all(len(set(password)) == 60 for password in passwords)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"length": 20, "digits": 11}, "digits is too large without repeats: there are 10"),
        ({"length": 93}, "length is too large without repeats: there are 92"),
        ({"length": 20, "symbols": 3, "symbolCharacters": "-_"}, "symbols is too large"),
    ],
)
def test_more_characters_than_there_are_cannot_be_without_repeats(
    parameters: dict[str, Any], message: str
) -> None:
    assert refusal(allowRepeat=False, **parameters).startswith(message)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"excludeNumbers": True, "digits": 1}, "excludeNumbers and digits contradict"),
        ({"excludePunctuation": True, "symbols": 1}, "excludePunctuation and symbols contradict"),
        (
            {"excludePunctuation": True, "symbolCharacters": "-"},
            "excludePunctuation and symbolCharacters contradict",
        ),
        ({"noUpper": True, "excludeUppercase": False}, "noUpper and excludeUppercase say"),
        ({"noUpper": False, "excludeUppercase": True}, "noUpper and excludeUppercase say"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(
    parameters: dict[str, Any], message: str
) -> None:
    assert refusal(**parameters).startswith(message)


@pytest.mark.parametrize(
    "parameters",
    [
        {"excludeNumbers": True, "digits": 0},
        {"excludePunctuation": True, "symbols": 0},
        {"noUpper": True, "excludeUppercase": True},
    ],
)
def test_fields_that_say_the_same_twice_are_taken(parameters: dict[str, Any]) -> None:
    assert len(PasswordRecipe.read(parameters).draw()) == 32


@pytest.mark.parametrize(
    "name",
    [
        *("noUpper", "allowRepeat", "excludeNumbers", "excludePunctuation", "excludeUppercase"),
        *("excludeLowercase", "includeSpace", "requireEachIncludedType"),
    ],
)
def test_a_flag_is_true_or_false(name: str) -> None:
    assert (
        refusal(**{name: "yes"}) == f"{name} must be a boolean; write {name}: true or {name}: false"
    )


@pytest.mark.parametrize(
    ("name", "most", "bounds"),
    [("symbolCharacters", 128, "1 to 128"), ("excludeCharacters", 256, "at most 256")],
)
def test_a_text_has_bounds(name: str, most: int, bounds: str) -> None:
    PasswordRecipe.read({name: "-" * most})

    assert refusal(**{name: "-" * (most + 1)}).startswith(f"{name} must be a text of {bounds}")


def test_no_symbol_characters_at_all_are_no_choice() -> None:
    assert refusal(symbolCharacters="").startswith("symbolCharacters must be a text of 1 to 128")


def test_each_password_is_as_likely_as_the_others() -> None:
    recipe = PasswordRecipe.read({"length": 4000, "symbols": 0})

    drawn = [character for _ in range(10) for character in recipe.draw()]

    assert unevenness(drawn, kinds=62) < 8


@pytest.mark.parametrize("characters", [string.digits, SYMBOLS], ids=["digit", "symbol"])
def test_a_counted_character_is_at_each_place_as_often(characters: str) -> None:
    recipe = PasswordRecipe.read({"length": 4, "digits": 1, "symbols": 1})
    passwords = [recipe.draw().decode() for _ in range(2000)]

    places = [next(i for i, c in enumerate(p) if c in characters) for p in passwords]

    assert unevenness(places, kinds=4) < 8


@pytest.mark.parametrize("write", [str.lower, str.upper], ids=["lower", "upper"])
def test_required_kinds_leave_each_password_as_likely(write: Callable[[str], str]) -> None:
    """Neither the place nor the number of the required characters gives anything away."""
    others = set(write(string.ascii_letters)) - {write("a")}
    recipe = PasswordRecipe.read(
        {
            "length": 4,
            "excludeUppercase" if write is str.lower else "excludeLowercase": True,
            "excludePunctuation": True,
            "excludeCharacters": "".join(sorted(others)) + "23456789",
            "requireEachIncludedType": True,
        }
    )

    drawn = [bytes(recipe.draw()) for _ in range(12_800)]

    assert unevenness(drawn, kinds=64) < 8
