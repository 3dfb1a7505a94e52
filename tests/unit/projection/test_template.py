import hashlib
import json
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.errors import InvalidTemplateError
from keyturn.domain.payload import Payload, SecretValue
from keyturn.projection.template import render, validate

CANARY = "canary-7Hq-never-shown"


def a_payload(**values: str | bytes) -> Payload:
    return Payload(
        {
            key: SecretValue(value.encode() if isinstance(value, str) else value)
            for key, value in values.items()
        }
    )


def rendered(template: str, **values: str | bytes) -> str:
    with render(template, a_payload(**values)) as value:
        return str(value.reveal(), "utf-8")


def refusal(template: str, **values: str | bytes) -> str:
    with pytest.raises(InvalidTemplateError) as caught:
        render(template, a_payload(**values))
    return str(caught.value)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_text_and_values_stand_as_they_are_written() -> None:
    template = "postgres://{{ username }}:{{ password | urlencode }}@{{ host }}/orders"

    assert (
        rendered(template, username="orders", password="a/b c&é", host="pg")
        == "postgres://orders:a%2Fb%20c%26%C3%A9@pg/orders"
    )


@pytest.mark.parametrize(
    "template", ["", "plain", "a\nb\n", "{# nothing #}", "{{ 'x' }}", "{{ 5 }}"]
)
def test_a_template_may_name_no_key(template: str) -> None:
    expected = {"{# nothing #}": "", "{{ 'x' }}": "x", "{{ 5 }}": "5"}.get(template, template)

    assert rendered(template) == expected


def test_the_last_newline_stays() -> None:
    assert rendered("{{ a }}\n", a="x") == "x\n"


def test_markup_is_not_escaped() -> None:
    assert rendered("{{ a }}", a="<&>\"'") == "<&>\"'"


def test_a_value_that_looks_like_a_template_is_not_rendered_again() -> None:
    assert rendered("{{ a }}", a="{{ b }}{% if %}", b="x") == "{{ b }}{% if %}"


def test_a_key_that_is_no_identifier_is_named_by_the_filter_value() -> None:
    payload = Payload({"tls.crt": SecretValue(b"CERT")})

    with render('{{ "tls.crt" | value | b64enc }}', payload) as value:
        assert bytes(value.reveal()) == b"Q0VSVA=="


@pytest.mark.parametrize("key", ["true", "none", "range", "loop", "self", "class", "cycler"])
def test_no_name_means_anything_but_a_key(key: str) -> None:
    template = f'{{{{ "{key}" | value }}}}' if key in ("true", "none") else f"{{{{ {key} }}}}"

    assert rendered(template, **{key: "mine"}) == "mine"
    assert f"there is no key {key}" in refusal(template)


def test_a_missing_key_is_named_with_those_that_are_there() -> None:
    assert refusal("{{ pasword }}", username="u", password=CANARY) == (
        "there is no key pasword; the keys are: password, username. A fallback is written "
        '{{ pasword | default("…") }}'
    )


@pytest.mark.parametrize(
    "template", ["{{ a | b64enc }}", "{{ 'x' | default(a) }}", "{{ 'x' | trimSuffix(a) }}"]
)
def test_only_default_takes_a_missing_key(template: str) -> None:
    assert "there is no key a" in refusal(template)
    assert rendered('{{ a | default("fallback") | upper }}') == "FALLBACK"


def test_default_replaces_what_is_empty_as_in_sprig() -> None:
    assert rendered('{{ a | default("x") }}{{ b | default("x") }}', a="", b="there") == "xthere"


def test_the_arguments_of_a_filter_may_be_values() -> None:
    assert rendered("{{ a | default(b | upper) }}", b="x") == "X"


CASES = [
    ("b64enc", "hällo", "aMOkbGxv"),
    ("b64dec", "aMOkbGxv", "hällo"),
    ("b64dec", "aMOk\r\nbGxv\n", "hällo"),
    ("hexenc", "ab", "6162"),
    ("hexdec", "6162", "ab"),
    ("upper", "aé", "AÉ"),
    ("lower", "AÉ", "aé"),
    ("title", "the QUICK fox", "The QUICK Fox"),
    ("trim", "\n a \t", "a"),
    ('trimSuffix("/")', "a//", "a/"),
    ('trimPrefix("x")', "xxa", "xa"),
    ('replace("a", "bb")', "aXa", "bbXbb"),
    ('replace(old="a", new="")', "aXa", "X"),
    ("trunc(2)", "abc", "ab"),
    ("trunc(-2)", "abc", "bc"),
    ("quote", 'a"b\\c\né', '"a\\"b\\\\c\\né"'),
    ("squote", "a b", "'a b'"),
    ("toString", "a", "a"),
    ("toJson", 'a"é', '"a\\"é"'),
    ("toYaml", "a: b", "'a: b'"),
    ("toYaml", "plain", "plain"),
    ("indent(2)", "a\nb", "  a\n  b"),
    ("nindent(2)", "a\nb", "\n  a\n  b"),
    ("sha256sum", "a", hashlib.sha256(b"a").hexdigest()),
    ("urlencode", "a/b?c=d&e f~-._", "a%2Fb%3Fc%3Dd%26e%20f~-._"),
    ('basicAuth("user")', "pass", "dXNlcjpwYXNz"),
    ('fromJson | get("b") | get(1)', '{"b": [1, "x"]}', "x"),
    ('fromJson | get("n")', '{"n": 5}', "5"),
    ('fromJson | get("t")', '{"t": true}', "true"),
    ('fromJson | get("z") | default("none")', '{"z": null}', "none"),
    ('fromJson | get("z") | default("none")', '{"z": 0}', "none"),
    ("fromJson | toJson", '{"b": 1, "a": [true, null]}', '{"a":[true,null],"b":1}'),
    ("fromJson | toYaml", '{"b": 1, "a": ["x"]}', "a:\n- x\nb: 1"),
]


@pytest.mark.parametrize(("filters", "value", "expected"), CASES)
def test_a_filter_does_what_sprig_and_external_secrets_mean_by_it(
    filters: str, value: str, expected: str
) -> None:
    assert rendered(f"{{{{ a | {filters} }}}}", a=value) == expected


def test_long_text_is_not_folded_in_yaml() -> None:
    text = "word " * 100 + "end"

    assert rendered("{{ a | toYaml }}", a=text) == text


def test_dockerconfigjson_makes_what_kubernetes_pulls_images_with() -> None:
    template = '{{ password | dockerconfigjson("registry.example", username, email="a@b") }}'

    assert json.loads(rendered(template, username="u", password='p"w')) == {
        "auths": {
            "registry.example": {
                "username": "u",
                "password": 'p"w',
                "auth": "dTpwInc=",
                "email": "a@b",
            }
        }
    }


def test_bytes_pass_through_b64enc_and_hexenc_and_sha256sum_only() -> None:
    raw = b"\xff\xfe\x00"

    assert rendered("{{ a | b64enc }} {{ a | hexenc }}", a=raw) == "//4A fffe00"
    assert rendered("{{ a | sha256sum }}", a=raw) == hashlib.sha256(raw).hexdigest()
    for template in ("{{ a }}", "{{ a | upper }}", "{{ a | toJson }}", "{{ b | b64dec }}"):
        assert "write b64enc after it" in refusal(template, a=raw, b="//4A")


def test_bytes_may_be_decoded_and_encoded_again() -> None:
    assert rendered("{{ a | b64dec | b64enc }}", a="//4A") == "//4A"


WRONG_VALUES = [
    ("{{ a | fromJson }}", CANARY),
    ("{{ a | fromJson }}", "[" * 100_000),
    ("{{ a | fromJson }}", '{"x": NaN}'),
    ("{{ a | fromJson }}", json.dumps({"x": CANARY})),
    ('{{ a | fromJson | get("y") }}', json.dumps({"x": CANARY})),
    ("{{ a | fromJson | get(1) }}", json.dumps([CANARY])),
    ('{{ a | get("y") }}', CANARY),
    ("{{ a | fromJson | upper }}", json.dumps([CANARY])),
    ("{{ a | fromJson }}", '"\\ud800"'),
    ("{{ a | fromJson | toYaml | b64enc }}", '"\\ud800"'),
    ("{{ a | b64dec }}", CANARY + "!"),
    ("{{ a | b64dec }}", CANARY + "é"),
    ("{{ a | hexdec }}", CANARY),
    ('{{ a | replace("", "x") }}', CANARY),
    ('{{ a | trunc("x") }}', CANARY),
    ("{{ a | trunc(true) }}", CANARY),
    ("{{ a | basicAuth(a) }}", CANARY + ":"),
    ("{{ a }}", CANARY.encode() + b"\xff"),
    ("{{ a | upper }}", CANARY.encode() + b"\xff"),
]


@pytest.mark.parametrize(("template", "value"), WRONG_VALUES)
def test_no_error_holds_a_value_nor_is_chained_to_one_that_does(
    template: str, value: str | bytes
) -> None:
    with pytest.raises(InvalidTemplateError) as caught:
        render(template, a_payload(a=value))

    for error in chain(caught.value):
        assert CANARY not in f"{error!s} {error!r} {vars(error)}"
        assert isinstance(error, InvalidTemplateError)


AMPLIFIERS = [
    '{{ a | replace("x", b) }}',
    "{{ a | indent(1000000) }}",
    "{{ a | nindent(900) }}",
    "{{ a" + " | b64enc" * 20 + " }}",
    "{{ b" + " | quote" * 30 + " }}",
    "{{ a }}" * 20,
]


@pytest.mark.parametrize("template", AMPLIFIERS)
def test_a_value_cannot_be_blown_up(template: str) -> None:
    message = refusal(template, a="x\n" * 32_000, b='"' * 60_000)

    assert "would grow beyond 1048576 bytes" in message


def test_what_was_rendered_before_an_error_is_zeroed() -> None:
    buffers: list[bytearray] = []

    def watch(frame: object, event: str, argument: object) -> None:
        local = getattr(frame, "f_locals", {}).get("rendered")
        if isinstance(local, bytearray) and not any(local is seen for seen in buffers):
            buffers.append(local)

    sys.setprofile(watch)
    try:
        with pytest.raises(InvalidTemplateError):
            render("{{ a }}{{ missing }}", a_payload(a=CANARY))
    finally:
        sys.setprofile(None)

    assert len(buffers) == 1
    assert set(buffers[0]) == {0}
    assert len(buffers[0]) == len(CANARY)


def test_rendering_leaves_the_payload_whole() -> None:
    payload = a_payload(a="x")

    render("{{ a }}", payload).zero()

    assert bytes(payload["a"].reveal()) == b"x"


def test_a_template_may_be_checked_before_there_are_values() -> None:
    validate("{{ a }} {{ b | default(c) }}", keys={"a", "c"})

    with pytest.raises(InvalidTemplateError, match="there is no key c"):
        validate("{{ a }} {{ b | default(c) }}", keys={"a", "b"})


def test_without_keys_only_the_syntax_is_checked() -> None:
    validate("{{ whatever | upper | default('x') }}")

    with pytest.raises(InvalidTemplateError):
        validate("{% if a %}{% endif %}")


@given(st.text(), st.text())
def test_any_text_is_rendered_unchanged(first: str, second: str) -> None:
    assert rendered("{{ a }}|{{ b }}", a=first, b=second) == f"{first}|{second}"


@given(st.binary())
def test_any_bytes_survive_base64(value: bytes) -> None:
    assert rendered("{{ a | b64enc | b64dec | hexenc }}", a=value) == value.hex()
