"""What the fields of a password ask for, and drawing a password that has it.

Two vocabularies meet here. External Secrets counts: exactly so many digits, so many symbols.
AWS excludes: no such characters, no such type, at least one of each other type. Both may stand in
one resource, as long as they do not contradict each other.
"""

import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from keyturn.domain.errors import InvalidParameterError
from keyturn.generators import characters
from keyturn.generators.parameters import Bounds, Parameters

SYMBOLS = '~!@#$%^&*()_+`-={}|[]\\:"<>?,./'
"""The symbols of a password that names none: those of External Secrets."""

DEFAULT_LENGTH = 32

_LENGTH = Bounds(1, 4096)
_COUNT = Bounds(0, 4096)
_MAX_SYMBOLS, _MAX_EXCLUDED = 128, 256
_SPACE = frozenset(b" ")
_FIELDS = (
    *("length", "digits", "symbols", "symbolCharacters", "noUpper", "allowRepeat"),
    *("excludeCharacters", "excludeNumbers", "excludePunctuation", "excludeUppercase"),
    *("excludeLowercase", "includeSpace", "requireEachIncludedType"),
)
_CONTRADICTIONS = (
    ("excludeNumbers", "digits"),
    ("excludePunctuation", "symbols"),
    ("excludePunctuation", "symbolCharacters"),
)
_TOO_SHORT = "Password length is too short based on the required types."
"""What AWS's GetRandomPassword answers; its users search for these words."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Characters of one alphabet: `count` of them, at least one of each of the `required` kinds."""

    name: str
    count: int
    alphabet: bytes
    required: tuple[frozenset[int], ...] = ()


@dataclass(frozen=True, slots=True)
class PasswordRecipe:
    """The parts of a password; they are drawn one by one, and then shuffled together."""

    parts: tuple[_Part, ...]
    allow_repeat: bool

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Self:
        """Read the parameters.

        Most passwords of a cluster ask for the same, and each is read twice, when its resource is
        parsed and when it is made: recipes that were read lately are remembered.

        Raises:
            InvalidParameterError: one is out of bounds, they contradict each other, or there is
                no such password.
        """
        return cls._remembered(json.dumps(written))

    @classmethod
    @lru_cache(maxsize=256)
    def _remembered(cls, written: str) -> Self:
        fields = Parameters(json.loads(written), *_FIELDS)
        length = fields.integer("length", _LENGTH, default=DEFAULT_LENGTH)
        allow_repeat = fields.flag("allowRepeat", default=True)
        _refuse_contradictions(fields)
        alphabets = _alphabets(fields)
        counted = tuple(
            _Part(name, fields.integer(name, _COUNT, default=0), alphabets.pop(name))
            for name in ("digits", "symbols")
            if fields.has(name)
        )
        rest = _rest(fields, length - sum(part.count for part in counted), alphabets)
        recipe = cls((*counted, rest), allow_repeat)
        for part in recipe.parts:
            recipe._check_alphabet(part, fields)
        if all(set(part.alphabet) <= _SPACE for part in recipe.parts if part.count):
            raise InvalidParameterError(
                "every character but the space is excluded; allow letters, digits or symbols"
            )
        return recipe

    def draw(self) -> bytearray:
        """Draw a password: each one that the parameters allow is as likely as the others."""
        password = bytearray()
        for part in self.parts:
            drawn = characters.draw_with_each(
                part.alphabet, part.count, part.required, repeat=self.allow_repeat
            )
            password += drawn
            drawn[:] = bytes(len(drawn))
        if len(self.parts) > 1:
            # One part alone is in a random order already.
            characters.shuffle(password)
        return password

    def _check_alphabet(self, part: _Part, fields: Parameters) -> None:
        if part.count and not part.alphabet:
            raise fields.refusal(
                part.name,
                f"asks for {part.count} characters where none is allowed; "
                "exclude fewer, or make digits and symbols add up to length",
            )
        if not self.allow_repeat and part.count > len(part.alphabet):
            raise fields.refusal(
                part.name,
                f"is too large without repeats: there are {len(part.alphabet)} characters for "
                f"{part.count} places, so write at most {len(part.alphabet)} of them, "
                "or allowRepeat: true",
            )


def _refuse_contradictions(fields: Parameters) -> None:
    for flag, name in _CONTRADICTIONS:
        asked = name == "symbolCharacters" or fields.integer(name, _COUNT, default=0) > 0
        if fields.flag(flag, default=False) and fields.has(name) and asked:
            raise fields.refusal(flag, f"and {name} contradict each other; keep one of them")
    no_upper = fields.flag("noUpper", default=False)
    if fields.has("noUpper") and no_upper != fields.flag("excludeUppercase", default=no_upper):
        raise fields.refusal("noUpper", "and excludeUppercase say the opposite; keep one of them")


def _alphabets(fields: Parameters) -> dict[str, bytes]:
    """Return the characters of each kind; an excluded kind has none."""
    symbols = fields.text("symbolCharacters", default=SYMBOLS, least=1, most=_MAX_SYMBOLS)
    if not set(symbols) <= set(string.punctuation):
        raise fields.refusal(
            "symbolCharacters",
            f"may hold only symbols of ASCII; write some of {string.punctuation} "
            "(for a space, write includeSpace: true)",
        )
    excluded = set(fields.text("excludeCharacters", most=_MAX_EXCLUDED))
    no_upper = fields.flag("noUpper", default=False)
    kinds = (
        ("lowercase", string.ascii_lowercase, not fields.flag("excludeLowercase", default=False)),
        (
            "uppercase",
            string.ascii_uppercase,
            not fields.flag("excludeUppercase", default=no_upper),
        ),
        ("digits", string.digits, not fields.flag("excludeNumbers", default=False)),
        ("symbols", symbols, not fields.flag("excludePunctuation", default=False)),
        ("space", " ", fields.flag("includeSpace", default=False)),
    )
    return {
        # A symbol that is written twice must not be twice as likely.
        name: "".join(c for c in dict.fromkeys(alphabet) if c not in excluded).encode()
        if included
        else b""
        for name, alphabet, included in kinds
    }


def _rest(fields: Parameters, count: int, alphabets: Mapping[str, bytes]) -> _Part:
    """Make the part of the characters that are not counted, of all `alphabets` together."""
    if count < 0:
        raise fields.refusal(
            "length", "is smaller than digits and symbols together; raise it or lower them"
        )
    # As in AWS, a space is allowed but is no type of its own.
    types = tuple(
        frozenset(alphabet) for name, alphabet in alphabets.items() if alphabet and name != "space"
    )
    has_room = count >= len(types)
    required = fields.flag("requireEachIncludedType", default=has_room)
    if required and not has_room:
        raise InvalidParameterError(
            f"{_TOO_SHORT} There are {count} places for {len(types)} types; write a larger length, "
            "exclude types, or write requireEachIncludedType: false"
        )
    return _Part("length", count, b"".join(alphabets.values()), types if required else ())
