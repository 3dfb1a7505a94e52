import json

import pytest
import yaml

from keyturn.cli import output
from keyturn.cli.output import Output

DOCUMENT = {"name": "é", "version": None, "keys": ["a", "no"]}


@pytest.mark.parametrize(
    ("form", "load"), [(Output.JSON, json.loads), (Output.YAML, yaml.safe_load)]
)
def test_a_document_reads_back(
    capsys: pytest.CaptureFixture[str], form: Output, load: type
) -> None:
    output.write_document(DOCUMENT, form)

    assert load(capsys.readouterr().out) == DOCUMENT


def test_a_table_that_a_program_reads_is_cut_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 500

    output.write_table(["NAME", "KEYS"], [[long, ["a", "b"]], ["db", []]])

    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "KEYS"]
    assert first == f"{long}   a, b"
    assert second == f"db{' ' * 501}-"


def test_a_table_is_cut_nowhere_on_a_narrow_terminal_either(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # Rich takes it for a terminal.
    monkeypatch.setenv("COLUMNS", "40")
    name = "a-name-of-half-a-line"

    output.write_table(["NAME", "CREATED"], [[name, "2026-11-28T07:12:40Z"]])

    assert f"{name}   2026-11-28T07:12:40Z\n" in capsys.readouterr().out


def test_a_cell_is_not_read_as_markup_or_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_fields([("Name", "[red]a\x1b[31m")])

    assert capsys.readouterr().out == "Name:   [red]a\\x1b[31m\n"
