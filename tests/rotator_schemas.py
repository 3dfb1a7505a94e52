"""The fields of the rotators as both CRDs have them, and what the rotators say to them."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.rotator import BUILT_IN_TYPES
from keyturn.rotators.catalogue import Catalogue
from rotator_examples import LEAST, Written

CRDS = Path(__file__).parents[1] / "crds"

Schema = Mapping[str, Any]


BESIDE: Mapping[str, Written] = {"sqlserver.contained": {"database": "orders"}}
"""What has to be written beside a field."""


class Field(NamedTuple):
    """A field of a type; `path` is empty for the object of the type itself."""

    type: str
    path: tuple[str, ...]
    schema: Schema

    def __str__(self) -> str:
        return ".".join((self.type, *self.path))

    def refusal(self, value: Any) -> str:
        """Return what the rotator says to a value beside the least; empty if it is taken."""
        nested: Any = value
        for name in reversed(self.path):
            nested = {name: nested}
        return refusal(self.type, {**LEAST[self.type], **BESIDE.get(str(self), {}), **nested})


def refusal(rotator: str, written: Written) -> str:
    try:
        Catalogue().find(rotator).check(written)
    except InvalidParameterError as error:
        return str(error)
    return ""


@cache
def schema_of(plural: str) -> Schema:
    """Return the schema of the `spec` of a CRD."""
    crd = yaml.safe_load((CRDS / f"{plural}.keyturn.dev.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec: Schema = schema["properties"]["spec"]
    return spec


def fields() -> Iterator[Field]:
    """Yield all fields of the built-in types of a ClusterRotator, and the objects they are in."""
    properties = schema_of("clusterrotators")["properties"]
    for name in BUILT_IN_TYPES:
        yield from _below(Field(name, (), properties[name]))


def _below(field: Field) -> Iterator[Field]:
    yield field
    for name, schema in field.schema.get("properties", {}).items():
        yield from _below(Field(field.type, (*field.path, name), schema))
