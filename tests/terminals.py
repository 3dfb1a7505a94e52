"""Commands at a terminal, as a person would type them."""

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

WITHIN = 60.0
"""Seconds for what a command does next, its start too."""


class Terminal:
    """A command at a terminal."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={"TERM": "xterm-256color", **environment},
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = b""

    def expect(self, text: bytes) -> None:
        until = time.monotonic() + WITHIN
        while text not in self.seen:
            assert time.monotonic() < until, self.seen
            self._read()

    def type(self, text: bytes) -> None:
        os.write(self._ours, text)

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def finish(self) -> int:
        until = time.monotonic() + WITHIN
        # Read meanwhile: a command that shows much waits until somebody has.
        while self._process.poll() is None:
            assert time.monotonic() < until, self.seen
            self._read()
        code = self._process.wait()
        while self._read():
            pass
        os.close(self._ours)
        return code

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], 0.2)[0]:
            return False
        try:
            read = os.read(self._ours, 65536)
        except OSError:
            return False
        self.seen += read
        return bool(read)
