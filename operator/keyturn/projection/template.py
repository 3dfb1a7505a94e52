"""Templates: text with the values of a payload in it."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from yaml import YAMLError

from keyturn.domain.errors import InvalidTemplateError
from keyturn.domain.payload import SecretValue
from keyturn.projection.template_filters import Missing, check_size, to_bytes, to_text
from keyturn.projection.template_syntax import (
    Constant,
    Expression,
    Filtered,
    KeyOf,
    parse_template,
)

_FALLBACK = "default"
_MAY_GIVE_NULL = frozenset({_FALLBACK, "fromJson", "get"})


def validate(text: str, keys: Collection[str] | None = None) -> None:
    """Check a template before there is anything to render, and the keys that it names.

    Raises:
        InvalidTemplateError: it cannot be rendered; the message says why and what to write.
    """
    for part in parse_template(text):
        for key in _needed_keys(part):
            if keys is not None and key not in keys:
                raise _no_such_key(key, keys)


def render(text: str, payload: Mapping[str, SecretValue]) -> SecretValue:
    """Render a template with the values of a payload; the caller zeroes the result.

    A value that no filter changes is copied from buffer to buffer and never becomes a `str`.

    Raises:
        InvalidTemplateError: the template is wrong, names a key that is not there, or a filter
            cannot do its work. The message holds no value.
    """
    rendered = bytearray()
    try:
        for part in parse_template(text):
            value = _present(part, payload)
            is_buffer = isinstance(value, SecretValue)
            rendered += value.reveal() if is_buffer else to_bytes(to_text(value))
            check_size(len(rendered))
        if not rendered.isascii():
            to_text(bytes(rendered))
    except BaseException:
        rendered[:] = bytes(len(rendered))
        raise
    return SecretValue(rendered)


def _evaluate(part: Expression, payload: Mapping[str, SecretValue]) -> Any:
    match part:
        case Constant(value):
            return value
        case KeyOf(key):
            return payload.get(key, Missing(key))
        case Filtered():
            return _apply(part, payload)


def _apply(part: Filtered, payload: Mapping[str, SecretValue]) -> Any:
    operand = _evaluate(part.operand, payload)
    arguments = [_present(argument, payload) for argument in part.arguments]
    named = {name: _present(argument, payload) for name, argument in part.named}
    if isinstance(operand, Missing) and part.name != _FALLBACK:
        raise _no_such_key(operand.key, payload)
    try:
        value = part.apply(operand, *arguments, **named)
    except (RecursionError, ValueError, YAMLError):
        value = None  # raised below, so that the error is not chained to one that holds the value
    if value is None and part.name not in _MAY_GIVE_NULL:
        raise InvalidTemplateError(f"the filter {part.name} cannot do its work with this value")
    if isinstance(value, str | bytes):
        check_size(len(value))
    return value


def _present(part: Expression, payload: Mapping[str, SecretValue]) -> Any:
    value = _evaluate(part, payload)
    if isinstance(value, Missing):
        raise _no_such_key(value.key, payload)
    return value


def _needed_keys(part: Expression) -> Iterator[str]:
    """Name the keys without which the expression cannot be rendered."""
    match part:
        case KeyOf(key):
            yield key
        case Filtered():
            if not (part.name == _FALLBACK and isinstance(part.operand, KeyOf)):
                yield from _needed_keys(part.operand)
            for argument in (*part.arguments, *(argument for _, argument in part.named)):
                yield from _needed_keys(argument)
        case Constant():
            pass


def _no_such_key(key: str, keys: Collection[str]) -> InvalidTemplateError:
    there_are = ", ".join(sorted(keys)) or "none"
    return InvalidTemplateError(
        f"there is no key {key[:253]}; the keys are: {there_are}. A fallback is written "
        f'{{{{ {key[:253]} | default("…") }}}}'
    )
