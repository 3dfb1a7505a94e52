"""The search of the demo finds a value in each form, and nothing where there is none."""

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from keyturn.cli.demo.needles import Needles

VALUE = b'a "value" <that> is no secret/+'

FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda value: value,
    "hex": lambda value: value.hex().encode(),
    "URL": lambda value: quote(value, safe="").encode(),
    "JSON": lambda value: json.dumps(value.decode()).encode(),
    "base64": base64.b64encode,
    "base64 behind one byte": lambda value: base64.b64encode(b"x" + value),
    "base64 behind two bytes": lambda value: base64.b64encode(b"xy" + value + b"z"),
    "base64 for URLs": base64.urlsafe_b64encode,
}


def searching(*values: bytes) -> Needles:
    needles = Needles()
    for value in values:
        needles.add(value)
    return needles


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_value_is_found_in_each_form(form: Callable[[bytes], bytes]) -> None:
    data = b"before " + form(VALUE) + b" behind"

    assert searching(VALUE).found_in(data) == 1


def test_nothing_is_found_where_nothing_is() -> None:
    assert searching(VALUE).found_in(b"nothing of " + VALUE[1:]) == 0


def test_a_line_of_a_pem_file_is_enough() -> None:
    pem = b"-----BEGIN KEY-----\nZmlyc3QgbGluZQ==\nc2Vjb25kIGxpbmU=\n-----END KEY-----\n"

    assert searching(pem).found_in(b"only c2Vjb25kIGxpbmU= of it") == 1
    assert searching(pem).found_in(b"-----BEGIN KEY-----") == 0


def test_what_could_be_there_by_chance_is_not_searched_for() -> None:
    assert len(searching(b"orders")) == 0
