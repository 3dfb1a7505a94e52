from collections.abc import Mapping
from typing import Any

import pytest

from generating import make
from keyturn.domain.payload import SecretValue
from keyturn.generators.interface import Needs
from keyturn.generators.standalone import StandaloneGenerator


class Echo(StandaloneGenerator):
    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        return {"echo": key}

    def make(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, SecretValue]:
        return {key: SecretValue(str(parameters["text"]).encode())}


def test_it_reads_neither_secrets_nor_other_keys() -> None:
    needs = Echo().needs({"caSecretRef": {"name": "ca"}, "passwordKey": "p"})

    assert needs == Needs(is_quick=True)


def test_one_that_computes_says_that_it_is_not_quick() -> None:
    class Slow(Echo):
        is_quick = False

    assert not Slow().needs({}).is_quick


def test_it_generates_from_its_key_and_parameters_alone() -> None:
    made = make(Echo(), "a", siblings={"b": b"other"}, text="hello")

    assert made == {"a": b"hello"}


def test_one_that_makes_nothing_cannot_be_used() -> None:
    with pytest.raises(TypeError, match="abstract"):
        StandaloneGenerator()  # type: ignore[abstract]  # this is what is tested
