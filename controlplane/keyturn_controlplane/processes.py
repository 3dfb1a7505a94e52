"""The processes of a control plane, as the process that asked for them sees them."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from keyturn_controlplane import keeper
from keyturn_controlplane.errors import NotReadyError, ProcessFailedError

LOG_LINES = 12
"""How many of the last lines of a log an error shows."""

READY_SECONDS = 90.0
"""How long a part may take to become ready, on the slowest machine that is worth waiting for."""

_POLL_SECONDS = 0.02
_STOP_SECONDS = 4 * keeper.GRACE_SECONDS


class Processes:
    """Starts and stops processes through a keeper, which stops them all when this process ends.

    The folder is the keeper's to remove, unless it is to be kept. Any thread may call.
    """

    def __init__(self, folder: Path, *, keep_folder: bool = False) -> None:
        self._logs = folder / "logs"
        self._logs.mkdir(mode=0o700, exist_ok=True)
        self._lock = threading.Lock()
        self._is_detached = False
        self._keeper = _start_keeper(folder, keep_folder=keep_folder)
        self._requests = cast("IO[bytes]", self._keeper.stdin)
        self._answers = cast("IO[bytes]", self._keeper.stdout)

    def start(
        self, name: str, argv: Sequence[str | Path], environ: Mapping[str, str] | None = None
    ) -> int:
        """Start a process under a name and return its id; it inherits nothing but PATH.

        Raises:
            ProcessFailedError: It could not even be started.
        """
        request = {"do": "start", "name": name, "argv": [str(argument) for argument in argv]}
        log = str(self.log_file(name))
        answer = self._ask(request | {"log": log, "environ": dict(environ or {})})
        if "error" in answer:
            raise ProcessFailedError(f"{name} does not start: {argv[0]}: {answer['error']}")
        return int(answer["pid"])

    def stop(self, name: str, *, grace: float = keeper.GRACE_SECONDS) -> None:
        """Stop a process: SIGTERM, and SIGKILL after `grace` seconds; at once if that is 0."""
        self._ask({"do": "stop", "name": name, "grace": grace})

    def check(self, name: str) -> None:
        """Pass if a process runs.

        Raises:
            ProcessFailedError: It ended by itself; the message shows the last lines of its log.
        """
        exit_code = self._ask({"do": "exit_code", "name": name})["exit_code"]
        if exit_code is not None:
            raise ProcessFailedError(
                f"{name} {_ending(exit_code)}; the last lines of its log:\n{self.log_tail(name)}"
            )

    def wait_for(
        self, name: str, is_ready: Callable[[], bool], *, tail_of: str | None = None
    ) -> None:
        """Wait until a process that runs is ready.

        Args:
            name: The process.
            is_ready: Tells whether it is, by asking it.
            tail_of: Whose log tells why it is not; its own if None.

        Raises:
            ProcessFailedError: It ended instead.
            NotReadyError: It did not become ready in time.
        """
        deadline = time.monotonic() + READY_SECONDS
        while not is_ready():
            self.check(name)
            if time.monotonic() > deadline:
                raise NotReadyError(
                    f"{name} is not ready after {READY_SECONDS:.0f} s; the last lines of its log:"
                    f"\n{self.log_tail(tail_of or name)}"
                )
            time.sleep(_POLL_SECONDS)

    def log_file(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def log_tail(self, name: str) -> str:
        try:
            lines = self.log_file(name).read_text(errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        return "\n".join(f"  {line}" for line in lines[-LOG_LINES:]) or "  (empty)"

    def detach(self) -> int:
        """Let the processes outlive this one.

        Returns:
            The id of the process that ends them all, and removes the folder, on SIGTERM.
        """
        self._ask({"do": "detach"})
        with self._lock:
            self._is_detached = True
            self._requests.close()
            self._answers.close()
        return self._keeper.pid

    def close(self) -> None:
        """Stop every process in order and wait until they, and the folder, are gone."""
        if self._is_detached:
            return
        with self._lock:
            with suppress(BrokenPipeError):  # The keeper may be gone with a request unread.
                self._requests.close()
            try:
                self._keeper.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._keeper.kill()  # The kernel kills its children then.
                self._keeper.wait()
            self._answers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            try:
                self._requests.write(json.dumps(request).encode() + b"\n")
                self._requests.flush()
                line = self._answers.readline()
            except (BrokenPipeError, ValueError):  # ValueError: it was closed.
                line = b""
        if not line:
            raise ProcessFailedError("the control plane is stopped: its keeper is gone")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _start_keeper(folder: Path, *, keep_folder: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", keeper.__file__]
    command += ["--parent", str(os.getpid()), "--folder", str(folder)]
    with (folder / "logs" / "keeper.log").open("ab") as log:
        return subprocess.Popen(
            [*command, *(["--keep-folder"] if keep_folder else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env={"PATH": os.defpath},
            start_new_session=True,
        )


def _ending(exit_code: int) -> str:
    return f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with {exit_code}"
