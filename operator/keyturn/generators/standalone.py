"""What generators have in common that read nothing: randomness and their parameters are enough."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from keyturn.domain.payload import SecretValue
from keyturn.generators.interface import Materials, Needs


class StandaloneGenerator(ABC):
    """A generator that needs no native Secret, no sibling key and no clock."""

    is_quick: ClassVar[bool] = True
    """False for one that computes: it gets a thread."""

    @abstractmethod
    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        """Name the keys that it fills, as `Generator.outputs` does."""

    @abstractmethod
    def make(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, SecretValue]:
        """Make the values, as `Generator.generate` does."""

    def needs(self, parameters: Mapping[str, Any]) -> Needs:
        del parameters
        return Needs(is_quick=self.is_quick)

    def generate(
        self, key: str, parameters: Mapping[str, Any], materials: Materials
    ) -> Mapping[str, SecretValue]:
        del materials
        return self.make(key, parameters)
