"""What commands print: tables for people, JSON and YAML for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

Json = dict[str, Any]

NOTHING = "-"
_WIDE = 10_000


class Output(StrEnum):
    """The form of what a command prints."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def write_document(document: Json, output: Output) -> None:
    """Print a document as JSON or YAML."""
    if output is Output.JSON:
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    else:
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    sys.stdout.write(text)


def write_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table as kubectl does, without lines."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(cell)) for cell in row))
    # As wide as it is: the terminal breaks a long line, and a name or value in it stays whole.
    _write(table, Console(highlight=False, width=_WIDE))


def write_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print named facts, one a line."""
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in fields:
        table.add_row(f"{name}:", Text(_cell(value)))
    console = Console(highlight=False)
    # Nothing is folded where a program reads it.
    _write(table, console if console.is_terminal else Console(highlight=False, width=_WIDE))


def write_line(text: str) -> None:
    sys.stdout.write(visible(text) + "\n")


def visible(text: str) -> str:
    r"""Show what a terminal would obey, so that no value and no name can play with it.

    >>> visible("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _cell(cell: object) -> str:
    if cell is None or cell in ("", []):
        return NOTHING
    return visible(", ".join(map(str, cell)) if isinstance(cell, list) else str(cell))


def _write(table: Table, console: Console) -> None:
    with console.capture() as captured:
        console.print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
