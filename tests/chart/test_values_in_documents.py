"""The values of the chart that the documents name exist, and their examples render."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from chart.helming import Helm
from documents import Document, document
from make_chart import CHART

PAGES = [document(f"docs/{n}.md") for n in ("install", "upgrade", "gitops", "sizing", "hardening")]
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
EXAMPLES = [
    (str(page), yaml.safe_load(block))
    for page in PAGES
    for block in page.blocks("yaml")
    if block.startswith("# values.yaml")
]


def named(page: Document) -> Iterator[str]:
    """Find what looks like a value: a path of names that begins as one of the chart's does."""
    for span in page.spans():
        path = span.partition(":")[0]
        if re.fullmatch(r"[a-z]\w*(\.[a-z]\w*)+", path) and path.split(".")[0] in VALUES:
            yield path
    for block in page.blocks("sh"):
        yield from re.findall(r"--set(?:-string)? ([\w.]+)=", block)


def exists(path: str) -> bool:
    values: Any = VALUES
    for name in path.split("."):
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_value_that_is_named_exists(page: Document) -> None:
    assert [path for path in named(page) if not exists(path)] == []


def test_values_are_found() -> None:
    found = {path for page in PAGES for path in named(page)}

    assert {"image.repository", "persistence.storageClass", "crds.annotations"} <= found


@pytest.mark.parametrize(("page", "values"), EXAMPLES, ids=[page for page, _ in EXAMPLES])
def test_every_example_is_taken_and_does_something(
    helm: Helm, page: str, values: dict[str, Any]
) -> None:
    assert helm.template(values) != helm.template()
