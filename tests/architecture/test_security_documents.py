"""What the documents say of rights and of defences is there: each line of a role, each test."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from documents import ROOT, code, document

THREATS, RIGHTS = document("docs/threat-model.md"), document("docs/rights.md")
TOLD = sorted({span for span in THREATS.spans() if re.match(r"\w+(/\w+)+\.py", span)})


def functions_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


@pytest.mark.parametrize("told", TOLD)
def test_every_test_that_proves_a_defence_is_there(told: str) -> None:
    file, _, name = told.partition("::")
    found = set(functions_of(ROOT / "tests" / file))

    assert found
    assert not name or name in found


def test_every_attack_has_a_test() -> None:
    headings = [line for line in THREATS.prose.splitlines() if line.startswith("### ")]
    attacks = [row for heading in headings for row in THREATS.rows(heading)]

    assert len(attacks) > 25
    assert [row[0] for row in attacks if not any(span in row[2] for span in TOLD)] == []


@pytest.mark.parametrize(
    ("place", "heading"),
    [
        (None, "### Everywhere"),
        ("keyturn-system", "### In its own namespace"),
        ("keyturn-jobs", "### Where Jobs run"),
    ],
)
def test_every_line_of_a_role_is_explained(place: str | None, heading: str) -> None:
    documents = yaml.safe_load_all((ROOT / "rbac" / "20-operator-roles.yaml").read_text())
    roles = [each for each in documents if each["kind"].endswith("Role")]
    (role,) = (role for role in roles if role["metadata"].get("namespace") == place)
    granted = {
        (f"{resource}.{rule['apiGroups'][0]}".rstrip("."), ", ".join(rule["verbs"]))
        for rule in role["rules"]
        for resource in rule["resources"]
    }

    told = {(code(row[0]), row[1]) for row in RIGHTS.rows(heading)}

    assert told == granted
