"""New values from generators, with what they want to read."""

import asyncio
from collections.abc import Mapping
from typing import Any

from keyturn.domain.errors import InvalidParameterError, SourceNotFoundError
from keyturn.domain.managed_secret import DataKey, Generate, secrets_named_by
from keyturn.domain.payload import SecretValue
from keyturn.domain.secret import SecretName
from keyturn.generators.interface import Generator, Materials
from keyturn.kube.sources import Sources
from keyturn.services.clock import Clock


class Generating:
    """Finds generators by name and runs them."""

    def __init__(
        self, generators: Mapping[str, Generator], sources: Sources | None, clock: Clock
    ) -> None:
        self._generators = generators
        self._sources = sources
        self._clock = clock

    def outputs_of(
        self, generator: str, key: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, str]:
        """Name the keys that a generator fills. Raises: InvalidParameterError."""
        return self._find(generator).outputs(key, parameters)

    def siblings_of(self, source: Generate) -> frozenset[str]:
        """Name the keys of the same secret that the source is made from."""
        return self._find(source.generator).needs(source.parameters).siblings

    def secrets_of(self, source: Generate) -> frozenset[str]:
        """Name the native Secrets that the source is made from."""
        return self._find(source.generator).needs(source.parameters).secrets

    async def generate(
        self,
        resource: SecretName,
        entry: DataKey,
        source: Generate,
        siblings: Mapping[str, SecretValue],
    ) -> Mapping[str, SecretValue]:
        """Make the values of one entry, by key.

        Raises:
            InvalidParameterError: a parameter is out of bounds, or there is no such generator.
            SourceNotFoundError: something that the generator reads is missing.
        """
        generator, parameters = self._find(source.generator), source.parameters
        needs = generator.needs(parameters)
        missing = sorted(needs.siblings - siblings.keys())
        if missing:
            raise SourceNotFoundError(f"{entry.key!r} is made from the missing key {missing[0]!r}")
        materials = Materials(
            now=self._clock(),
            secrets={
                name: await self._read(resource, name, source) for name in sorted(needs.secrets)
            },
            siblings={key: siblings[key] for key in needs.siblings},
        )
        if needs.is_quick:
            return generator.generate(entry.key, parameters, materials)
        # In a thread: an RSA key or a bcrypt hash takes from a tenth of a second to seconds.
        return await asyncio.to_thread(generator.generate, entry.key, parameters, materials)

    async def _read(
        self, resource: SecretName, name: str, source: Generate
    ) -> Mapping[str, SecretValue]:
        if self._sources is None:
            raise SourceNotFoundError("this needs the cluster; the running operator can do it")
        return await self._sources.native_secret(
            resource, name, seen_at_admission=name in secrets_named_by(source)
        )

    def _find(self, name: str) -> Generator:
        found = self._generators.get(name)
        if found is None:
            known = ", ".join(sorted(self._generators))
            raise InvalidParameterError(f"there is no generator {name!r}; there are: {known}")
        return found
