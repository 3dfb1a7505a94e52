"""AWS's rate() and cron(): what is read, and when it is due."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.schedule import parse_schedule

_START = datetime(2024, 1, 1, tzinfo=UTC)


def shown(text: str, zone: str, after: str, count: int) -> list[str]:
    """List the first slots after a moment of UTC, each counted from the one before, as UTC."""
    schedule, slot = parse_schedule(text, zone), datetime.fromisoformat(after)
    found = []
    for _ in range(count):
        slot = schedule.first(slot, slot)
        found.append(f"{slot:%Y-%m-%dT%H:%M}")
    return found


def refusal(text: str) -> str:
    with pytest.raises(InvalidParameterError) as caught:
        parse_schedule(text, "Etc/UTC")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        # of the pages of AWS
        ("cron(0 8 1 * ? *)", ["2026-02-01T08:00", "2026-03-01T08:00"]),
        ("cron(0 1 * 1/3 SUN *)", ["2026-01-04T01:00", "2026-01-11T01:00"]),
        ("cron(0 16 ? * 1#1 *)", ["2026-01-04T16:00", "2026-02-01T16:00"]),
        ("cron(0 0 L * ? *)", ["2026-01-31T00:00", "2026-02-28T00:00"]),
        ("cron(0 17 ? * MON-FRI *)", ["2026-01-01T17:00", "2026-01-02T17:00", "2026-01-05T17:00"]),
        ("cron(0 4/12 * * ? *)", ["2026-01-01T16:00", "2026-01-02T04:00"]),
        ("cron(0/15 9 ? * 2 *)", ["2026-01-05T09:00", "2026-01-05T09:15"]),
        # days of the week: 1 is Sunday
        ("cron(0 8 ? * 1 *)", ["2026-01-04T08:00"]),
        ("cron(0 8 ? * 7 *)", ["2026-01-03T08:00"]),
        ("cron(0 8 ? * L *)", ["2026-01-03T08:00"]),
        ("cron(0 8 ? * 6L *)", ["2026-01-30T08:00", "2026-02-27T08:00"]),
        ("cron(0 8 ? * FRIL *)", ["2026-01-30T08:00", "2026-02-27T08:00"]),
        ("cron(0 8 ? * 3#1,6#3 *)", ["2026-01-06T08:00", "2026-01-16T08:00", "2026-02-03T08:00"]),
        ("cron(0 8 ? * TUE#1 *)", ["2026-01-06T08:00", "2026-02-03T08:00"]),
        ("cron(0 8 ? * 2-4 *)", ["2026-01-05T08:00", "2026-01-06T08:00", "2026-01-07T08:00"]),
        ("cron(0 8 ? * sun,6-7 *)", ["2026-01-02T08:00", "2026-01-03T08:00", "2026-01-04T08:00"]),
        ("cron(0 8 ? * 2/2 *)", ["2026-01-02T08:00", "2026-01-05T08:00", "2026-01-07T08:00"]),
        ("cron(0 8 ? * */3 *)", ["2026-01-03T08:00", "2026-01-04T08:00", "2026-01-07T08:00"]),
        # the nearest working day, in the same month
        ("cron(0 8 15W * ? *)", ["2026-01-15T08:00", "2026-02-16T08:00", "2026-03-16T08:00"]),
        ("cron(0 8 1W 8 ? *)", ["2026-08-03T08:00", "2027-08-02T08:00", "2028-08-01T08:00"]),
        ("cron(0 8 31W * ? *)", ["2026-01-30T08:00", "2026-03-31T08:00", "2026-05-29T08:00"]),
        ("cron(0 8 29W 2 ? *)", ["2028-02-29T08:00", "2032-02-27T08:00"]),
        ("cron(0 8,20 LW * ? *)", ["2026-01-30T08:00", "2026-01-30T20:00", "2026-02-27T08:00"]),
    ],
)
def test_a_cron_of_awss_matches(text: str, first: list[str]) -> None:
    assert shown(text, "Etc/UTC", "2026-01-01T12:00Z", len(first)) == first


def test_a_cron_of_awss_means_the_time_zone() -> None:
    assert shown("cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-28T12:00Z", 2) == [
        "2026-03-29T01:00",
        "2026-03-30T00:30",
    ]


@pytest.mark.parametrize(
    ("text", "zone", "after", "first"),
    [
        ("rate(1 day)", "Etc/UTC", "2026-01-01T12:34Z", ["2026-01-02T00:00", "2026-01-03T00:00"]),
        ("rate(10 days)", "Etc/UTC", "2026-01-01T12:34Z", ["2026-01-11T00:00"]),
        ("rate(999 days)", "Etc/UTC", "2026-01-01T00:00Z", ["2028-09-26T00:00"]),
        ("rate(4 hours)", "Etc/UTC", "2026-01-01T12:34Z", ["2026-01-01T16:00", "2026-01-01T20:00"]),
        ("rate(30 hours)", "Etc/UTC", "2026-01-01T12:00Z", ["2026-01-02T18:00"]),
        # midnight, and the full hour, are those of the clock on the wall
        ("rate(1 day)", "Europe/Berlin", "2026-03-28T12:00Z", ["2026-03-28T23:00"]),
        (
            "rate(1 day)",
            "Africa/Cairo",
            "2026-04-22T23:00Z",
            ["2026-04-23T22:00", "2026-04-24T21:00"],
        ),
        ("rate(4 hours)", "Asia/Kolkata", "2026-01-01T12:34Z", ["2026-01-01T16:30"]),
    ],
)
def test_a_rate_begins_at_midnight_or_on_the_hour(
    text: str, zone: str, after: str, first: list[str]
) -> None:
    assert shown(text, zone, after, len(first)) == first


@given(
    st.one_of(
        st.integers(2, 999).map("rate({} days)".format),
        st.integers(4, 999).map("rate({} hours)".format),
    ),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]),
    st.timedeltas(timedelta(0), timedelta(days=1100)).map(lambda t: _START + t),
    st.timedeltas(timedelta(0), timedelta(days=5000)),
)
def test_a_rate_is_a_grid_that_begins_at_the_anchor(
    text: str, zone: str, anchor: datetime, passed: timedelta
) -> None:
    schedule = parse_schedule(text, zone)
    after = anchor + passed

    slot = schedule.first(anchor, after)

    assert slot > after
    # None is left out: but for an hour that the clock was put back, the one before is not later.
    assert slot - after <= schedule.spacing + timedelta(hours=1)
    before = slot - timedelta(seconds=1)
    if before > anchor:
        assert schedule.first(anchor, before) == slot


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("rate(1 days)", "has a wrong unit; write rate(1 day)"),
        ("rate(10 day)", "has a wrong unit; write rate(10 days)"),
        ("rate(5 hour)", "has a wrong unit; write rate(5 hours)"),
        ("rate(1 hour)", "write rate(4 hours) to rate(999 days), or an interval"),
        ("rate(3 hours)", "write rate(4 hours) to rate(999 days)"),
        ("rate(0 days)", "write rate(4 hours) to rate(999 days)"),
        ("rate(1000 days)", "write rate(4 hours) to rate(999 days)"),
        ("rate(23977 hours)", "write rate(4 hours) to rate(999 days)"),
        ("rate(5 minutes)", "write for example rate(4 hours) or rate(10 days), or an interval"),
        ("rate(-1 days)", "write for example rate(4 hours)"),
        ("rate(1.5 days)", "write for example rate(4 hours)"),
        ("rate( 10 days )", "write for example rate(4 hours)"),
        ("rate(10days)", "write for example rate(4 hours)"),
        ("rate(10 days", "write for example rate(4 hours)"),
        ("rate()", "write for example rate(4 hours)"),
        ("cron(0 8 1 * ?)", "is no cron() of AWS's; write cron(minutes hours day-of-month month"),
        ("cron(0 8 1 * ? *", "is no cron() of AWS's"),
        ("cron()", "is no cron() of AWS's"),
        ("cron(cron(0 8 1 * ? *))", "is no cron() of AWS's"),
        ("cron(60 8 1 * ? *)", "has a wrong minutes: it is 0-59"),
        ("cron(? 8 1 * ? *)", "has a wrong minutes"),
        ("cron(0 24 1 * ? *)", "has a wrong hours: it is 0-23"),
        ("cron(0 8 32 * ? *)", "has a wrong day-of-month: it is 1-31, L, LW or for example 15W"),
        ("cron(0 8 32W * ? *)", "has a wrong day-of-month"),
        ("cron(0 8 0W * ? *)", "has a wrong day-of-month"),
        ("cron(0 8 1W,15W * ? *)", "has a wrong day-of-month"),
        ("cron(0 8 31 2 ? *)", "and in one of its months"),
        ("cron(0 8 31W 4,6 ? *)", "and in one of its months"),
        ("cron(0 8 1 0 ? *)", "has a wrong month: it is 1-12 or JAN-DEC"),
        ("cron(0 8 ? * 0 *)", "has a wrong day-of-week: it is 1-7 or SUN-SAT, where 1 is Sunday"),
        ("cron(0 8 ? * 8 *)", "has a wrong day-of-week"),
        ("cron(0 8 ? * 7-1 *)", "has a wrong day-of-week"),
        ("cron(0 8 ? * 2#6 *)", "has a wrong day-of-week"),
        ("cron(0 8 ? * MON#1/2 *)", "has a wrong day-of-week"),
        ("cron(0 8 1 * 2 *)", "restricts day-of-month and day-of-week; write ? for one of them"),
        ("cron(0 8 1 * ? 2027)", "has a wrong year: it is *, as AWS has it"),
        ("cron(* 8 1 * ? *)", "has times that are 1m apart; write times that are at least 5m"),
    ],
)
def test_what_aws_would_not_take_is_refused_with_what_to_write(text: str, what: str) -> None:
    assert what in refusal(text)
    assert "write" in refusal(text)
