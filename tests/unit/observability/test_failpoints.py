import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keyturn.domain.errors import InvalidParameterError
from keyturn.observability import failpoints

PASSES = """
import sys
from keyturn.observability import failpoints

failpoints.arm(sys.argv[1])
for name in sys.argv[2:]:
    failpoints.reach(name)
    print(name, flush=True)
"""


def passing(armed: str, *names: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PASSES, armed, *names]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("armed", "passed"),
    [("b", ["a"]), ("a@2", ["a", "b"]), ("none,b@1", ["a"])],
)
def test_a_process_dies_at_the_place_that_is_armed(armed: str, passed: list[str]) -> None:
    with passing(armed, "a", "b", "a") as process:
        told, _ = process.communicate(timeout=30)

    assert process.returncode == -signal.SIGKILL
    assert told.split() == passed


def test_a_process_stands_still_where_it_is_told_to_until_it_is_continued() -> None:
    with passing("b@2:stop", "a", "b", "b", "c") as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(2)] == ["a", "b"]
        while not is_stopped(process.pid):
            pass
        process.send_signal(signal.SIGCONT)
        told, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert told.split() == ["b", "c"]


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


def test_nothing_happens_where_nothing_is_armed() -> None:
    with passing("", "a", "b") as process:
        told, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert told.split() == ["a", "b"]


@pytest.mark.parametrize("text", ["a@", "a@x", "a@0", "a:kill", "a b", "@1", ":stop"])
def test_what_cannot_be_armed_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="KEYTURN_FAILPOINT"):
        failpoints.arm(text)
