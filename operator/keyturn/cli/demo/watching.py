"""Lines of a command that goes on, such as `kubectl get --watch`, and when each of them came."""

import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Self, cast

from keyturn.cli.demo.errors import StepFailedError

LINE_SECONDS = 30.0


class Watch:
    """Reads a command line by line, for the length of a `with`.

    A thread reads, so that a line has the time at which it came, whatever the demo did meanwhile.
    """

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str] | None) -> None:
        self._argv = argv
        self._environment = environment
        self._lines: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - the kubectl that was found or built
            self._argv,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._output = cast("IO[bytes]", self._process.stdout)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        self._output.close()

    def line(self, expected: str) -> tuple[float, bytes]:
        """Wait for the next line; return when it came, by the monotonic clock, and what it says.

        Raises:
            StepFailedError: none comes in time, or the command ended.
        """
        try:
            came, line = self._lines.get(timeout=LINE_SECONDS)
        except queue.Empty:
            raise StepFailedError(expected, f"nothing within {LINE_SECONDS:.0f} s") from None
        if not line:
            raise StepFailedError(expected, "the watch of the cluster ended")
        return came, line.rstrip(b"\n")

    def _read(self) -> None:
        for line in self._output:
            self._lines.put((time.monotonic(), line))
        self._lines.put((time.monotonic(), b""))
