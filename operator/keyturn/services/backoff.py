"""How long to wait after failures."""

from datetime import timedelta
from typing import TypeVar

_Pause = TypeVar("_Pause", float, timedelta)

_DOUBLINGS = 16
"""So often at most, that a count of any size gives a number."""


def doubled(first: _Pause, count: int, longest: _Pause) -> _Pause:
    """Double the first pause `count` times; give no more than the longest.

    >>> doubled(2.0, 3, 900.0)
    16.0
    >>> doubled(timedelta(seconds=15), 10, timedelta(minutes=10))
    datetime.timedelta(seconds=600)
    """
    return min(first * 2.0 ** min(count, _DOUBLINGS), longest)
