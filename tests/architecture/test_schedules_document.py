"""What docs/schedules.md says of schedules is so: its tables are computed anew."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from documents import code, document
from keyturn.domain.duration import parse_duration
from keyturn.domain.errors import InvalidParameterError, InvalidSpecError
from keyturn.domain.managed_secret import DataKey, Generate
from keyturn.domain.rotation import RotationSpec, Timing
from keyturn.domain.schedule import SHORTEST_SPACING, next_due, parse_schedule
from keyturn.kube.resource_schema import Rotation
from keyturn.kube.rotations import rotation_of
from keyturn.services.calendar import LONGEST_SLEEP

PAGE = document("docs/schedules.md")
SHOWN = "%Y-%m-%d %H:%M"


def at(text: str) -> datetime:
    return datetime.strptime(text, SHOWN).replace(tzinfo=UTC)


def next_times(schedule: str, zone: str, after: datetime) -> str:
    first = parse_schedule(schedule, zone).first(after, after)
    second = parse_schedule(schedule, zone).first(first, first)
    return f"{first:{SHOWN}}, {second:{SHOWN}}"


@pytest.mark.parametrize(
    "row", [*PAGE.rows("## At times of the day"), *PAGE.rows("## As in AWS")], ids=lambda r: r[0]
)
def test_each_example_is_due_at_the_times_that_are_told(row: list[str]) -> None:
    schedule, _, told = row

    assert next_times(code(schedule), "Etc/UTC", at("2026-01-01 00:00")) == told


@pytest.mark.parametrize("row", PAGE.rows("## When the clocks change"), ids=" ".join)
def test_the_clocks_change_as_it_is_told(row: list[str]) -> None:
    schedule, zone, after, told = row

    assert next_times(code(schedule), code(zone), at(after)) == told


@pytest.mark.parametrize("row", PAGE.rows("## What was missed"), ids=" ".join)
def test_what_was_missed_is_made_up_for_as_it_is_told(row: list[str]) -> None:
    written, now, told = row
    window = None if written == "none" else parse_duration(code(written))
    timing = Timing(schedule="0 3 * * *", window=window)

    due = next_due(timing, anchor=at("2026-01-01 12:00"), secret_id=UUID(int=1), now=at(now))

    assert due is not None
    assert f"{due:{SHOWN}}{', so at once' if due <= at(now) else ''}" == told


def rotation(**written: str) -> RotationSpec:
    """Parse a rotation; `overlap.max` means the field `max` of `overlap`."""
    password = DataKey("password", Generate("password"), ("password",))
    nested = {
        name: {inner: text} if inner else text
        for field, text in written.items()
        for name, _, inner in [field.partition(".")]
    }
    return rotation_of(Rotation.model_validate(nested), [password])


@pytest.mark.parametrize("row", PAGE.rows("## Bounds"), ids=lambda r: r[0])
def test_the_bounds_are_those_of_the_parser(row: list[str]) -> None:
    field, least, most = (code(cell) for cell in row)
    others = {} if field in ("interval", "overlap.max") else {"interval": "60d"}

    for bound in (least, most):
        assert isinstance(rotation(**others, **{field: bound}), RotationSpec)
    with pytest.raises(
        InvalidSpecError, match=f"{field} is out of bounds; write {least} to {most}"
    ):
        rotation(**others, **{field: f"{most}1s"})


REFUSED = PAGE.rows("## What is refused")


@pytest.mark.parametrize("row", [row for row in REFUSED if len(row) == 2], ids=" ".join)
def test_what_others_take_is_refused_and_what_to_write_is_taken(row: list[str]) -> None:
    refused, written = (re.findall("`(.+?)`", cell) for cell in row)

    with pytest.raises(InvalidParameterError):
        parse_schedule(refused[0], "Etc/UTC")
    fields = dict(field.split(": ", maxsplit=1) for field in written)
    assert fields.keys() <= {"schedule", "interval", "timeZone"}
    assert isinstance(rotation(**fields), RotationSpec)


@pytest.mark.parametrize("row", [row for row in REFUSED if len(row) == 3], ids=" ".join)
def test_what_the_operator_refuses_says_what_is_told(row: list[str]) -> None:
    schedule, zone, told = row

    with pytest.raises(InvalidParameterError) as caught:
        parse_schedule(code(schedule), code(zone))
    assert str(caught.value).startswith(told)


def test_the_clock_is_looked_at_as_often_as_it_is_told() -> None:
    assert f"at least every {LONGEST_SLEEP:.0f} seconds" in " ".join(PAGE.text.split())


def test_the_shortest_time_between_two_rotations_is_told() -> None:
    assert timedelta(minutes=5) == SHORTEST_SPACING
    assert "more often than once in five minutes" in " ".join(PAGE.text.split())
