"""The fields of the generators: as the resource has them, and what the code says to them."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from keyturn import plugins
from keyturn.domain.errors import InvalidParameterError
from keyturn.generators.interface import Generator

CRD = Path(__file__).parents[1] / "crds" / "managedsecrets.keyturn.dev.yaml"
GENERATORS: Mapping[str, Generator] = plugins.load("keyturn.generators")

Written = dict[str, Any]

NEEDED: Mapping[str, Written] = {
    "tls": {"commonName": "orders"},
    "privateKey": {"outputs": {"jwk": "jwk.json"}},
    "htpasswd": {"username": "admin"},
}
"""What has to be written besides the field that is looked at."""

ALTERNATIVES: Mapping[tuple[str, ...], list[Written]] = {
    ("password", "digits"): [{"length": 4096}],
    ("password", "symbols"): [{"length": 4096}],
    ("sshKey", "keySize"): [{"keyType": "rsa"}, {"keyType": "ecdsa"}],
    ("privateKey", "size"): [{"algorithm": "RSA"}, {"algorithm": "ECDSA"}],
    ("tls", "privateKey", "size"): [
        {"privateKey": {"algorithm": "RSA"}},
        {"privateKey": {"algorithm": "ECDSA"}},
    ],
    ("privateKey", "jwk", "alg"): [
        {"algorithm": "RSA"},
        *({"algorithm": "ECDSA", "size": size} for size in (256, 384, 521)),
        {"algorithm": "Ed25519"},
    ],
}
"""Where the bounds depend on another field: what may be written there."""


class Field(NamedTuple):
    generator: str
    path: tuple[str, ...]
    schema: Mapping[str, Any]

    def __str__(self) -> str:
        return ".".join((self.generator, *self.path))

    def written(self, value: Any, alternative: Written | None = None) -> Written:
        """Put a value where the field is, among what else is needed."""
        nested: Any = value
        for name in reversed(self.path):
            nested = {name: nested}
        needed = NEEDED.get(self.generator, {})
        return merged(merged(needed, alternative or {}), nested)

    def refusals(self, value: Any) -> list[str]:
        """Return what is said to a value, with each of the alternatives; empty if it is taken."""
        alternatives = ALTERNATIVES.get((self.generator, *self.path), [{}])
        return [refusal(self.generator, self.written(value, each)) for each in alternatives]

    def takes(self, value: Any) -> bool:
        return not all(self.refusals(value))


def merged(one: Written, other: Written) -> Written:
    both = {**one, **other}
    for name in one.keys() & other.keys():
        if isinstance(one[name], dict) and isinstance(other[name], dict):
            both[name] = merged(one[name], other[name])
    return both


def refusal(generator: str, written: Written) -> str:
    try:
        GENERATORS[generator].outputs("key", written)
    except InvalidParameterError as error:
        return str(error)
    return ""


@cache
def schemas() -> Mapping[str, Any]:
    version = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    generate = spec["properties"]["data"]["items"]["properties"]["generate"]
    found: Mapping[str, Any] = generate["properties"]
    return found


def fields() -> Iterator[Field]:
    """Yield all fields of the built-in generators, and the objects that they stand in."""
    for generator, schema in schemas().items():
        if generator != "plugin":
            yield from below(Field(generator, (), schema))


def below(field: Field) -> Iterator[Field]:
    yield field
    for name, schema in field.schema.get("properties", {}).items():
        yield from below(Field(field.generator, (*field.path, name), schema))
