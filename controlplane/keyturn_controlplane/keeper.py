"""The process that owns the processes of a control plane, and outlives whoever asked for them.

It is run as a script with nothing but the standard library, in a session of its own: a ^C in the
terminal is not for it. It does what single lines of JSON on its standard input say, answers each
with one line, and when the input or the parent ends, by whatever cause, stops its children in the
reverse order of their start and removes the folder. Should it be killed itself, the kernel kills
its children (PR_SET_PDEATHSIG). Once it is told to detach, it stays until SIGTERM.
"""

import argparse
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

GRACE_SECONDS = 5.0
"""How long a process may take to stop by itself at the end."""

_PR_SET_PDEATHSIG = 1


def _die_with_the_keeper(keeper: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:  # It died before the line above: nobody would kill us.
            os._exit(1)

    return prepare


class Keeper:
    """Starts, watches and stops processes by name."""

    def __init__(self) -> None:
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._prepare = _die_with_the_keeper(os.getpid())
        self.is_detached = False

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request says and return its result; an `error` if it could not be done."""
        try:
            return self._do(request)
        except OSError as error:
            return {"error": error.strerror or str(error)}

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "start":
                return self._start(request)
            case "exit_code":
                return {"exit_code": self._children[request["name"]].poll()}
            case "stop":
                return self._stop(request["name"], request["grace"])
            case "detach":
                self.is_detached = True
                return {}
            case other:
                return {"error": f"unknown request {other!r}"}

    def stop_all(self) -> None:
        """Stop what still runs, the last one first."""
        for name in reversed(list(self._children)):
            self._stop(name, GRACE_SECONDS)

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["name"]
        self._children.pop(name, None)  # A restarted process becomes the last one.
        with Path(request["log"]).open("ab") as output:
            self._children[name] = subprocess.Popen(
                request["argv"],
                env={**os.environ, **request["environ"]},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=self._prepare,  # noqa: PLW1509 -- this process has one thread
            )
        return {"pid": self._children[name].pid}

    def _stop(self, name: str, grace: float) -> dict[str, Any]:
        child = self._children[name]
        if child.poll() is None and grace > 0:
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(grace)
        if child.poll() is None:
            child.kill()
        return {"exit_code": child.wait()}


def _requests(parent: int) -> Iterator[dict[str, Any]]:
    """Yield requests until the input ends or the parent is dead.

    The parent is watched besides the input, as a fork of it may hold the pipe open for longer.
    """
    try:
        watched = os.pidfd_open(parent)
    except ProcessLookupError:
        return
    if os.getppid() != parent:
        return
    buffer = b""
    while True:
        ready, _, _ = select.select([sys.stdin.fileno(), watched], [], [])
        received = os.read(sys.stdin.fileno(), 65536) if sys.stdin.fileno() in ready else b""
        if not received:
            return
        *lines, buffer = (buffer + received).split(b"\n")
        yield from (json.loads(line) for line in lines)


def _on_termination(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit


def _wait_for_termination() -> None:
    # Blocked first: between a check and a pause a signal could be lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.sigwait({signal.SIGTERM})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--keep-folder", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _on_termination)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keeper = Keeper()
    try:
        for request in _requests(options.parent):
            print(json.dumps(keeper.answer(request)), flush=True)
            if keeper.is_detached:
                _wait_for_termination()
                break
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        keeper.stop_all()
        if not options.keep_folder:
            shutil.rmtree(options.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
