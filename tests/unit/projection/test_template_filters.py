import re
from pathlib import Path

import pytest

from keyturn.domain.errors import InvalidTemplateError
from keyturn.domain.payload import SecretValue
from keyturn.projection.template_filters import FILTERS, to_bytes, to_text


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("replace", ("x", "y" * 1000)), ("indent", (600,)), ("nindent", (600,))],
)
def test_a_filter_that_could_blow_up_a_value_refuses_before_it_does(
    name: str, arguments: tuple[object, ...]
) -> None:
    with pytest.raises(InvalidTemplateError, match="would grow beyond"):
        FILTERS[name]("x\n" * 2000, *arguments)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_json_has_no_constants_of_javascript(constant: str) -> None:
    with pytest.raises(InvalidTemplateError, match="no JSON"):
        FILTERS["fromJson"](f"[{constant}]")


@pytest.mark.parametrize("empty", ["", b"", 0, 0.0, False, None, [], {}, SecretValue(b"")])
def test_default_replaces_whatever_sprig_calls_empty(empty: object) -> None:
    assert FILTERS["default"](empty, "fallback") == "fallback"


@pytest.mark.parametrize(
    ("value", "text"),
    [("é", "é"), (b"a", "a"), (SecretValue(b"a"), "a"), (5, "5"), (1.5, "1.5"), (False, "false")],
)
def test_what_has_a_text_gives_it(value: object, text: str) -> None:
    assert to_text(value) == text
    assert to_bytes(value) == text.encode()


@pytest.mark.parametrize("value", [None, {}, []])
def test_what_has_no_text_says_what_to_write(value: object) -> None:
    with pytest.raises(InvalidTemplateError, match="take a member with get, or write toJson"):
        to_text(value)


def test_each_filter_is_documented_and_no_other() -> None:
    page = (Path(__file__).parents[3] / "docs" / "templates.md").read_text()
    table = page.partition("## Filters")[2].partition("\n\nA difference")[0]
    first_columns = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]

    named = {name for column in first_columns for name in re.findall(r"`(\w+)", column)}

    assert named == set(FILTERS)
