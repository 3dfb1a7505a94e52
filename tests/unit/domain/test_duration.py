from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.duration import format_duration, parse_duration
from keyturn.domain.errors import InvalidParameterError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("14d", timedelta(days=14)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        (".5s", timedelta(milliseconds=500)),
        ("30m1h", timedelta(minutes=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("3µs", timedelta(microseconds=3)),
        ("3us", timedelta(microseconds=3)),
        ("1600ns", timedelta(microseconds=2)),
        ("0", timedelta(0)),
        ("0s", timedelta(0)),
    ],
)
def test_a_go_duration_with_days_is_read(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "14", "d", "-1h", "+1h", "1 h", "1h ", "1w", "1h,5m", "1e3s", "Infinity", "9" * 40 + "d"],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="write for example"):
        parse_duration(text)


def test_a_text_of_any_length_is_refused_at_once() -> None:
    with pytest.raises(InvalidParameterError):
        parse_duration("1h" * 1_000_000)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3650)))
def test_what_is_written_is_read_back(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


def test_a_negative_duration_is_not_written() -> None:
    with pytest.raises(InvalidParameterError):
        format_duration(timedelta(seconds=-1))
