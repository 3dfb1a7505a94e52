"""What every generator promises.

A generator is found by its entry point in the group `keyturn.generators`; the built-in ones come
in by the same way.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from keyturn.domain.payload import SecretValue


@dataclass(frozen=True, slots=True)
class Materials:
    """What a generator may use besides its parameters.

    `secrets` are the native Secrets of the same namespace that `needs` named, by name and key;
    `siblings` are the values of the keys of the same ManagedSecret that `needs` named.
    """

    now: datetime
    secrets: Mapping[str, Mapping[str, SecretValue]] = field(default_factory=dict)
    siblings: Mapping[str, SecretValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Needs:
    """The names of native Secrets and of sibling keys that a generator wants to read.

    `is_quick` says that it is done within a millisecond, so that it needs no thread.
    """

    secrets: frozenset[str] = frozenset()
    siblings: frozenset[str] = frozenset()
    is_quick: bool = False


class Generator(Protocol):
    """Makes a new value. Stateless; `generate` may take seconds: it runs in a thread."""

    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        """Name the keys that it fills: output name to key; the output of `key` itself included.

        Pure; the same parameters always name the same keys.
        """

    def needs(self, parameters: Mapping[str, Any]) -> Needs:
        """Name what it wants to read, and whether it needs a thread. Pure."""

    def generate(
        self, key: str, parameters: Mapping[str, Any], materials: Materials
    ) -> Mapping[str, SecretValue]:
        """Make the values, by key.

        Raises:
            InvalidParameterError: a parameter is out of bounds; the message says what to write.
            SourceNotFoundError: a material is missing.
        """
