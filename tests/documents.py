"""The documents of the project, taken apart: their links, headings and blocks of code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from make_reference import anchor

ROOT = Path(__file__).parents[1]

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(`+)(.+?)\1", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Document:
    """One Markdown file."""

    path: Path

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def prose(self) -> str:
        """The text without blocks of code."""
        return _FENCE.sub("", self.text)

    def blocks(self, *languages: str) -> list[str]:
        return [body for _, language, body in _FENCE.findall(self.text) if language in languages]

    def spans(self) -> list[str]:
        """Code within sentences and tables."""
        return [code.replace(r"\|", "|").strip() for _, code in _SPAN.findall(self.prose)]

    def links(self) -> list[str]:
        return _LINK.findall(_SPAN.sub("", self.prose))

    def anchors(self) -> set[str]:
        """The anchors of the headings, as GitHub makes them."""
        return {anchor(heading) for heading in _HEADING.findall(self.prose)}

    def manifests(self) -> list[dict[str, Any]]:
        """The whole resources that stand in blocks of YAML, not the parts of one."""
        read = (item for block in self.blocks("yaml") for item in yaml.safe_load_all(block))
        return [item for item in read if isinstance(item, dict) and "kind" in item]

    def rows(self, heading: str) -> list[list[str]]:
        """The rows of the tables between a heading and the next one."""
        _, _, below = self.prose.partition(f"\n{heading}\n")
        section = re.split(r"^#", below, maxsplit=1, flags=re.MULTILINE)[0]
        lines = [line for line in section.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
        heads = {n for n, line in enumerate(lines) if n + 1 < len(lines) and _is_rule(lines[n + 1])}
        return [row for n, row in enumerate(cells) if n not in heads and not _is_rule(lines[n])]


def documents() -> list[Document]:
    """All documents that people read."""
    return [Document(path) for path in sorted(_paths())]


def document(name: str) -> Document:
    return Document(ROOT / name)


def code(cell: str) -> str:
    """Return what stands in backticks at the beginning of a cell."""
    found = re.match(r"`([^`]+)`", cell)
    assert found is not None, f"no code in {cell!r}"
    return found[1]


def _paths() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    yield from (ROOT / "docs").rglob("*.md")
    yield from (ROOT / "examples").glob("*.md")


def _is_rule(line: str) -> bool:
    return set(line) <= set("|- :")
