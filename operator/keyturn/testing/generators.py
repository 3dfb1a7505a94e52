"""What every generator has to keep, as a suite that its tests inherit.

::

    class TestMine(GeneratorContract):
        @pytest.fixture
        def generator(self) -> Generator: ...

        @pytest.fixture
        def parameters(self) -> Mapping[str, Any]: ...
"""

import copy
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest

from keyturn.domain.errors import InvalidParameterError, SourceNotFoundError
from keyturn.domain.managed_secret import is_key
from keyturn.domain.payload import MAX_PAYLOAD_BYTES, SecretValue
from keyturn.generators.interface import Generator, Materials

KEY = "the.key"
UNKNOWN = "unheardOf"
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
REPEATS = 5


class GeneratorContract:
    """The promises of `Generator`, with parameters that are right, and what these need."""

    @pytest.fixture
    def generator(self) -> Generator:
        raise NotImplementedError("give the generator that is tested")

    @pytest.fixture
    def parameters(self) -> Mapping[str, Any]:
        return {}

    @pytest.fixture
    def materials(self) -> Materials:
        return Materials(NOW)

    def test_it_names_its_own_key_and_only_keys_that_a_secret_can_have(
        self, generator: Generator, parameters: Mapping[str, Any]
    ) -> None:
        keys = list(generator.outputs(KEY, parameters).values())

        assert KEY in keys
        assert len(set(keys)) == len(keys)
        assert all(is_key(key) for key in keys)

    def test_it_fills_the_keys_that_it_names(
        self, generator: Generator, parameters: Mapping[str, Any], materials: Materials
    ) -> None:
        named = generator.outputs(KEY, parameters)

        made = generator.generate(KEY, parameters, materials)

        assert made.keys() == set(named.values())
        assert all(len(value) for value in made.values())

    def test_it_fits_into_a_version(
        self, generator: Generator, parameters: Mapping[str, Any], materials: Materials
    ) -> None:
        made = generator.generate(KEY, parameters, materials)

        assert sum(len(key) + len(value) for key, value in made.items()) <= MAX_PAYLOAD_BYTES

    def test_what_it_names_depends_on_nothing_else(
        self, generator: Generator, parameters: Mapping[str, Any], materials: Materials
    ) -> None:
        before = generator.outputs(KEY, parameters), generator.needs(parameters)

        generator.generate(KEY, parameters, materials)

        assert (generator.outputs(KEY, parameters), generator.needs(parameters)) == before

    def test_it_leaves_the_parameters_as_they_are(
        self, generator: Generator, parameters: Mapping[str, Any], materials: Materials
    ) -> None:
        before = copy.deepcopy(dict(parameters))

        generator.outputs(KEY, parameters)
        generator.needs(parameters)
        generator.generate(KEY, parameters, materials)

        assert parameters == before

    def test_each_value_is_a_new_one(
        self, generator: Generator, parameters: Mapping[str, Any], materials: Materials
    ) -> None:
        made = [generator.generate(KEY, parameters, materials)[KEY] for _ in range(REPEATS)]

        assert not any(one.matches(other) for one, other in combinations(made, 2))

    def test_values_are_new_in_many_threads_at_once(
        self, generator: Generator, parameters: Mapping[str, Any], materials: Materials
    ) -> None:
        with ThreadPoolExecutor(REPEATS) as threads:
            asked = [
                threads.submit(generator.generate, KEY, parameters, materials)
                for _ in range(REPEATS)
            ]
        made = [answer.result()[KEY] for answer in asked]

        assert not any(one.matches(other) for one, other in combinations(made, 2))

    def test_its_values_can_be_zeroed_and_nothing_else_is(
        self, generator: Generator, parameters: Mapping[str, Any], materials: Materials
    ) -> None:
        given = [*materials.siblings.values(), *_values_of(materials.secrets)]
        before = [value.copy() for value in given]
        kept = generator.generate(KEY, parameters, materials)

        for value in generator.generate(KEY, parameters, materials).values():
            value.zero()

        assert all(value.matches(copied) for value, copied in zip(given, before, strict=True))
        assert not any(value.matches(SecretValue(bytes(len(value)))) for value in kept.values())

    def test_it_reads_no_more_than_it_says(
        self, generator: Generator, parameters: Mapping[str, Any], materials: Materials
    ) -> None:
        needs = generator.needs(parameters)
        asked_for = Materials(
            materials.now,
            {name: materials.secrets[name] for name in needs.secrets},
            {key: materials.siblings[key] for key in needs.siblings},
        )

        assert generator.generate(KEY, parameters, asked_for)

    def test_it_names_what_it_misses(
        self, generator: Generator, parameters: Mapping[str, Any], materials: Materials
    ) -> None:
        needs = generator.needs(parameters)
        if not needs.secrets | needs.siblings:
            assert generator.generate(KEY, parameters, Materials(materials.now))
            return

        with pytest.raises(SourceNotFoundError) as caught:
            generator.generate(KEY, parameters, Materials(materials.now))

        assert any(name in str(caught.value) for name in needs.secrets | needs.siblings)

    def test_it_refuses_an_unknown_parameter_by_its_name(
        self, generator: Generator, parameters: Mapping[str, Any], materials: Materials
    ) -> None:
        wrong = {**parameters, UNKNOWN: "1"}

        with pytest.raises(InvalidParameterError, match=UNKNOWN):
            generator.outputs(KEY, wrong)
        with pytest.raises(InvalidParameterError, match=UNKNOWN):
            generator.generate(KEY, wrong, materials)


def _values_of(secrets: Mapping[str, Mapping[str, SecretValue]]) -> list[SecretValue]:
    return [value for values in secrets.values() for value in values.values()]
