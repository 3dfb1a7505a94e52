"""Parse the times of a ManagedSecret: durations between bounds, and schedules."""

from datetime import timedelta
from typing import NamedTuple

from keyturn.domain.duration import format_duration, parse_duration
from keyturn.domain.errors import InvalidError, InvalidSpecError
from keyturn.domain.rotation import Timing
from keyturn.domain.schedule import Schedule, schedule_of
from keyturn.domain.schedule_zone import zone_of
from keyturn.kube.resource_checks import invalid


class Bounds(NamedTuple):
    """The shortest and the longest that a duration may be."""

    least: timedelta
    most: timedelta


def bounded(field: str, text: str, bounds: Bounds) -> timedelta:
    """Parse a duration.

    Raises:
        InvalidSpecError: it is none, or out of bounds; the message names the field.
    """
    try:
        duration = parse_duration(text)
    except InvalidError as error:
        raise InvalidSpecError(f"{field} {error}") from error
    if not bounds.least <= duration <= bounds.most:
        least, most = (format_duration(bound) for bound in bounds)
        raise invalid(field, f"is out of bounds; write {least} to {most}")
    return duration


def scheduled(field: str, timing: Timing) -> Schedule | None:
    """Parse the schedule of the object that a field names; None where it has none.

    Raises:
        InvalidSpecError: its `timeZone` or `schedule` is none.
    """
    try:
        zone_of(timing.time_zone)
    except InvalidError as error:
        raise InvalidSpecError(f"{field}.timeZone {error}") from error
    try:
        return schedule_of(timing)
    except InvalidError as error:
        raise InvalidSpecError(f"{field}.schedule {error}") from error
