import io
import sys
from pathlib import Path

import pytest

from canary import Canary
from keyturn.cli import values
from keyturn.domain.errors import InvalidParameterError, ValueTooLargeError


def read(tmp_path: Path, text: str | bytes) -> dict[str, bytes]:
    file = tmp_path / "values.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return {key: bytes(value.reveal()) for key, value in values.read_values(file).items()}


def test_strings_become_values_in_utf_8(tmp_path: Path) -> None:
    assert read(tmp_path, '{"a": "é", "b": ""}') == {"a": "é".encode(), "b": b""}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '"{0}"',
        '{{"a": "{0}"',
        '{{"a": "{0}", "a": "{0}"}}',
        '{{"a": 1, "b": "{0}"}}',
        '{{"a": null, "b": "{0}"}}',
        '{{"a": {{"b": "{0}"}}}}',
        '{{"a": ["{0}"]}}',
        '{{"a": NaN, "b": "{0}"}}',
        '{{"{0}/": "a"}}',
        '{{"": "{0}"}}',
        '{{"a": "{0}\\ud800"}}',
        '{{"a": "{0}"}} more',
    ],
)
def test_other_json_is_refused_and_not_shown(tmp_path: Path, canary: Canary, text: str) -> None:
    value = canary.make().decode()

    with pytest.raises(InvalidParameterError) as caught:
        read(tmp_path, text.format(value))

    assert canary.scan_text(caught.value.message) == []
    assert caught.value.__context__ is None


@pytest.mark.parametrize("text", [b"\xff", b"[" * 100_000])
def test_what_no_parser_can_read_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(InvalidParameterError, match="one JSON object"):
        read(tmp_path, text)


def test_a_key_that_comes_twice_is_named_as_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="a key twice"):
        read(tmp_path, '{"a": "1", "a": "2"}')


def test_a_file_larger_than_any_payload_is_not_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as large:
        large.truncate(1 << 40)

    with pytest.raises(ValueTooLargeError):
        values.read_value("a", file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="No such file"):
        values.read_value("a", tmp_path / "none")


def test_an_empty_file_is_an_empty_value(tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.touch()

    assert len(values.read_value("a", file)) == 0


def test_an_empty_stdin_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))

    with pytest.raises(InvalidParameterError, match="no value"):
        values.read_value("a", None)


@pytest.mark.parametrize("key", ["", "a b", "a=b", "..", "a" * 254])
def test_what_is_no_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        values.refuse_key(key)

    assert not key or key not in caught.value.message
