from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.schedule_zone import first_moment, wall_clock, zone_of


def test_every_zone_of_the_database_is_found() -> None:
    # What begins with a small letter are the machine's own zone and copies of the others.
    names = {name for name in available_timezones() if name[0].isupper()}

    assert {zone_of(name).key for name in names} == names
    assert len(names) > 400


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Olympus",
        "Europe",
        "Europe/berlin",
        "localtime",
        "zone.tab",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/../Europe/Berlin",
        "Europe/Berlin\n",
        "Europe/Berlin\0",
        "A" * 10_000,
    ],
)
def test_what_is_no_zone_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(InvalidParameterError, match="write for example Europe/Berlin or Etc/UTC"):
        zone_of(name)


@pytest.mark.parametrize(
    ("zone", "wall", "moment"),
    [
        ("Etc/UTC", "2026-03-29T02:30", "2026-03-29T02:30Z"),
        ("Asia/Kolkata", "2026-03-29T02:30", "2026-03-28T21:00Z"),
        # Put forward, from 02:00 to 03:00: what is skipped is when it is skipped.
        ("Europe/Berlin", "2026-03-29T01:59", "2026-03-29T00:59Z"),
        ("Europe/Berlin", "2026-03-29T02:00", "2026-03-29T01:00Z"),
        ("Europe/Berlin", "2026-03-29T02:59", "2026-03-29T01:00Z"),
        ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T01:00Z"),
        ("Europe/Berlin", "2026-03-29T03:01", "2026-03-29T01:01Z"),
        # Put back, from 03:00 to 02:00: what comes twice is its first coming.
        ("Europe/Berlin", "2026-10-25T02:00", "2026-10-25T00:00Z"),
        ("Europe/Berlin", "2026-10-25T02:59", "2026-10-25T00:59Z"),
        ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T02:00Z"),
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:00Z"),
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30Z"),
        ("America/New_York", "2026-11-01T02:00", "2026-11-01T07:00Z"),
        # By half an hour only.
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30Z"),
        ("Australia/Lord_Howe", "2026-10-04T02:30", "2026-10-03T15:30Z"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45Z"),
        ("Australia/Lord_Howe", "2026-04-05T02:00", "2026-04-04T15:30Z"),
        # At midnight, and once a whole day.
        ("Africa/Cairo", "2026-04-24T00:00", "2026-04-23T22:00Z"),
        ("Africa/Cairo", "2026-10-29T23:30", "2026-10-29T20:30Z"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00Z"),
    ],
)
def test_a_time_of_the_clock_has_one_moment(zone: str, wall: str, moment: str) -> None:
    assert first_moment(datetime.fromisoformat(wall), zone_of(zone)) == datetime.fromisoformat(
        moment
    )


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Etc/UTC"]
)
def test_the_moment_is_the_first_at_which_the_clock_shows_it_or_later(zone: str) -> None:
    where = ZoneInfo(zone)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(minutes=15 * n) for n in range(366 * 96)]
    latest = datetime.min.replace(tzinfo=UTC).replace(tzinfo=None)
    for moment in moments:
        wall = wall_clock(moment, where)
        if wall > latest:
            latest = wall
            assert first_moment(wall, where) == moment
        else:
            assert first_moment(wall, where) < moment
