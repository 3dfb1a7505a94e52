"""The rules of the CRDs, and those that a refusal of the apiserver names."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import yaml

from apiserver import Answer
from cluster.installing import ROOT


class Rule(NamedTuple):
    """A rule in CEL, by what a refusal says: the field, without indexes, and the message."""

    field: str
    message: str


def rules_of(crd: str) -> set[Rule]:
    """Read the rules of a CRD by its file's name without its end."""
    body = yaml.safe_load((ROOT / "crds" / f"{crd}.yaml").read_text())
    (version,) = body["spec"]["versions"]
    return set(_rules(version["schema"]["openAPIV3Schema"], ""))


def never_broken(rules: Iterable[Rule], answers: Iterable[Answer]) -> set[Rule]:
    """Return the rules that no answer names."""
    broken = {each for answer in answers for each in _named(answer)}
    return {
        rule
        for rule in rules
        # A message may be longer by what it is about, such as a key.
        if not any(field == rule.field and said.endswith(rule.message) for field, said in broken)
    }


def _rules(schema: dict[str, Any], field: str) -> Iterator[Rule]:
    for rule in schema.get("x-kubernetes-validations", []):
        yield Rule(f"{field}{rule.get('fieldPath', '')}".lstrip("."), rule["message"])
    for name, inner in schema.get("properties", {}).items():
        yield from _rules(inner, f"{field}.{name}")
    if "items" in schema:
        yield from _rules(schema["items"], f"{field}[]")


def _named(answer: Answer) -> Iterator[tuple[str, str]]:
    for cause in answer.body.get("details", {}).get("causes", []):
        field = re.sub(r"\[\d+\]", "[]", cause.get("field", "")).replace("<nil>", "")
        yield field, cause["message"]
