"""The ports of the servers of the tests."""

import subprocess
import sys
from pathlib import Path

from servers.ports import free_port

TESTS = Path(__file__).parents[1]
ANOTHER = "from servers import ports; print(ports._is_claimed(int(input())))"


def test_a_port_is_chosen_once() -> None:
    chosen = [free_port() for _ in range(100)]

    assert len(set(chosen)) == 100


def test_another_run_of_tests_does_not_get_it_though_nobody_listens() -> None:
    port = free_port()

    answer = subprocess.run(
        [sys.executable, "-c", ANOTHER],
        check=True,
        cwd=TESTS,
        input=f"{port}\n",
        capture_output=True,
        text=True,
    )

    assert answer.stdout == "False\n"
