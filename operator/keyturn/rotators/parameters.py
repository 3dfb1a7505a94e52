"""Reading the parameters of a rotator: every refusal names the field and says what to write."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from keyturn.domain.errors import InvalidParameterError


class Parameters:
    """The parameters that an administrator wrote, read field by field.

    The schema of the resource has checked most of them already; they are checked again, as the
    parameters of a plugin have no schema. A field that is null is left out.
    """

    def __init__(self, written: Mapping[str, Any], *known: str, within: str = "") -> None:
        """Take what was written under the field `within`; `known` are the fields that may be there.

        Raises:
            InvalidParameterError: there is another field.
        """
        self._written = {name: value for name, value in written.items() if value is not None}
        self._within = within
        for name in sorted(self._written.keys() - set(known)):
            raise self.refusal(name, f"is unknown; write one of {', '.join(known)}")

    def refusal(self, name: str, why: str) -> InvalidParameterError:
        """Make the error that says why the field `name` is wrong; it is for the caller to raise."""
        return InvalidParameterError(f"{self._within}{name} {why}")

    def has(self, name: str) -> bool:
        return name in self._written

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Read true or false. Raises: InvalidParameterError."""
        value = self._written.get(name, default)
        if not isinstance(value, bool):
            raise self.refusal(name, f"must be a boolean; write {name}: true or {name}: false")
        return value

    def integer(self, name: str, *, least: int, most: int, default: int) -> int:
        """Read a whole number from `least` to `most`. Raises: InvalidParameterError."""
        number = self._written.get(name, default)
        is_number = isinstance(number, int) and not isinstance(number, bool)
        if not is_number or not least <= number <= most:
            raise self.refusal(
                name,
                f"must be a whole number from {least} to {most}; write for example "
                f"{name}: {default}",
            )
        return int(number)

    def text(self, name: str, form: re.Pattern[str], example: str) -> str:
        """Read a text of the given form; empty if it is left out. Raises: InvalidParameterError."""
        value = self._written.get(name, "")
        if self.has(name) and not _is_text(value, form):
            raise self.refusal(name, f"is not of the right form; write for example {example}")
        return str(value)

    def texts(
        self, name: str, form: re.Pattern[str], example: str, *, most: int = 64
    ) -> tuple[str, ...]:
        """Read a list of at most `most` texts of the form. Raises: InvalidParameterError."""
        values = self.items(name, example, most=most)
        if not all(_is_text(value, form) for value in values):
            raise self.refusal(name, f"must be a list of texts; write for example {example}")
        return tuple(values)

    def choices(
        self, name: str, choices: Sequence[str], *, default: Sequence[str]
    ) -> tuple[str, ...]:
        """Read a list of some of the `choices`, at least one. Raises: InvalidParameterError."""
        values = self._written.get(name, default)
        example = f"{name}: [{', '.join(choices)}]"
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            raise self.refusal(name, f"must be a list; write some of {example}")
        if not set(map(str, values)) <= set(choices):
            raise self.refusal(name, f"has what is not known; write some of {example}")
        return tuple(dict.fromkeys(values))

    def items(self, name: str, example: str, *, most: int) -> Sequence[Any]:
        """Read a list of at most `most` items of any kind. Raises: InvalidParameterError."""
        values = self._written.get(name, ())
        if isinstance(values, str) or not isinstance(values, Sequence) or len(values) > most:
            raise self.refusal(
                name, f"must be a list of at most {most}; write for example {example}"
            )
        return values

    def mapping(self, name: str, form: re.Pattern[str], example: str) -> Mapping[str, str]:
        """Read an object whose names and texts are of the form. Raises: InvalidParameterError."""
        value = self._written.get(name, {})
        if not isinstance(value, Mapping) or not all(
            _is_text(key, form) and _is_text(text, form) for key, text in value.items()
        ):
            raise self.refusal(name, f"must be an object of texts; write for example {example}")
        return value

    def inner(self, name: str, *known: str) -> "Parameters":
        """Read an object; one that is left out has no fields. Raises: InvalidParameterError."""
        return self.part(name, self._written.get(name, {}), *known)

    def part(self, name: str, written: Any, *known: str) -> "Parameters":
        """Read an object that was found in the field `name`. Raises: InvalidParameterError."""
        if not isinstance(written, Mapping):
            raise self.refusal(name, f"must be an object of {', '.join(known)}")
        return Parameters(written, *known, within=f"{self._within}{name}.")


def _is_text(value: Any, form: re.Pattern[str]) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None
