"""Label selectors against a reference that was written apart from the parser."""

from collections.abc import Mapping
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.label_selector import parse_selector

Labels = dict[str, str]

KEYS = st.sampled_from(["app", "tier", "in", "notin", "keyturn.dev/tier", "a.b_c-d", "x" * 63])
VALUES = st.sampled_from(["", "shop", "db", "in", "0", "a.b_c-D"])
SPACES = st.text(" \t\n", max_size=2)
GAPS = st.text(" \t\n", min_size=1, max_size=2)
LABELS = st.dictionaries(KEYS, VALUES)


class Asked(NamedTuple):
    """A requirement as Kubernetes' documents put it, and one of the ways to write it."""

    text: str
    kind: str
    key: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        there = self.key in labels
        equal = there and any(labels[self.key] == value for value in self.values)
        return {"some": equal, "none": not equal, "there": there, "missing": not there}[self.kind]


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    def space() -> str:
        return draw(SPACES)

    key = draw(KEYS)
    how = draw(st.sampled_from(["=", "==", "!=", "in", "notin", "there", "missing"]))
    if how == "there":
        return Asked(f"{space()}{key}{space()}", how, key)
    if how == "missing":
        return Asked(f"{space()}!{space()}{key}{space()}", how, key)
    if how in ("in", "notin"):
        values = tuple(draw(st.lists(VALUES, min_size=1, max_size=3)))
        inside = ",".join(f"{space()}{value}{space()}" for value in values)
        text = f"{space()}{key}{draw(GAPS)}{how}{space()}({inside}){space()}"
        return Asked(text, "some" if how == "in" else "none", key, values)
    value = draw(VALUES)
    text = f"{space()}{key}{space()}{how}{space()}{value}{space()}"
    return Asked(text, "none" if how == "!=" else "some", key, (value,))


@given(st.lists(asked(), max_size=4), LABELS)
def test_what_is_selected_meets_every_requirement(wanted: list[Asked], labels: Labels) -> None:
    selector = parse_selector(",".join(each.text for each in wanted))

    assert selector.matches(labels) == all(each.holds(labels) for each in wanted)


@given(st.text("ab=!(),<> in/.-", max_size=12))
def test_what_is_no_selector_is_refused_and_nothing_else_happens(text: str) -> None:
    try:
        selector = parse_selector(text)
    except InvalidParameterError:
        return
    assert isinstance(selector.matches({"a": "b"}), bool)


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_without_a_requirement_all_is_selected(text: str) -> None:
    assert parse_selector(text).matches({})


@pytest.mark.parametrize(
    ("text", "labels", "selected"),
    [
        ("a in ()", {"a": ""}, True),
        ("a in ()", {"a": "b"}, False),
        ("a in (,b)", {"a": ""}, True),
        ("a in (b,)", {"a": ""}, True),
        ("a=", {"a": ""}, True),
        ("a=", {}, False),
        ("a=,b", {"a": "", "b": "c"}, True),
        ("a!=", {}, True),
        ("in in (in)", {"in": "in"}, True),
        ("in", {"in": "x"}, True),
        ("notin notin (x)", {"notin": "x"}, False),
    ],
)
def test_the_rare_forms_mean_what_apimachinery_means(
    text: str, labels: Labels, selected: bool
) -> None:
    assert parse_selector(text).matches(labels) is selected


@pytest.mark.parametrize(
    "text",
    [
        *("=a", "a=b,", ",a", "a,,b", "a b", "a=b c", "a==b=c", "a!b", "!a=b", "!!a", "!", "(a)"),
        *("a in", "a in b", "a in (b", "a in (b))", "a in (b c)", "a in (b) c", "a in (=)", "in ("),
        *("a>1", "a<1", "a=(b)", "a = =b", "a ! = b"),
        *("-a", "a-", "a/b/c", "/a", "A.B/c", "a/", "x" * 64, "a=" + "x" * 64, "a=b/c", "a=é"),
        *("ä", "a in (b/c)", "p" * 254 + "/a"),
    ],
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="label selector"):
        parse_selector(text)
