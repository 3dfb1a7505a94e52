"""Where generators run."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from keyturn.domain.managed_secret import DataKey, Generate
from keyturn.domain.payload import SecretValue
from keyturn.domain.secret import SecretName
from keyturn.generators.interface import Generator, Materials, Needs
from keyturn.services.generating import Generating


class Witness:
    """A generator that notes which thread it ran in."""

    def __init__(self, *, is_quick: bool) -> None:
        self._is_quick = is_quick
        self.ran_in: threading.Thread | None = None

    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        return {"value": key}

    def needs(self, parameters: Mapping[str, Any]) -> Needs:
        return Needs(is_quick=self._is_quick)

    def generate(
        self, key: str, parameters: Mapping[str, Any], materials: Materials
    ) -> Mapping[str, SecretValue]:
        self.ran_in = threading.current_thread()
        return {key: SecretValue(b"made")}


@pytest.mark.parametrize("is_quick", [True, False], ids=["a quick one", "a slow one"])
async def test_only_a_quick_generator_runs_in_the_loops_own_thread(is_quick: bool) -> None:
    witness = Witness(is_quick=is_quick)
    generators: Mapping[str, Generator] = {"witness": witness}
    generating = Generating(generators, None, lambda: datetime(2030, 1, 1, tzinfo=UTC))
    source = Generate("witness")
    entry = DataKey("token", source, ("token",))

    await generating.generate(SecretName("shop", "orders"), entry, source, {})

    assert (witness.ran_in is threading.current_thread()) == is_quick
