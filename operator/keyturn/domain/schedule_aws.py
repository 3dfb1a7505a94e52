"""Schedules as AWS Secrets Manager has them: `rate(10 days)` and `cron(0 8 1 * ? *)`.

The rules are those of AWS's page "Schedule expressions in Secrets Manager rotation". Taken beyond
them: a time zone, any minute, a step in the hour, and `W` as Amazon EventBridge has it.
"""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.schedule_cron import Cron, wrong_field
from keyturn.domain.schedule_zone import first_moment, wall_clock

_RATE = re.compile(r"rate\(([0-9]{1,5}) ([a-z]+)\)")
_CRON = re.compile(r"cron\(([^()]*)\)")
_LEAST_HOURS = 4
_MOST_DAYS = 999
_LONGEST_MONTH = 31
_EITHER = frozenset("*?")

_NUMBER = r"[0-9]{1,4}"
_PLAIN = rf"(\*|{_NUMBER}(-{_NUMBER})?)(/{_NUMBER})?"
_MONTH = r"([0-9]{1,2}|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
_WEEKDAY = r"([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)"
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def _list_of(item: str, *alone: str) -> re.Pattern[str]:
    return re.compile("|".join([rf"(?:{item})(?:,(?:{item}))*", *alone]))


class _Field(NamedTuple):
    """One field: its name, what may stand in it, and its form."""

    name: str
    takes: str
    shape: re.Pattern[str]


_FIELDS: Final = (
    _Field("minutes", "0-59", _list_of(_PLAIN)),
    _Field("hours", "0-23", _list_of(_PLAIN)),
    _Field(
        "day-of-month",
        "1-31, L, LW or for example 15W, and in one of its months",
        _list_of(_PLAIN, r"\?", "LW?", "([1-9]|[12][0-9]|3[01])W"),
    ),
    _Field("month", "1-12 or JAN-DEC", _list_of(rf"(\*|{_MONTH}(-{_MONTH})?)(/{_NUMBER})?")),
    _Field(
        "day-of-week",
        "1-7 or SUN-SAT, where 1 is Sunday",
        _list_of(rf"(\*|{_WEEKDAY}(-{_WEEKDAY})?)(/[1-7])?|{_WEEKDAY}#[1-5]|{_WEEKDAY}?L", r"\?"),
    ),
    _Field("year", "*, as AWS has it", re.compile(r"\*")),
)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many days or hours after the last rotation: at midnight, or on the hour, as AWS does it.

    Exactly one of `days` and `hours` is not 0.
    """

    zone: ZoneInfo
    days: int = 0
    hours: int = 0

    @property
    def spacing(self) -> timedelta:
        return timedelta(days=self.days, hours=self.hours)

    def first(self, anchor: datetime, after: datetime, /) -> datetime:
        """Find the first time after a moment, counted from the anchor, which is not later."""
        passed = (after - anchor) // self.spacing
        # The start of the day or hour may lie a little before a full number of them has passed.
        times = (self._start(anchor, number) for number in (passed, passed + 1, passed + 2))
        return next(time for time in times if time > after)

    def _start(self, anchor: datetime, number: int) -> datetime:
        if self.days:
            day = wall_clock(anchor, self.zone).date() + timedelta(days=number * self.days)
            return first_moment(datetime.combine(day, time.min), self.zone)
        moment = anchor + number * self.spacing
        wall = wall_clock(moment, self.zone)
        on_the_hour = wall.replace(minute=0, second=0, microsecond=0)
        return moment - (wall - on_the_hour)


def parse_rate(text: str, zone: ZoneInfo) -> Rate:
    """Read `rate(10 days)`.

    Raises:
        InvalidParameterError: it is none that AWS takes.
    """
    found = _RATE.fullmatch(text)
    number, unit = (int(found[1]), found[2]) if found else (0, "")
    if unit not in ("hour", "hours", "day", "days"):
        raise InvalidParameterError(
            "is no rate of AWS's; write for example rate(4 hours) or rate(10 days), or an interval"
        )
    if unit.endswith("s") == (number == 1):
        proper = unit.removesuffix("s") if number == 1 else f"{unit}s"
        raise InvalidParameterError(f"has a wrong unit; write rate({number} {proper})")
    hours = number if unit.startswith("hour") else 24 * number
    if not _LEAST_HOURS <= hours <= 24 * _MOST_DAYS:
        raise InvalidParameterError(
            "is no rate of AWS's; write rate(4 hours) to rate(999 days), or an interval"
        )
    return Rate(zone, hours=number) if unit.startswith("hour") else Rate(zone, days=number)


def parse_aws_cron(text: str, zone: ZoneInfo) -> Cron:
    """Read `cron(minutes hours day-of-month month day-of-week year)`.

    Raises:
        InvalidParameterError: it is none; the message names the field.
    """
    found = _CRON.fullmatch(text)
    parts = found[1].upper().split() if found else []
    if len(parts) != len(_FIELDS):
        raise _wrong("is no cron() of AWS's")
    for number, (part, field) in enumerate(zip(parts, _FIELDS, strict=True)):
        if not field.shape.fullmatch(part):
            raise _wrong_field(number)
    minutes, hours, day, month, weekday, _ = parts
    if day not in _EITHER and weekday not in _EITHER:
        raise _wrong("restricts day-of-month and day-of-week; write ? for one of them")
    nearest_to = int(day[:-1]) if day.endswith("W") and day != "LW" else 0
    days = str(nearest_to) if nearest_to else day.replace("?", "*")
    fields = [minutes, hours, days, month, _weekdays(weekday)]
    wrong = wrong_field(fields)
    if wrong is not None:
        raise _wrong_field(wrong)
    if nearest_to:
        fields[2] = _around(nearest_to)
    return Cron(" ".join(fields), zone, nearest_to)


def _around(number: int) -> str:
    """Name the days of the month that the working day nearest to one may fall on."""
    return f"{max(1, number - 2)}-{min(_LONGEST_MONTH, number + 2)}"


def _weekdays(field: str) -> str:
    """Write AWS's days of the week, 1 to 7 from Sunday, as cron's, 0 to 6."""
    return ",".join(_weekday(item) for item in field.replace("?", "*").split(","))


def _weekday(item: str) -> str:
    if item == "L":
        return "6"
    days, slash, step = item.partition("/")
    days = re.sub("[A-Z]{3}", lambda found: str(_WEEKDAYS.index(found[0]) + 1), days)
    days = re.sub("^[1-7]|(?<=-)[1-7]", lambda found: str(int(found[0]) - 1), days)
    if slash and "-" not in days:
        days = f"{0 if days == '*' else days}-6"
    return days + slash + step


def _wrong_field(number: int) -> InvalidParameterError:
    name, takes, _ = _FIELDS[number]
    return _wrong(f"has a wrong {name}: it is {takes}")


def _wrong(what: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"{what}; write cron(minutes hours day-of-month month day-of-week year), "
        "for example cron(0 8 1 * ? *)"
    )
