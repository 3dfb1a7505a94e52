from collections.abc import Callable
from typing import Any

import pytest

from keyturn.domain.errors import InvalidParameterError
from keyturn.generators.parameters import Bounds, Parameters, distinct

Read = Callable[[Parameters], object]


def of(value: Any) -> Parameters:
    return Parameters({"field": value}, "field")


def integer(fields: Parameters) -> object:
    return fields.integer("field", Bounds(1, 9), default=5)


def flag(fields: Parameters) -> object:
    return fields.flag("field", default=True)


def text(fields: Parameters) -> object:
    return fields.text("field", default="none", most=4)


def name(fields: Parameters) -> object:
    return fields.text("field", least=2, most=4)


def choice(fields: Parameters) -> object:
    return fields.choice("field", ("a", "b", "c"), default="a")


def texts(fields: Parameters) -> object:
    return fields.texts("field", most=3, longest=4)


def key(fields: Parameters) -> object:
    return fields.key("field", default="tls.crt")


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (integer, 1, 1),
        (integer, 9, 9),
        (integer, None, 5),
        (flag, False, False),
        (flag, None, True),
        (text, "", ""),
        (text, "äöüß", "äöüß"),
        (text, None, "none"),
        (name, "ab", "ab"),
        (name, None, ""),
        (choice, "c", "c"),
        (choice, None, "a"),
        (texts, ["b", "a", "b"], ("b", "a")),
        (texts, [], ()),
        (texts, None, ()),
        (key, ".env", ".env"),
        (key, "a" * 253, "a" * 253),
        (key, None, "tls.crt"),
    ],
)
def test_a_right_value_is_read_and_null_is_the_default(
    read: Read, value: Any, expected: object
) -> None:
    assert read(of(value)) == expected


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (integer, 0, "must be a whole number from 1 to 9; write for example field: 5"),
        (integer, 10, "must be a whole number from 1 to 9"),
        (integer, 5.0, "must be a whole number"),
        (integer, "5", "must be a whole number"),
        (integer, True, "must be a whole number"),
        (flag, 1, "must be a boolean; write field: true or field: false"),
        (flag, "true", "must be a boolean"),
        (text, "12345", "must be a text of at most 4 printable characters"),
        (text, "a\nb", "must be a text of at most 4 printable characters"),
        (text, "\x00", "must be a text of at most 4 printable characters"),
        (text, 5, "must be a text of at most 4 printable characters, in quotes"),
        (name, "", "must be a text of 2 to 4 printable characters, in quotes"),
        (name, "a", "must be a text of 2 to 4 printable characters"),
        (name, "abcde", "must be a text of 2 to 4 printable characters"),
        (choice, "d", "is not one of those known; write a, b or c"),
        (choice, ["a"], "is not one of those known"),
        (texts, "abc", "must be a list of at most 3 texts, each of 1 to 4 characters"),
        (texts, ["a", "b", "c", "d"], "must be a list of at most 3 texts"),
        (texts, [""], "must be a list of at most 3 texts"),
        (texts, ["12345"], "must be a list of at most 3 texts"),
        (texts, [5], "must be a list of at most 3 texts"),
        (texts, ["a\n"], "must be a list of at most 3 texts"),
        (texts, {"a": "b"}, "must be a list of at most 3 texts"),
        (key, "", 'is "", which is no key of a Secret'),
        (key, "..", 'is "..", which is no key of a Secret'),
        (key, "a b", 'is "a b", which is no key of a Secret; write at most 253 letters'),
        (key, "a" * 254, f'is "{"a" * 254}", which is no key of a Secret'),
        (key, 5, "is 5, which is no key of a Secret"),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_write_instead(
    read: Read, value: Any, message: str
) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        read(of(value))

    assert str(caught.value).startswith(f"field {message}")


def test_a_long_wrong_key_is_not_repeated_whole() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        key(of("/" * 100_000))

    assert len(str(caught.value)) < 600


def test_an_unknown_field_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        Parameters({"lenght": 5}, "length", "digits")

    assert str(caught.value) == "lenght is unknown; write one of length, digits"


def test_where_there_are_no_fields_each_is_unknown() -> None:
    with pytest.raises(InvalidParameterError, match=r"^x is unknown; it has no fields; write \{\}"):
        Parameters({"x": 5})


def test_an_inner_field_is_named_by_its_whole_path() -> None:
    inner = of({"size": "large"}).inner("field", "size")

    with pytest.raises(InvalidParameterError, match=r"^field\.size must be a whole number"):
        inner.integer("size", Bounds(1, 2), default=1)


def test_an_unknown_inner_field_is_named_by_its_whole_path() -> None:
    with pytest.raises(InvalidParameterError, match=r"^field\.sice is unknown; write one of size"):
        of({"sice": 5}).inner("field", "size")


@pytest.mark.parametrize("value", ["text", 5, ["list"], True])
def test_what_is_no_object_has_no_inner_fields(value: Any) -> None:
    with pytest.raises(InvalidParameterError, match="must be an object; write for example"):
        of(value).inner("field", "size")


def test_an_inner_object_that_is_left_out_has_no_fields() -> None:
    assert not of(None).inner("field", "size").has("size")


def test_a_field_that_is_null_is_not_there() -> None:
    assert not of(None).has("field")
    assert of(False).has("field")


def test_outputs_that_fill_different_keys_are_distinct() -> None:
    outputs = {"privateKey": "id", "publicKey": "id.pub"}

    assert distinct(outputs) == outputs


def test_two_outputs_that_fill_one_key_are_refused() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        distinct({"privateKey": "tls.key", "certificate": "tls.crt", "ca": "tls.crt"})

    assert str(caught.value) == (
        "outputs.ca fills the key 'tls.crt', as certificate does; write another key for one of them"
    )
