"""Every generator keeps the promises of the interface: the built-in ones, and those of others."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import pytest

from keyturn import plugins
from keyturn.domain.payload import SecretValue
from keyturn.generators.interface import Generator, Materials
from keyturn.testing.generators import NOW, GeneratorContract

GENERATORS: Mapping[str, Generator] = plugins.load("keyturn.generators")
ECDSA = {"algorithm": "ECDSA"}

SAMPLES: Mapping[str, list[dict[str, Any]]] = {
    "password": [{}, {"length": 24, "digits": 4, "symbols": 0, "allowRepeat": False}],
    "passphrase": [{}, {"words": 4, "capitalize": True, "includeNumber": True}],
    "hex": [{}, {"bytes": 16}],
    "base64": [{}, {"bytes": 16, "urlSafe": True, "noPadding": True}],
    "uuid": [{}],
    "sshKey": [{}, {"keyType": "ecdsa", "outputs": {"publicKey": "public"}}],
    "tls": [
        {"commonName": "orders"},
        {"commonName": "Shop CA", "isCA": True, "privateKey": ECDSA},
        {"dnsNames": ["orders"], "privateKey": ECDSA, "caSecretRef": {"name": "shop-ca"}},
    ],
    "privateKey": [{}, {**ECDSA, "outputs": {"jwk": "jwk.json", "jwks": "jwks.json"}}],
    "htpasswd": [
        {"username": "admin", "cost": 4},
        {"username": "admin", "cost": 4, "passwordKey": "password"},
    ],
}
"""Right parameters for each of the generators that are built in."""


class Case(NamedTuple):
    name: str
    parameters: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}: {', '.join(self.parameters) or 'defaults'}"


CASES = [Case(name, written) for name in GENERATORS for written in SAMPLES.get(name, [{}])]


@cache
def an_authority() -> Mapping[str, SecretValue]:
    written = {"commonName": "Shop CA", "isCA": True, "privateKey": ECDSA}
    return GENERATORS["tls"].generate("tls.key", written, Materials(NOW))


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


class TestEveryGenerator(GeneratorContract):
    @pytest.fixture
    def generator(self, case: Case) -> Generator:
        return GENERATORS[case.name]

    @pytest.fixture
    def parameters(self, case: Case) -> Mapping[str, Any]:
        return case.parameters

    @pytest.fixture
    def materials(self) -> Materials:
        secrets = {"shop-ca": an_authority(), "other": {"a": SecretValue(b"b")}}
        siblings = {"password": SecretValue(b"of another key"), "more": SecretValue(b"c")}
        return Materials(NOW, secrets, siblings)


def test_each_built_in_generator_comes_by_its_entry_point() -> None:
    assert SAMPLES.keys() <= GENERATORS.keys()
