"""Time zones, and what a wall clock's time means where clocks are put forward and back."""

import re
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from keyturn.domain.errors import InvalidParameterError

_NAME = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
"""Every name of the IANA database looks so, and no other file of its folder."""

_MAX_NAME = 64


def zone_of(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name.

    >>> zone_of("Europe/Berlin")
    zoneinfo.ZoneInfo(key='Europe/Berlin')

    Raises:
        InvalidParameterError: there is none of that name.
    """
    if len(name) <= _MAX_NAME and _NAME.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (KeyError, OSError, ValueError):
            pass  # not there, a folder, or no zone: the same to its author
    raise InvalidParameterError(
        "is no time zone of the IANA database; write for example Europe/Berlin or Etc/UTC"
    )


def wall_clock(moment: datetime, zone: ZoneInfo) -> datetime:
    """Tell what a clock on the wall shows at a moment; without a zone, as clocks are."""
    return moment.astimezone(zone).replace(tzinfo=None)


def first_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """Find the first moment, in UTC, at which the clock shows that time or a later one.

    So a time that comes twice means its first coming, and one that is skipped means the moment
    at which the clock skips it: each time of the clock has exactly one moment, and later times
    have no earlier moments. Debian's cron does the same for jobs of a fixed time.

    >>> first_moment(datetime(2026, 3, 29, 2, 30), zone_of("Europe/Berlin")).isoformat()
    '2026-03-29T01:00:00+00:00'
    """
    late = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if early >= late:
        return late
    # PEP 495: only in a gap the later reading comes first; the skip lies between the two.
    seconds = range(int((late - early).total_seconds()) + 1)
    skip = bisect_left(
        seconds, wall, key=lambda second: wall_clock(early + timedelta(seconds=second), zone)
    )
    return early + timedelta(seconds=skip)
