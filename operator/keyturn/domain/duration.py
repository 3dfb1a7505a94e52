"""Durations as Kubernetes' users write them: those of Go, with days."""

import re
from datetime import timedelta
from decimal import Decimal

from keyturn.domain.errors import InvalidParameterError

_MICROSECONDS = {
    "ns": Decimal("0.001"),
    "us": Decimal(1),
    "µs": Decimal(1),
    "μs": Decimal(1),
    "ms": Decimal(1_000),
    "s": Decimal(1_000_000),
    "m": Decimal(60_000_000),
    "h": Decimal(3_600_000_000),
    "d": Decimal(86_400_000_000),
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d)")
_MAX_TEXT = 64


def parse_duration(text: str) -> timedelta:
    """Read a duration such as `14d`, `1h30m` or `1.5h`.

    As in Go, the parts may come in any order and a bare number other than 0 is no duration; a day
    has 24 hours. Less than a microsecond is rounded.

    >>> parse_duration("1d12h")
    datetime.timedelta(days=1, seconds=43200)

    Raises:
        InvalidParameterError: it is no duration, negative, or longer than can be counted.
    """
    if text == "0":
        return timedelta(0)
    parts = list(_PART.finditer(text)) if len(text) <= _MAX_TEXT else []
    if not parts or sum(len(part[0]) for part in parts) != len(text):
        raise InvalidParameterError("is no duration; write for example 30m, 12h or 14d")
    microseconds = sum(Decimal(part[1]) * _MICROSECONDS[part[2]] for part in parts)
    try:
        return timedelta(microseconds=round(microseconds))
    except OverflowError:
        raise InvalidParameterError(
            "is longer than can be counted; write for example 14d"
        ) from None


def format_duration(duration: timedelta) -> str:
    """Write a duration in the shortest form that `parse_duration` reads back.

    >>> format_duration(timedelta(days=1, minutes=90)), format_duration(timedelta(0))
    ('1d1h30m', '0s')

    Raises:
        InvalidParameterError: it is negative.
    """
    if duration < timedelta(0):
        raise InvalidParameterError("a duration cannot be negative")
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{duration.microseconds:06}".rstrip("0") if duration.microseconds else ""
    parts = ((duration.days, "d"), (hours, "h"), (minutes, "m"))
    text = "".join(f"{count}{unit}" for count, unit in parts if count)
    return f"{text}{seconds}{fraction}s" if seconds or fraction or not text else text
