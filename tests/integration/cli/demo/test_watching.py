"""Lines of a command come one by one, each with its own time."""

import time

import pytest

from keyturn.cli.demo.errors import StepFailedError
from keyturn.cli.demo.watching import Watch


def test_a_line_has_the_time_at_which_it_came() -> None:
    with Watch(["sh", "-c", "echo one; sleep 0.3; echo two; exec sleep 60"], None) as watch:
        time.sleep(0.6)
        first, one = watch.line("a line")
        second, two = watch.line("another line")

    assert (one, two) == (b"one", b"two")
    assert second - first >= 0.1


def test_a_command_that_ended_is_told() -> None:
    with (
        Watch(["true"], None) as watch,
        pytest.raises(StepFailedError, match="the watch of the cluster ended"),
    ):
        watch.line("a line")
