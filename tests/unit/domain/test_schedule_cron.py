"""Five-field cron: what is read, when it matches, and that it is what Debian's cron does."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from types import FrameType
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.schedule import Schedule, parse_schedule
from keyturn.domain.schedule_cron import Cron
from keyturn.domain.schedule_zone import first_moment, wall_clock

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Etc/UTC")


def slots(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    while True:
        after = schedule.first(after, after)
        yield after


def shown(text: str, zone: str, after: str, count: int) -> list[str]:
    """List the first slots after a moment of UTC, as UTC."""
    moments = slots(parse_schedule(text, zone), datetime.fromisoformat(after))
    return [f"{moment:%Y-%m-%dT%H:%M}" for moment in islice(moments, count)]


def refusal(text: str) -> str:
    with pytest.raises(InvalidParameterError) as caught:
        parse_schedule(text, "Etc/UTC")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("0 3 * * 6", ["2026-01-03T03:00", "2026-01-10T03:00"]),
        ("0 3 * * SAT", ["2026-01-03T03:00", "2026-01-10T03:00"]),
        ("0 3 * * sat", ["2026-01-03T03:00", "2026-01-10T03:00"]),
        ("0 3 * * 0", ["2026-01-04T03:00", "2026-01-11T03:00"]),
        ("0 3 * * 7", ["2026-01-04T03:00", "2026-01-11T03:00"]),
        ("0 3 * * 5-7", ["2026-01-02T03:00", "2026-01-03T03:00", "2026-01-04T03:00"]),
        ("0 3 * * MON-FRI/2", ["2026-01-02T03:00", "2026-01-05T03:00"]),
        ("15,45 8-9 * * *", ["2026-01-01T08:15", "2026-01-01T08:45", "2026-01-01T09:15"]),
        ("*/20 */8 * * *", ["2026-01-01T00:20", "2026-01-01T00:40", "2026-01-01T08:00"]),
        ("5/25 12 * * *", ["2026-01-01T12:05", "2026-01-01T12:30", "2026-01-01T12:55"]),
        ("0 0 1 JAN,jul *", ["2026-07-01T00:00", "2027-01-01T00:00"]),
        ("0 0 31 * *", ["2026-01-31T00:00", "2026-03-31T00:00", "2026-05-31T00:00"]),
        # Both days restricted: either. One begins with a star: both.
        ("0 0 13 * 5", ["2026-01-02T00:00", "2026-01-09T00:00", "2026-01-13T00:00"]),
        ("0 0 */31 * 0", ["2026-02-01T00:00", "2026-03-01T00:00", "2026-11-01T00:00"]),
        # Leap days, also those that have to fall on a Sunday, and where a leap year is left out.
        ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 0 29 2 */7", ["2032-02-29T00:00", "2060-02-29T00:00"]),
        # Days that are counted from the end of the month, and within it.
        ("0 0 L * *", ["2026-01-31T00:00", "2026-02-28T00:00", "2026-03-31T00:00"]),
        ("0 0 LW * *", ["2026-01-30T00:00", "2026-02-27T00:00"]),
        ("0 0 * * 6L", ["2026-01-31T00:00", "2026-02-28T00:00"]),
        ("0 0 * * 6#2", ["2026-01-10T00:00", "2026-02-14T00:00"]),
        ("0 0 * * TUE#1", ["2026-01-06T00:00", "2026-02-03T00:00"]),
        ("@hourly", ["2026-01-01T01:00", "2026-01-01T02:00"]),
        ("@daily", ["2026-01-02T00:00", "2026-01-03T00:00"]),
        ("@midnight", ["2026-01-02T00:00", "2026-01-03T00:00"]),
        ("@weekly", ["2026-01-04T00:00", "2026-01-11T00:00"]),
        ("@monthly", ["2026-02-01T00:00", "2026-03-01T00:00"]),
        ("@yearly", ["2027-01-01T00:00", "2028-01-01T00:00"]),
        ("@annually", ["2027-01-01T00:00", "2028-01-01T00:00"]),
    ],
)
def test_five_fields_match(text: str, first: list[str]) -> None:
    assert shown(text, "Etc/UTC", "2026-01-01T00:00Z", len(first)) == first


def test_the_leap_day_that_is_left_out_in_2100_is_waited_over() -> None:
    assert shown("0 0 29 2 */7", "Etc/UTC", "2090-01-01T00:00Z", 1) == ["2128-02-29T00:00"]


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        # Skipped: when the clock has been put forward, once, and then as ever.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-27T12:00Z",
            ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"],
        ),
        # All that is skipped, and what comes just then, is one slot.
        (
            "*/15 1-3 29 3 *",
            "Europe/Berlin",
            "2026-03-29T00:30Z",
            ["2026-03-29T00:45", "2026-03-29T01:00", "2026-03-29T01:15"],
        ),
        # Twice: the first time only.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00Z",
            ["2026-10-25T00:30", "2026-10-26T01:30"],
        ),
        (
            "*/30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00Z",
            ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-26T01:00"],
        ),
        # Asked in the repeated hour: its times have been.
        ("45 2 * * *", "Europe/Berlin", "2026-10-25T01:20Z", ["2026-10-26T01:45"]),
        ("0 * * * *", "Europe/Berlin", "2026-10-25T00:00Z", ["2026-10-25T02:00"]),
        ("30 2 8 3 *", "America/New_York", "2026-03-01T00:00Z", ["2026-03-08T07:00"]),
        ("30 1 1 11 *", "America/New_York", "2026-10-31T00:00Z", ["2026-11-01T05:30"]),
        ("15 2 4 10 *", "Australia/Lord_Howe", "2026-10-01T00:00Z", ["2026-10-03T15:30"]),
        ("45 1 5 4 *", "Australia/Lord_Howe", "2026-04-01T00:00Z", ["2026-04-04T14:45"]),
        ("@daily", "Africa/Cairo", "2026-04-22T22:00Z", ["2026-04-23T22:00", "2026-04-24T21:00"]),
    ],
)
def test_each_time_of_the_clock_is_one_slot(
    text: str, zone: str, after: str, expected: list[str]
) -> None:
    assert shown(text, zone, after, len(expected)) == expected


fixed_times = st.builds(
    "{} {} {} {} {}".format,
    st.integers(0, 59),
    st.integers(0, 23),
    st.sampled_from(["*", "*/3", "1-15", "29"]),
    st.sampled_from(["*", "3,10", "2", "4,11"]),
    st.sampled_from(["*", "0", "SAT,SUN", "1-5"]),
)
some_zones = st.sampled_from(ZONES)
some_moments = st.timedeltas(timedelta(0), timedelta(days=6000)).map(
    lambda passed: datetime(2024, 1, 1, tzinfo=UTC) + passed
)


@given(fixed_times, some_zones, some_moments)
def test_fixed_times_are_those_of_debians_cron(text: str, zone: str, after: datetime) -> None:
    # cronsim's own arithmetic of zones, which ours does not use, was checked against Debian's cron.
    # It forgets which of two equal times it was asked after: what is not later it says again.
    theirs = CronSim(text, after.astimezone(ZoneInfo(zone)))
    expected = (moment.astimezone(UTC) for moment in theirs if moment > after)

    ours = slots(parse_schedule(text, zone), after)
    assert list(islice(ours, 5)) == list(islice(expected, 5))


many_times = st.builds(
    "{} {} {} * {}".format,
    st.sampled_from(["*/5", "*/30", "7,37", "0", "0-50/10"]),
    st.sampled_from(["*", "*/2", "0-3", "1,2,3,23"]),
    st.sampled_from(["*", "*/2", "28-31"]),
    st.sampled_from(["*", "SUN", "*/2"]),
)
around_changes = st.sampled_from(
    [
        "2026-03-29T01:00Z",
        "2026-10-25T01:00Z",
        "2026-03-08T07:00Z",
        "2026-11-01T06:00Z",
        "2026-10-03T15:30Z",
        "2026-04-04T15:00Z",
        "2028-02-29T00:00Z",
    ]
).flatmap(
    lambda change: st.timedeltas(timedelta(hours=-6), timedelta(hours=6)).map(
        lambda offset: datetime.fromisoformat(change) + offset
    )
)


@given(many_times, some_zones, around_changes)
def test_the_slots_are_the_moments_of_all_matching_times(
    text: str, zone: str, after: datetime
) -> None:
    where = ZoneInfo(zone)
    minute = after.replace(second=0, microsecond=0)
    cron = CronSim(text, after)
    walls = [wall_clock(minute, where) + timedelta(minutes=n) for n in range(-120, 12 * 60)]
    walls = [wall.replace(second=0) for wall in walls]
    matching = [
        wall
        for wall in walls
        if wall.minute in cron.minutes and wall.hour in cron.hours and cron.match_day(wall.date())
    ]
    end = first_moment(walls[-1], where)
    expected = sorted({first_moment(wall, where) for wall in matching})

    found = []
    for slot in slots(parse_schedule(text, zone), after):
        if slot > end:
            break
        found.append(slot)

    assert found == [moment for moment in expected if after < moment <= end]
    assert all(a < b for a, b in pairwise(found))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "has 0 fields; write minute hour day-of-month month day-of-week, for example"),
        ("0 3 * *", "has 4 fields; write minute hour"),
        ("0 0 3 * * 6", "has 6 fields; write minute hour"),
        ("@reboot", "has 1 fields; write minute hour"),
        ("@every 12h", "cannot be @every; write interval, for example 12h, instead"),
        ("TZ=Europe/Berlin 0 3 * * *", "cannot hold TZ=; write timeZone, for example"),
        ("CRON_TZ=Europe/Berlin 0 3 * * *", "cannot hold TZ=; write timeZone"),
        ("60 3 * * *", "has a wrong minute: it is 0-59"),
        ("-1 3 * * *", "has a wrong minute"),
        ("*/0 3 * * *", "has a wrong minute"),
        ("1,,2 3 * * *", "has a wrong minute"),
        ("٣ 3 * * *", "has a wrong minute"),
        ("? 3 * * *", "has a wrong minute"),
        ("0 24 * * *", "has a wrong hour: it is 0-23"),
        ("0 9-5 * * *", "has a wrong hour"),
        ("0 3 0 * *", "has a wrong day-of-month: it is 1-31, L or LW, and in one of its months"),
        ("0 3 32 * *", "has a wrong day-of-month"),
        ("0 3 ? * *", "has a wrong day-of-month"),
        ("0 3 15W * *", "has a wrong day-of-month"),
        ("0 3 * 13 *", "has a wrong month: it is 1-12 or JAN-DEC"),
        ("0 3 * FEBRUARY *", "has a wrong month"),
        ("0 3 * * 8", "has a wrong day-of-week: it is 0-7 or SUN-SAT, a step only after"),
        ("0 3 * * FRI-SUN", "has a wrong day-of-week"),
        ("0 3 * * 1/2", "has a wrong day-of-week"),
        ("0 3 * * MON#6", "has a wrong day-of-week"),
        ("0 3 */31 * MON#5", "has L or # in one of its two days; write * as the other"),
        ("0 3 1 * 5L", "has L or # in one of its two days"),
        ("0 3 LW * */7", "has L or # in one of its two days"),
        ("0 3 1,L * MON", "has L or # in one of its two days"),
        # never
        ("0 3 30 2 *", "has a wrong day-of-month: it is 1-31, L or LW, and in one of its months"),
        ("0 3 31 4,6,9,11 *", "and in one of its months"),
        # too often
        ("* * * * *", "has times that are 1m apart; write times that are at least 5m apart"),
        ("*/4 * * * *", "has times that are 4m apart"),
        ("*/7 * * * *", "has times that are 4m apart"),
        ("0,4 3 * * *", "has times that are 4m apart"),
        ("1,58 0,23 * * *", "has times that are 3m apart"),
        ("0 3 * * *" + "," * 300, "is longer than 256 characters; write minute hour"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(text: str, what: str) -> None:
    assert what in refusal(text)
    assert "write" in refusal(text)


@pytest.mark.parametrize(
    ("text", "spacing"),
    [
        ("*/5 * * * *", timedelta(minutes=5)),
        ("0,50 * * * *", timedelta(minutes=10)),
        ("58 0,23 * * *", timedelta(hours=1)),
        ("0 9-17 * * *", timedelta(hours=1)),
        ("0 3 1 * *", timedelta(days=1)),
    ],
)
def test_the_spacing_is_the_shortest_between_two_times_of_day(
    text: str, spacing: timedelta
) -> None:
    assert parse_schedule(text, "Etc/UTC").spacing == spacing


def test_a_search_that_finds_nothing_ends() -> None:
    never = Cron("0 0 */31 * MON#5", ZoneInfo("Etc/UTC"))
    now = datetime(2026, 1, 1, tzinfo=UTC)

    with pytest.raises(InvalidParameterError, match="never matches; write days that its months"):
        never.first(now, now)


# Work, counted as calls of functions and not in seconds, so that no slow machine fails it. So many
# take about 4 ms.

MOST_CALLS = 30_000

HOSTILE = [
    "0 0 * 2 MON#5",
    "59 23 29 2 */7",
    "0 0 */31 * MON#5",
    "0 0 LW * */7",
    "0 0 31 2,4 *",
    "cron(0 0 31W 2 ? *)",
    "cron(0 0 29W 2 ? *)",
    "cron(0/5 * 29W 2 ? *)",
    "cron(0 0 ? 2 SUN#5 *)",
    "rate(99999999999999999999 days)",
    "*/5," * 50 + "* * * * *",
    "0-59/5 0-23/1 1-31/1 1-12/1 0-7/1",
    "0 0 * * " + ",".join(f"{day}#{week}" for day in range(7) for week in range(1, 6)),
    "9" * 250 + " 0 * * *",
    "1/" * 120 + "1 0 * * *",
    "1-" * 120 + "1 0 * * *",
    "(" * 250,
    "cron(" + " " * 245 + ")",
    "cron(" * 50,
    "a" * 100_000,
    "* " * 100_000,
]


def calls_of(text: str) -> int:
    """Parse a schedule and find its next slot; count the calls of functions that it took."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        schedule = parse_schedule.__wrapped__(text, "Europe/Berlin")
        now = datetime(2073, 1, 1, tzinfo=UTC)
        schedule.first(now, now)
    except InvalidParameterError:
        pass
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:24])
def test_a_hostile_schedule_costs_little(text: str) -> None:
    assert calls_of(text) < MOST_CALLS


pieces = st.sampled_from([*"*?LW#/-,() 0159", "29", "31", "MON", "FEB", "cron(", "rate(", "@", " "])


@given(st.lists(pieces, max_size=60).map("".join))
def test_whatever_is_written_is_read_or_refused_at_little_cost(text: str) -> None:
    assert calls_of(text) < MOST_CALLS


fields = st.tuples(
    st.sampled_from(["0", "*/5", "7,22", "59"]),
    st.sampled_from(["0", "*", "23", "1-5/2"]),
    st.sampled_from(["*", "29", "30", "31", "*/31", "L", "LW", "29-31"]),
    st.sampled_from(["*", "2", "FEB", "2,4", "12"]),
    st.sampled_from(["*", "0", "*/7", "MON#5", "5L", "SUN#1,TUE#5", "1-5"]),
)


@given(fields.map(" ".join))
def test_whatever_has_five_fields_is_read_or_refused_at_little_cost(text: str) -> None:
    assert calls_of(text) < MOST_CALLS
