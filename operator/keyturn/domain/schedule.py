"""When a secret is rotated.

A schedule has *slots*, the times at which a rotation is due, and each slot means one rotation.
Everything here is counted from the *anchor*, the time of the last rotation, or the one at which
rotation was first asked for; so what was missed is made up for once, not once per slot.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, Protocol
from uuid import UUID

from keyturn.domain.duration import format_duration
from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.rotation import Overlap, RotationState, Timing
from keyturn.domain.schedule_aws import parse_aws_cron, parse_rate
from keyturn.domain.schedule_cron import FIVE_FIELDS, parse_cron
from keyturn.domain.schedule_zone import zone_of

SHORTEST_SPACING = timedelta(minutes=5)
"""Nothing is rotated more often: a rotation has to be over, and seen by all, before the next."""

LONGEST_INTERVAL = timedelta(days=3650)
MAX_SCHEDULE = 256
"""AWS's own limit of a schedule expression, in characters."""

_TRUSTED_AHEAD = timedelta(days=1)
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


class Schedule(Protocol):
    """Slots in time; `spacing` is the shortest time that can lie between two."""

    @property
    def spacing(self) -> timedelta: ...

    def first(self, anchor: datetime, after: datetime, /) -> datetime:
        """Find the first slot after `after`, which is not before the anchor; in UTC."""


@dataclass(frozen=True, slots=True)
class Every:
    """An interval after the last rotation."""

    spacing: timedelta

    def first(self, anchor: datetime, after: datetime, /) -> datetime:
        """Find the first slot after `after`, which is not before the anchor."""
        return anchor + ((after - anchor) // self.spacing + 1) * self.spacing


@lru_cache(maxsize=1024)
def parse_schedule(text: str, zone: str) -> Schedule:
    """Read a schedule: five fields of cron, or AWS's `rate(...)` or `cron(...)`.

    `zone` is the IANA name of the time zone whose wall clock it means.

    >>> monday = parse_schedule("0 3 * * MON", "Europe/Berlin")
    >>> monday.first(_BEGINNING, _BEGINNING).isoformat()
    '2000-01-03T02:00:00+00:00'

    Raises:
        InvalidParameterError: it is none, never matches or matches too often, or the zone is
            unknown; the message continues a sentence that begins with the field.
    """
    where = zone_of(zone)
    if len(text) > MAX_SCHEDULE:
        raise InvalidParameterError(f"is longer than {MAX_SCHEDULE} characters; {FIVE_FIELDS}")
    _refuse_other_forms(text)
    if text.startswith("rate("):
        return parse_rate(text, where)
    cron = parse_aws_cron(text, where) if text.startswith("cron(") else parse_cron(text, where)
    cron.first(_BEGINNING, _BEGINNING)
    _refuse_too_often(cron.spacing)
    return cron


def _refuse_other_forms(text: str) -> None:
    """Refuse what other readers of cron take and this one does not, with what to write instead."""
    if text.startswith("@every"):
        raise InvalidParameterError("cannot be @every; write interval, for example 12h, instead")
    if "TZ=" in text:
        raise InvalidParameterError("cannot hold TZ=; write timeZone, for example Europe/Berlin")


def _refuse_too_often(spacing: timedelta) -> None:
    if spacing < SHORTEST_SPACING:
        raise InvalidParameterError(
            f"has times that are {format_duration(spacing)} apart; "
            f"write times that are at least {format_duration(SHORTEST_SPACING)} apart"
        )


def schedule_of(timing: Timing) -> Schedule | None:
    """Make the schedule of a secret; None if it is rotated on demand only.

    Raises:
        InvalidParameterError: as `parse_schedule`.
    """
    if timing.schedule:
        return parse_schedule(timing.schedule, timing.time_zone)
    return None if timing.interval is None else Every(timing.interval)


def next_due(
    timing: Timing, *, anchor: datetime, secret_id: UUID, now: datetime
) -> datetime | None:
    """Tell when the next rotation may begin: at once if that is past; None: never by itself.

    It is the first slot after the anchor, and the secret's share of the jitter. With a window it
    is the first such slot whose window is not over: a rotation begins in `slot .. slot + window`.

    The wall clock may be wrong. One that is ahead makes due what would have been due then, once.
    After it was put back the anchor may lie in the future: up to a day that is believed, so that
    no slot is rotated twice, and the next rotation is at most a day late. An anchor further ahead
    counts as now; the caller keeps what `settled` tells, or it would be now each time.

    Raises:
        InvalidParameterError: as `parse_schedule`.
    """
    schedule = schedule_of(timing)
    if schedule is None:
        return None
    anchor = settled_anchor(anchor, now)
    after = anchor if timing.window is None else max(anchor, now - timing.window)
    return schedule.first(anchor, after) + share_of_jitter(timing.jitter, secret_id)


def is_due(timing: Timing, *, anchor: datetime, secret_id: UUID, now: datetime) -> bool:
    """Tell whether a rotation may begin now; see `next_due`."""
    due = next_due(timing, anchor=anchor, secret_id=secret_id, now=now)
    return due is not None and due <= now


def settled_anchor(anchor: datetime, now: datetime) -> datetime:
    """Return the anchor that is to be kept: now, if it lies more than a day ahead.

    Such an anchor was written while the clock was wrong; nothing would be rotated until then.
    """
    return now if anchor - now > _TRUSTED_AHEAD else anchor


class Times(NamedTuple):
    """The times that are kept of a secret's rotations; see `RotationState`."""

    anchor: datetime
    retire_at: datetime | None


def settled(state: RotationState, overlap: Overlap | None, now: datetime) -> Times:
    """Return the times that are to be kept, where a clock that was ahead wrote others.

    The anchor is `settled_anchor`. The previous credential stays valid for the overlap from now on
    at most: it would hold up the schedule until a time that was never meant.
    """
    retire_at = state.retire_at
    if retire_at is not None and overlap is not None:
        retire_at = min(retire_at, now + overlap.longest)
    return Times(settled_anchor(state.anchor, now), retire_at)


def share_of_jitter(jitter: timedelta, secret_id: UUID) -> timedelta:
    """Tell by how much a secret's rotations come later than their slots, in whole seconds.

    It is the same each time, spread evenly over the secrets, and less than `jitter` if that is not
    0. Hashed, as not every kind of UUID is random.
    """
    spread = int.from_bytes(hashlib.sha256(secret_id.bytes).digest()[:8])
    return timedelta(seconds=(int(jitter.total_seconds()) * spread) >> 64)
