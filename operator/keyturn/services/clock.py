"""Time as an argument."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Tells the time now, in UTC."""


def timestamp(moment: datetime) -> str:
    """Write a moment as Kubernetes does: RFC 3339, in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def earliest(moments: Iterable[datetime | None]) -> datetime | None:
    """Give the first of some moments; None if there is none."""
    return min((moment for moment in moments if moment is not None), default=None)
