"""Holds JSON against the schemas of an OpenAPI 3.1 file; a keyword that it does not know fails."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

_TYPES: Final[Mapping[str, type]] = {"object": dict, "array": list, "string": str, "integer": int}
_ANNOTATIONS: Final = {"description"}

Schema = Mapping[str, Any]


class OpenAPI:
    """The schemas of one file."""

    def __init__(self, file: Path) -> None:
        self.content: dict[str, Any] = yaml.safe_load(file.read_text())
        self._checks: Mapping[str, Callable[[Any, Any, Schema], Iterable[str]]] = {
            "$ref": lambda value, ref, _: self.faults(value, self._at(ref)),
            "oneOf": self._one_of,
            "type": lambda value, name, _: _unless(isinstance(value, _TYPES[name]), value, name),
            "const": lambda value, const, _: _unless(value == const, value, const),
            "enum": lambda value, choices, _: _unless(value in choices, value, choices),
            "pattern": lambda value, form, _: _unless(re.search(form, value), value, form),
            "minimum": lambda value, least, _: _unless(value >= least, value, least),
            "required": lambda value, names, _: _unless(set(names) <= set(value), value, names),
            "properties": self._properties,
            "additionalProperties": self._additional,
            "propertyNames": lambda value, names, _: self._each(list(value), names),
            "items": lambda value, schema, _: self._each(value, schema),
        }

    def faults(self, value: Any, schema: Schema) -> list[str]:
        """Tell what is wrong with a value; nothing if it is as the schema says."""
        return [
            fault
            for keyword, argument in schema.items()
            if keyword not in _ANNOTATIONS
            for fault in self._checks[keyword](value, argument, schema)
        ]

    def faults_of_request(self, path: str, headers: Mapping[str, str], body: Any) -> list[str]:
        """Hold a POST against what the file says of it."""
        operation = self.content["paths"][path]["post"]
        found = self.faults(body, operation["requestBody"]["content"]["application/json"]["schema"])
        for parameter in operation["parameters"]:
            found += self.faults(headers[parameter["name"]], parameter["schema"])
        return found

    def faults_of_answer(self, path: str, status: int, body: Any) -> list[str]:
        """Hold the answer to a POST against what the file says of it; None has no body."""
        responses = self.content["paths"][path]["post"]["responses"]
        response = responses.get(str(status)) or responses[f"{status // 100}XX"]
        if "content" not in response:
            return [] if body is None else ["a body where there is none"]
        return self.faults(body, response["content"]["application/json"]["schema"])

    def references(self) -> set[str]:
        """All references in the file."""
        return set(_references(self.content))

    def resolves(self, reference: str) -> bool:
        try:
            self._at(reference)
        except KeyError:
            return False
        return True

    def _at(self, reference: str) -> Schema:
        found: Any = self.content
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return dict(found)

    def _one_of(self, value: Any, schemas: list[Schema], _: Schema) -> Iterator[str]:
        faults = [self.faults(value, schema) for schema in schemas]
        if sum(not found for found in faults) != 1:
            yield f"fits not exactly one of {len(schemas)}: {faults}"

    def _properties(self, value: Any, schemas: Schema, _: Schema) -> Iterator[str]:
        for name, schema in schemas.items():
            if name in value:
                yield from self.faults(value[name], schema)

    def _additional(self, value: Any, allowed: Any, schema: Schema) -> Iterator[str]:
        others = [name for name in value if name not in schema.get("properties", {})]
        if allowed is False:
            yield from _unless(not others, others, "no other property")
            return
        yield from self._each([value[name] for name in others], allowed)

    def _each(self, values: list[Any], schema: Schema) -> Iterator[str]:
        for value in values:
            yield from self.faults(value, schema)


def _unless(is_fine: object, value: Any, wanted: Any) -> Iterator[str]:
    if not is_fine:
        yield f"{value!r} is not {wanted!r}"


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield str(node["$ref"])
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _references(inner)
