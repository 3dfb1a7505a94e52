"""Reading the parameters of a generator: every refusal says what to write instead."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.managed_secret import is_key


class Bounds(NamedTuple):
    """The least and the greatest number that a parameter may be."""

    least: int
    most: int


class Parameters:
    """The parameters that an author wrote, read field by field.

    The schema of the resource has checked them already; they are checked again, as a generator
    is also called with what an older schema let through. A field that is null is left out.
    """

    def __init__(self, written: Mapping[str, Any], *known: str, within: str = "") -> None:
        """Take what was written under the field `within`; `known` are the fields that may be there.

        Raises:
            InvalidParameterError: there is another field.
        """
        self._written = {name: value for name, value in written.items() if value is not None}
        self._within = within
        unknown = sorted(self._written.keys() - set(known))
        if unknown:
            there_are = (
                f"write one of {', '.join(known)}" if known else "it has no fields; write {}"
            )
            raise self.refusal(unknown[0], f"is unknown; {there_are}")

    def refusal(self, name: str, why: str) -> InvalidParameterError:
        """Make the error that says why the field `name` is wrong; it is for the caller to raise."""
        return InvalidParameterError(f"{self._within}{name} {why}")

    def has(self, name: str) -> bool:
        return name in self._written

    def integer(self, name: str, bounds: Bounds, *, default: int) -> int:
        """Read a whole number.

        Raises:
            InvalidParameterError: it is none, or out of bounds.
        """
        number = self._written.get(name, default)
        if (
            not isinstance(number, int)
            or isinstance(number, bool)
            or not bounds.least <= number <= bounds.most
        ):
            raise self.refusal(
                name,
                f"must be a whole number from {bounds.least} to {bounds.most}; "
                f"write for example {name}: {default}",
            )
        return number

    def flag(self, name: str, *, default: bool) -> bool:
        """Read true or false.

        Raises:
            InvalidParameterError: it is neither.
        """
        value = self._written.get(name, default)
        if not isinstance(value, bool):
            raise self.refusal(name, f"must be a boolean; write {name}: true or {name}: false")
        return value

    def text(self, name: str, *, default: str = "", least: int = 0, most: int) -> str:
        """Read a text without control characters, of `least` to `most` characters if it is there.

        Raises:
            InvalidParameterError: it is no text, too short, too long, or not printable.
        """
        if not self.has(name):
            return default
        value = self._written[name]
        if not isinstance(value, str) or not least <= len(value) <= most or not value.isprintable():
            span = f"{least} to {most}" if least else f"at most {most}"
            raise self.refusal(name, f"must be a text of {span} printable characters, in quotes")
        return value

    def choice(self, name: str, choices: Sequence[str], *, default: str) -> str:
        """Read one of the `choices`.

        Raises:
            InvalidParameterError: it is none of them.
        """
        value = self._written.get(name, default)
        if value not in choices:
            raise self.refusal(name, f"is not one of those known; write {_either(choices)}")
        return str(value)

    def texts(self, name: str, *, most: int, longest: int) -> tuple[str, ...]:
        """Read a list of texts, none of them empty; a text that is written twice counts once.

        Raises:
            InvalidParameterError: it is no list of texts, or too long.
        """
        values = self._written.get(name, ())
        if (
            isinstance(values, str)
            or not isinstance(values, Sequence)
            or len(values) > most
            or not all(
                isinstance(value, str) and 1 <= len(value) <= longest and value.isprintable()
                for value in values
            )
        ):
            raise self.refusal(
                name,
                f"must be a list of at most {most} texts, each of 1 to {longest} characters; "
                f'write for example {name}: ["…"]',
            )
        return tuple(dict.fromkeys(values))

    def inner(self, name: str, *known: str) -> "Parameters":
        """Read an object; one that is left out has no fields.

        Raises:
            InvalidParameterError: it is no object, or has an unknown field.
        """
        value = self._written.get(name, {})
        if not isinstance(value, Mapping):
            raise self.refusal(name, f"must be an object; write for example {name}: {{}}")
        return Parameters(value, *known, within=f"{self._within}{name}.")

    def key(self, name: str, *, default: str) -> str:
        """Read the name of a key of the native Secret.

        Raises:
            InvalidParameterError: no Secret can have such a key.
        """
        value = self._written.get(name, default)
        if not isinstance(value, str) or not is_key(value):
            raise self.refusal(
                name,
                f"is {json.dumps(value)[:300]}, which is no key of a Secret; write at most 253 "
                "letters, digits, '-', '_' and '.', not '..' at the start",
            )
        return value


def distinct(outputs: Mapping[str, str]) -> Mapping[str, str]:
    """Return the outputs, output name to key, when each has a key of its own.

    Raises:
        InvalidParameterError: two outputs fill one key.
    """
    by_key: dict[str, str] = {}
    for output, key in outputs.items():
        if key in by_key:
            raise InvalidParameterError(
                f"outputs.{output} fills the key {key!r}, as {by_key[key]} does; "
                "write another key for one of them"
            )
        by_key[key] = output
    return outputs


def _either(choices: Sequence[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else choices[0]
