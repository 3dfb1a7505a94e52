"""The demo's output is for people at a terminal of any width, and for a file."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

from keyturn.cli.demo.screen import TABLE_WIDTH

ROOT = Path(__file__).parents[4]

SHOW_A_TABLE = """
from keyturn.cli.demo.screen import Screen

screen = Screen()
screen.step("The examples", "What they say.")
rows = [("login", "kubernetes.io/dockerconfigjson"), ("api", ""), ("no", 0)]
screen.table(("NAME", "TYPE"), rows)
screen.command("kubectl", "patch", "--patch={}")
screen.well("It is so.")
"""


def shown_at(width: int) -> str:
    """Run it at a terminal of a width, and read what that gets."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    process = start(theirs)
    os.close(theirs)
    seen = b""
    try:
        while read := os.read(ours, 65536):
            seen += read
    except OSError:
        pass  # So a terminal says that nobody has it open any more.
    os.close(ours)
    assert process.wait() == 0, seen
    return seen.decode().replace("\r\n", "\n")


def plain(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


def start(output: int) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join((str(ROOT / "operator"), str(ROOT / "controlplane")))
    return subprocess.Popen(
        [sys.executable, "-c", SHOW_A_TABLE],
        env={"PATH": os.defpath, "PYTHONPATH": paths, "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
    )


def test_a_wide_terminal_shows_a_table() -> None:
    assert "login   kubernetes.io/dockerconfigjson\n" in shown_at(TABLE_WIDTH)


def test_a_narrow_terminal_shows_a_list() -> None:
    shown = shown_at(TABLE_WIDTH - 1)

    assert "login\n  TYPE: kubernetes.io/dockerconfigjson\napi\n  TYPE: -\nno\n  TYPE: 0\n" in shown


def test_a_command_is_shown_as_a_shell_takes_it() -> None:
    assert "$ kubectl patch '--patch={}'\n" in plain(shown_at(TABLE_WIDTH))


def test_a_file_gets_plain_text(tmp_path: Path) -> None:
    file = tmp_path / "output"
    with file.open("wb") as opened:
        assert start(opened.fileno()).wait() == 0

    assert "\x1b" not in file.read_text()
    assert "login   kubernetes.io/dockerconfigjson\n" in file.read_text()
