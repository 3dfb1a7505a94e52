"""Passphrases: words of a fixed list, for what people have to type.

No word of the list is the beginning of another, so that different draws never give the same text,
whatever stands between the words: the entropy is that of the draws.
"""

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Self

from keyturn.domain.payload import SecretValue
from keyturn.generators.parameters import Bounds, Parameters
from keyturn.generators.standalone import StandaloneGenerator

_WORDS = Bounds(3, 64)
_DEFAULT_WORDS = 6
_MAX_SEPARATOR = 8


@cache
def word_list() -> tuple[bytes, ...]:
    """Read the words: lower case ASCII, no two of them with the same first four letters."""
    return tuple(files("keyturn.generators").joinpath("words.txt").read_bytes().split())


class PassphraseGenerator(StandaloneGenerator):
    """Makes a passphrase of random words."""

    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        _Recipe.read(parameters)
        return {"passphrase": key}

    def make(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, SecretValue]:
        return {key: SecretValue(_Recipe.read(parameters).draw())}


@dataclass(frozen=True, slots=True)
class _Recipe:
    count: int
    separator: bytes
    capitalize: bool
    include_number: bool

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Self:
        fields = Parameters(written, "words", "separator", "capitalize", "includeNumber")
        return cls(
            count=fields.integer("words", _WORDS, default=_DEFAULT_WORDS),
            separator=fields.text("separator", default="-", most=_MAX_SEPARATOR).encode(),
            capitalize=fields.flag("capitalize", default=False),
            include_number=fields.flag("includeNumber", default=False),
        )

    def draw(self) -> bytearray:
        words = [secrets.choice(word_list()) for _ in range(self.count)]
        if self.capitalize:
            words = [word.capitalize() for word in words]
        if self.include_number:
            words[secrets.randbelow(self.count)] += bytes([secrets.choice(string.digits.encode())])
        return bytearray(self.separator.join(words))
