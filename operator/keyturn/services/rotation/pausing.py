"""How long to wait before something that failed is tried again."""

from datetime import datetime, timedelta
from secrets import randbelow

from keyturn.services.backoff import doubled

FIRST_RETRY, LAST_RETRY = 2.0, 900.0
"""Seconds before the first and the longest pause between two tries of a rotation."""

_JITTER = 0.25
_LONGEST = timedelta(seconds=LAST_RETRY * (1 + _JITTER))


def pause_after(failures: int) -> timedelta:
    """Tell how long to wait after so many failures: doubling, with jitter of a quarter."""
    seconds = doubled(FIRST_RETRY, failures - 1, LAST_RETRY)
    return timedelta(seconds=seconds * (1 + _JITTER * (randbelow(1000) / 500 - 1)))


def is_over(retry_at: datetime, now: datetime) -> bool:
    """Tell whether it may be tried again.

    A time that is further ahead than a pause can last was written by a clock that was wrong.
    """
    return retry_at <= now or retry_at - now > _LONGEST
