"""When the next rotation may begin: anchors, jitter, windows, and clocks that are wrong."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.rotation import Timing
from keyturn.domain.schedule import (
    is_due,
    next_due,
    parse_schedule,
    schedule_of,
    settled_anchor,
    share_of_jitter,
)

ID = UUID("6b1f0a52-1d1c-4b0a-9f7e-6c7f2a6d9b11")
NIGHTLY = Timing(schedule="0 3 * * *")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}Z")


def due(timing: Timing, anchor: str, now: str) -> str:
    found = next_due(timing, anchor=at(anchor), secret_id=ID, now=at(now))
    return "never" if found is None else f"{found:%Y-%m-%dT%H:%M}"


def test_without_a_schedule_nothing_is_due_by_itself() -> None:
    assert schedule_of(Timing()) is None
    assert due(Timing(), "2020-01-01T00:00", "2026-01-01T00:00") == "never"
    assert not is_due(
        Timing(), anchor=at("2020-01-01T00:00"), secret_id=ID, now=at("2026-01-01T00:00")
    )


@pytest.mark.parametrize(
    ("anchor", "now", "expected"),
    [
        ("2026-01-01T12:00", "2026-01-01T12:00", "2026-01-02T03:00"),
        ("2026-01-01T12:00", "2026-01-02T02:59", "2026-01-02T03:00"),
        ("2026-01-01T12:00", "2026-01-02T03:00", "2026-01-02T03:00"),
        # the slot in which it was rotated is over, to the second
        ("2026-01-02T03:00", "2026-01-02T03:00", "2026-01-03T03:00"),
        ("2026-01-02T03:04", "2026-01-02T03:05", "2026-01-03T03:00"),
        # missed, once and many times: due at once, and after that the next
        ("2026-01-01T12:00", "2026-01-02T15:00", "2026-01-02T03:00"),
        ("2026-01-01T12:00", "2026-03-01T15:00", "2026-01-02T03:00"),
        ("2026-03-01T15:00", "2026-03-01T15:01", "2026-03-02T03:00"),
    ],
)
def test_the_first_slot_after_the_anchor_is_due(anchor: str, now: str, expected: str) -> None:
    assert due(NIGHTLY, anchor, now) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-01-02T02:59", "2026-01-02T03:00"),
        ("2026-01-02T03:00", "2026-01-02T03:00"),
        ("2026-01-02T04:59", "2026-01-02T03:00"),
        ("2026-01-02T05:00", "2026-01-03T03:00"),
        ("2026-01-02T15:00", "2026-01-03T03:00"),
        ("2026-02-10T04:00", "2026-02-10T03:00"),
        ("2026-02-10T06:00", "2026-02-11T03:00"),
    ],
)
def test_with_a_window_what_was_missed_waits_for_the_next_one(now: str, expected: str) -> None:
    timing = Timing(schedule="0 3 * * *", window=2 * HOUR)

    assert due(timing, "2026-01-01T12:00", now) == expected


@pytest.mark.parametrize(
    ("window", "anchor", "now", "expected"),
    [
        (None, "2026-01-01T12:00", "2026-01-01T12:00", "2026-01-31T12:00"),
        (None, "2026-01-01T12:00", "2026-09-01T00:00", "2026-01-31T12:00"),
        (2 * HOUR, "2026-01-01T12:00", "2026-01-31T13:59", "2026-01-31T12:00"),
        (2 * HOUR, "2026-01-01T12:00", "2026-01-31T14:00", "2026-03-02T12:00"),
        (2 * HOUR, "2026-01-01T12:00", "2026-03-02T13:00", "2026-03-02T12:00"),
    ],
)
def test_an_interval_counts_from_the_anchor(
    window: timedelta | None, anchor: str, now: str, expected: str
) -> None:
    assert due(Timing(interval=30 * DAY, window=window), anchor, now) == expected


def test_a_rate_of_awss_counts_from_the_day_of_the_anchor() -> None:
    timing = Timing(schedule="rate(10 days)", window=2 * HOUR)

    assert due(timing, "2026-01-01T12:00", "2026-01-01T12:00") == "2026-01-11T00:00"
    assert due(timing, "2026-01-01T12:00", "2026-01-11T03:00") == "2026-01-21T00:00"


def test_a_wrong_schedule_is_an_error_here_too() -> None:
    with pytest.raises(InvalidParameterError, match="has 1 fields; write minute hour"):
        due(Timing(schedule="nightly"), "2026-01-01T12:00", "2026-01-01T12:00")


# Jitter


def test_jitter_is_a_secrets_own_and_the_same_each_time() -> None:
    timing = Timing(schedule="0 3 * * *", jitter=HOUR)
    share = share_of_jitter(HOUR, ID)

    assert timedelta(0) < share < HOUR
    for day in range(1, 28):
        anchor = at(f"2026-01-{day:02}T12:00")
        found = next_due(timing, anchor=anchor, secret_id=ID, now=anchor)
        assert found == datetime(2026, 1, day + 1, 3, tzinfo=UTC) + share


def test_jitter_spreads_the_secrets_evenly() -> None:
    shares = [share_of_jitter(HOUR, uuid5(ID, str(n))) for n in range(6000)]
    # Ids that count up, or hold a time, are spread as well as random ones.
    counted = [share_of_jitter(HOUR, UUID(int=n)) for n in range(6000)]

    for found in (shares, counted):
        in_each_minute = [0] * 60
        for share in found:
            in_each_minute[int(share.total_seconds()) // 60] += 1
        assert 50 < min(in_each_minute) <= max(in_each_minute) < 160


def test_without_jitter_there_is_none() -> None:
    assert share_of_jitter(timedelta(0), ID) == timedelta(0)


@given(
    st.timedeltas(timedelta(0), 2 * HOUR),
    st.uuids(),
    st.timedeltas(timedelta(0), 40 * DAY),
)
def test_with_jitter_a_rotation_begins_within_its_window(
    jitter: timedelta, secret_id: UUID, passed: timedelta
) -> None:
    timing = Timing(schedule="0 3 * * *", window=2 * HOUR, jitter=jitter)
    anchor = at("2026-01-01T12:00")

    found = next_due(timing, anchor=anchor, secret_id=secret_id, now=anchor + passed)

    assert found is not None
    slot = found - share_of_jitter(jitter, secret_id)
    assert (slot.hour, slot.minute) == (3, 0)
    assert slot <= found < slot + 2 * HOUR
    assert anchor + passed < slot + 2 * HOUR


# Clocks that are wrong


@pytest.mark.parametrize(
    ("anchor", "kept"),
    [
        ("2025-12-31T00:00", "2025-12-31T00:00"),
        ("2026-01-01T12:00", "2026-01-01T12:00"),
        ("2026-01-02T12:00", "2026-01-02T12:00"),
        ("2026-01-02T12:01", "2026-01-01T12:00"),
        ("2036-01-01T12:00", "2026-01-01T12:00"),
    ],
)
def test_an_anchor_far_ahead_of_the_clock_is_set_to_now(anchor: str, kept: str) -> None:
    assert settled_anchor(at(anchor), at("2026-01-01T12:00")) == at(kept)


def test_a_clock_that_was_put_back_after_a_rotation_does_not_repeat_its_slot() -> None:
    # Rotated at 03:00:05; then the clock says 02:01 again.
    assert due(NIGHTLY, "2026-01-02T03:00:05", "2026-01-02T02:01") == "2026-01-03T03:00"


def test_a_clock_that_was_years_ahead_does_not_end_all_rotation() -> None:
    assert due(NIGHTLY, "2036-01-01T12:00", "2026-01-01T12:00") == "2026-01-02T03:00"
    assert due(Timing(interval=DAY), "2036-01-01T12:00", "2026-01-01T12:00") == "2026-01-02T12:00"


def slots(timing: Timing, after: datetime) -> Iterator[datetime]:
    schedule = parse_schedule(timing.schedule, timing.time_zone)
    while True:
        after = schedule.first(after, after)
        yield after


class Secret:
    """A secret that is rotated as the engine would do it, and what it remembers of that."""

    def __init__(self, timing: Timing, anchor: datetime) -> None:
        self.timing, self.anchor = timing, anchor
        self.rotated: list[datetime] = []

    def look(self, now: datetime) -> None:
        due_at = next_due(self.timing, anchor=self.anchor, secret_id=ID, now=now)
        assert due_at is not None
        self.anchor = settled_anchor(self.anchor, now)
        if is_due(self.timing, anchor=self.anchor, secret_id=ID, now=now):
            self.rotated.append(due_at - share_of_jitter(self.timing.jitter, ID))
            self.anchor = now


timings = st.builds(
    Timing,
    schedule=st.sampled_from(["0 3 * * *", "0 */2 * * *", "30 2 * * *", "cron(30 1 * * ? *)"]),
    time_zone=st.sampled_from(["Etc/UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
    window=st.sampled_from([None, HOUR]),
    jitter=st.sampled_from([timedelta(0), timedelta(minutes=20)]),
)
changes_of_clocks = st.sampled_from(
    [at("2026-03-29T00:00"), at("2026-10-24T00:00"), at("2026-04-04T10:00"), at("2028-02-28T12:00")]
)


@settings(max_examples=30)
@given(timings, changes_of_clocks)
def test_who_looks_often_enough_rotates_once_in_each_slot(timing: Timing, start: datetime) -> None:
    secret = Secret(timing, start)

    for minute in range(0, 3 * 24 * 60, 30):
        secret.look(start + timedelta(minutes=minute))

    assert secret.rotated == list(
        takewhile(lambda slot: slot <= secret.anchor, slots(timing, start))
    )


@given(timings, st.lists(st.timedeltas(-20 * HOUR, 20 * HOUR), max_size=40))
def test_a_clock_that_jumps_back_and_ahead_rotates_no_slot_twice(
    timing: Timing, jumps: list[timedelta]
) -> None:
    # The clock wanders, but is never a day behind the latest time that it has shown.
    now = latest = at("2026-03-28T12:00")
    secret = Secret(timing, now)

    for jump in jumps:
        now = max(now + jump, latest - 23 * HOUR)
        latest = max(latest, now)
        secret.look(now)

    assert len(secret.rotated) == len(set(secret.rotated))
    assert sorted(secret.rotated) == secret.rotated


@settings(max_examples=30)
@given(timings, st.integers(-3650, 3650))
def test_after_a_jump_of_years_there_is_no_storm_and_no_end(timing: Timing, days: int) -> None:
    start = at("2026-03-28T12:00")
    secret = Secret(timing, start)

    secret.look(start + days * DAY)
    secret.look(start + days * DAY)
    assert len(secret.rotated) <= 1

    # Put right again: from then on each slot is rotated once, as ever.
    secret.rotated.clear()
    for minute in range(0, 3 * 24 * 60, 30):
        secret.look(start + timedelta(minutes=minute))
    assert [slot for slot in secret.rotated if slot > start + DAY] == list(
        takewhile(lambda slot: slot <= secret.anchor, slots(timing, start + DAY))
    )
    assert len(secret.rotated) == len(set(secret.rotated))
