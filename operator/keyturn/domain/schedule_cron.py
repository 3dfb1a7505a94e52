"""Cron expressions of five fields, as CronJobs have them.

`cronsim` reads the fields and walks from match to match, with the meaning of Debian's cron: where
both the day of the month and the day of the week are restricted, either may match. It walks on the
wall clock here; `schedule_zone.first_moment` says when that time is, for every expression alike.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.schedule_zone import first_moment, wall_clock

FIVE_FIELDS = "write minute hour day-of-month month day-of-week, for example 0 3 * * 6"

_REACH = timedelta(days=366 * 50)
"""What did not match for fifty years never does: a leap day on a Sunday is forty away at most."""

_SATURDAY = 5
_DAY = timedelta(days=1)
_SOME_DAY = datetime.combine(date(2000, 1, 1), time())
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTH = r"([0-9]+|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
_WEEKDAY = r"([0-9]+|SUN|MON|TUE|WED|THU|FRI|SAT)"


class _Field(NamedTuple):
    """One field: its name, what may stand in it, and the form of one item of its list."""

    name: str
    takes: str
    item: str


_FIELDS = (
    _Field("minute", "0-59", r"(\*|[0-9]+(-[0-9]+)?)(/[0-9]+)?"),
    _Field("hour", "0-23", r"(\*|[0-9]+(-[0-9]+)?)(/[0-9]+)?"),
    _Field(
        "day-of-month",
        "1-31, L or LW, and in one of its months",
        r"(\*|[0-9]+(-[0-9]+)?)(/[0-9]+)?|LW?",
    ),
    _Field("month", "1-12 or JAN-DEC", rf"(\*|{_MONTH}(-{_MONTH})?)(/[0-9]+)?"),
    _Field(
        "day-of-week",
        "0-7 or SUN-SAT, a step only after * or a range",
        rf"(\*|{_WEEKDAY}-{_WEEKDAY})(/[0-9]+)?|{_WEEKDAY}(#[1-5])?|[0-7]L",
    ),
)
_SHAPES: Final = [re.compile(rf"(?:{field.item})(?:,(?:{field.item}))*") for field in _FIELDS]


@dataclass(frozen=True, slots=True)
class Cron:
    """The times at which a wall clock matches five fields.

    `nearest_weekday_to` narrows the days to one a month: the working day nearest to that day of
    the month; 0 if it is not asked for. `spacing` is the shortest time between two times of day.
    """

    fields: str
    zone: ZoneInfo
    nearest_weekday_to: int = 0

    @property
    def spacing(self) -> timedelta:
        cron = CronSim(self.fields, _SOME_DAY)
        minutes = sorted(60 * hour + minute for hour in cron.hours for minute in cron.minutes)
        next_day = minutes[0] + 24 * 60
        return timedelta(minutes=min(b - a for a, b in pairwise([*minutes, next_day])))

    def first(self, _anchor: datetime, after: datetime, /) -> datetime:
        """Find the first match after a moment, wherever it is counted from.

        Raises:
            InvalidParameterError: it never matches.
        """
        for wall in self._matches(wall_clock(after, self.zone)):
            moment = first_moment(wall, self.zone)
            if moment > after:
                return moment
        raise InvalidParameterError("never matches; write days that its months have")

    def _matches(self, after: datetime) -> Iterator[datetime]:
        cron, end = CronSim(self.fields, after), after + _REACH
        for wall in cron:
            if wall > end:
                return
            if self._takes(wall.date()):
                yield wall
            else:
                cron.dt = datetime.combine(wall.date(), time.max.replace(microsecond=0))

    def _takes(self, day: date) -> bool:
        asked = self.nearest_weekday_to
        return not asked or _nearest_weekday(day.replace(day=1), asked) == day


def parse_cron(text: str, zone: ZoneInfo) -> Cron:
    """Read a cron expression of five fields, or one of cron's names for some (`@daily`).

    Beside what CronJobs take: `L` and `LW` as day of the month are its last day and last working
    day; `6L` and `6#2` as day of the week are the month's last and second Saturday.

    Raises:
        InvalidParameterError: it is none; the message names the field.
    """
    parts = _MACROS.get(text.strip().lower(), text).upper().split()
    if len(parts) != len(_FIELDS):
        raise InvalidParameterError(f"has {len(parts)} fields; {FIVE_FIELDS}")
    for number, (part, shape) in enumerate(zip(parts, _SHAPES, strict=True)):
        if not shape.fullmatch(part):
            raise _wrong(number)
    wrong = wrong_field(parts)
    if wrong is not None:
        raise _wrong(wrong)
    day, weekday = parts[2], parts[4]
    if "*" not in (day, weekday) and ("L" in day or not set("#L").isdisjoint(weekday)):
        # Some such pairs never meet (LW on a Sunday), which only a search of decades would tell.
        raise InvalidParameterError("has L or # in one of its two days; write * as the other")
    return Cron(" ".join(parts), zone)


def wrong_field(parts: Sequence[str]) -> int | None:
    """Tell which of five fields is out of bounds, from 0, if one is; their form must be right.

    Out of bounds is also a day that none of the months has.
    """
    try:
        CronSim(" ".join(parts), _SOME_DAY)
    except CronSimError as error:
        wrong = str(error).removeprefix("Bad ")
        return next(number for number, field in enumerate(_FIELDS) if field.name == wrong)
    return None


def _wrong(number: int) -> InvalidParameterError:
    name, takes, _ = _FIELDS[number]
    return InvalidParameterError(f"has a wrong {name}: it is {takes}; {FIVE_FIELDS}")


def _nearest_weekday(first: date, number: int) -> date | None:
    """Find the working day nearest to a day of the month, in that month; None if it has no such."""
    day = first + _DAY * (number - 1)
    if day.month != first.month:
        return None
    if day.weekday() < _SATURDAY:
        return day
    is_saturday = day.weekday() == _SATURDAY
    near, far = (day - _DAY, day + 2 * _DAY) if is_saturday else (day + _DAY, day - 2 * _DAY)
    return near if near.month == first.month else far
