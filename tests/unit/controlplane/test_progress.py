"""Progress is shown where it can be, and told where it cannot."""

import io

from rich.console import Console

from keyturn_controlplane.progress import Reporter


def test_plain_lines_tell_the_start_and_the_end_of_a_step() -> None:
    said = io.StringIO()

    with Reporter(Console(file=said)).step("etcd (1 of 4)") as tick:
        tick()

    assert said.getvalue() == "etcd (1 of 4) ...\netcd (1 of 4): 0 s\n"


def test_a_terminal_shows_the_step_that_runs() -> None:
    said = io.StringIO()

    with Reporter(Console(file=said, force_terminal=True)).step("etcd (1 of 4)"):
        pass

    assert "etcd (1 of 4)" in said.getvalue()
    assert said.getvalue().endswith("etcd (1 of 4): 0 s\n")


def test_brackets_in_a_message_are_no_markup() -> None:
    said = io.StringIO()

    Reporter(Console(file=said)).say("[bold] is no style here")

    assert said.getvalue() == "[bold] is no style here\n"
