import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.errors import InvalidTemplateError
from keyturn.projection.template_filters import FILTERS
from keyturn.projection.template_syntax import (
    MAX_TEMPLATE,
    Constant,
    Filtered,
    KeyOf,
    parse_template,
)


def refusal(template: str) -> str:
    with pytest.raises(InvalidTemplateError) as caught:
        parse_template(template)
    return str(caught.value)


def test_a_template_becomes_its_few_parts() -> None:
    text, key, filtered = parse_template("a{{ b }}{{ c | trunc(3) }}")

    assert text == Constant("a")
    assert key == KeyOf("b")
    assert filtered == Filtered("trunc", FILTERS["trunc"], KeyOf("c"), (Constant(3),), ())


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("{{ a.b }}", 'an attribute (a.b); a key with a dot is {{ "a.b" | value }}'),
        ("{{ ''.__class__.__mro__ }}", "an attribute"),
        ("{{ a['b'] }}", "an index"),
        ("{{ a[0:1] }}", "an index"),
        ("{{ a() }}", "a call"),
        ("{{ cycler.__init__.__globals__.os.popen('id') }}", "a call"),
        ("{{ a ~ b }}", "a concatenation"),
        ("{{ a + b }}", "an operator"),
        ("{{ 'a' * 10000000 }}", "an operator"),
        ("{{ 9 ** 9 ** 9 }}", "an operator"),
        ("{{ a and b }}", "an operator"),
        ("{{ not a }}", "an operator"),
        ("{{ -a }}", "an operator"),
        ("{{ -'a' }}", "an operator"),
        ("{{ a == b }}", "a comparison"),
        ("{{ a in b }}", "a comparison"),
        ("{{ a is defined }}", "a test"),
        ("{{ a if b else c }}", "a condition"),
        ("{{ [a] }}", "a list or an object"),
        ("{{ (a, b) }}", "a list or an object"),
        ("{{ {'a': b} }}", "a list or an object"),
        ("{% if a %}{% endif %}", "a statement"),
        ("{% for a in b %}{% endfor %}", "a statement"),
        ("{% set a = 1 %}", "a statement"),
        ("{% include 'a' %}", "a statement"),
        ("{% import 'a' as b %}", "a statement"),
        ("{% extends 'a' %}", "a statement"),
        ("{% macro a() %}{% endmacro %}", "a statement"),
        ("{% filter upper %}{% endfilter %}", "a statement"),
        ("{% with a = 1 %}{% endwith %}", "a statement"),
        ("{% block a %}{% endblock %}", "a statement"),
        ("{% autoescape true %}{% endautoescape %}", "a statement"),
        ("{{ a | trunc(b.c) }}", "an attribute"),
        ("{{ a | replace(old=b(), new='') }}", "a call"),
        ("{{ a | trunc(*b) }}", "* or ** arguments"),
        ("{{ a | trunc(**b) }}", "* or ** arguments"),
    ],
)
def test_all_that_could_compute_is_refused_by_name(template: str, what: str) -> None:
    message = refusal(template)

    assert what in message
    assert "write text and expressions such as {{ password | urlencode }}" in message


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ a | b64encode }}", "there is no filter b64encode; did you mean b64enc?"),
        ("{{ a | xmlattr }}", "there is no filter xmlattr; there are b64dec, b64enc, "),
        ("{{ a | attr('x') }}", "there is no filter attr"),
        ("{{ a | map('upper') }}", "there is no filter map"),
        ("{{ a | upper(1) }}", "the filter upper was given wrong arguments; it takes: none"),
        (
            "{{ a | replace('x') }}",
            "the filter replace was given wrong arguments; it takes: old, new",
        ),
        ("{{ a | value }}", "the filter value takes the name of a key in quotes"),
        ("{{ 'a' | value('b') }}", "the filter value takes the name of a key in quotes"),
        ("{{ 5 | value }}", "the filter value takes the name of a key in quotes"),
        ("{{ 'a' | upper | value }}", "the filter value takes the name of a key in quotes"),
        ("{{ a" + " | upper" * 33 + " }}", "more than 32 filters"),
        ("a" * (MAX_TEMPLATE + 1), "is longer than 4096 characters"),
        ("{{ '\\ud800' }}", "half of a character"),
    ],
)
def test_a_wrong_filter_is_refused_with_advice(template: str, message: str) -> None:
    assert message in refusal(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ a",
        "{{ }}",
        "{{ a | }}",
        "{% endif %}",
        "{{ a b }}",
        "{{ 'canary }}",
        "{{ a | f(canary=) }}",
    ],
)
def test_what_cannot_be_read_is_refused_without_being_quoted(template: str) -> None:
    message = refusal("\n" + template)

    assert message.startswith("cannot be read in line 2; write text")
    assert "canary" not in message


@pytest.mark.parametrize("nested", ["(", "[", "-", "not "])
def test_deep_nesting_is_refused(nested: str) -> None:
    refusal("{{ " + nested * (4000 // len(nested)) + "a }}")


def test_a_template_is_read_once() -> None:
    assert parse_template("{{ read_once }}") is parse_template("{{ read_once }}")


@given(st.text(alphabet="{}%#|()[]'\"abc.~+-*_ \n\\", max_size=60))
def test_any_text_is_a_template_or_refused(template: str) -> None:
    try:
        parts = parse_template(template)
    except InvalidTemplateError:
        return

    assert all(isinstance(part, Constant | KeyOf | Filtered) for part in parts)
