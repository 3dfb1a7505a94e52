"""Commands of `keyturn`, each in a process of its own that is forked where all is loaded already.

To start Python and to load the code takes a command ten times as long as what it then does. What
a fork does not show, such as a terminal, a signal or the start itself, needs `Office.command`.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn, Self

import keyturn.bootstrap  # noqa: F401 - a command without an operator opens the store by it
from keyturn.cli.root import main

WITHIN = 60.0
"""Seconds for a command, or for the code to be loaded."""
MOST_BYTES = 1 << 17
"""The arguments and the environment of a command are fewer."""
STREAMS = 3


class ForkedCommands:
    """The process that forks, as long as the `with` lasts; one command runs at a time."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.settimeout(WITHIN)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env={"PATH": os.environ["PATH"]},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self._process.wait(WITHIN)

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdin: bytes
    ) -> subprocess.CompletedProcess[bytes]:
        streams = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr")]
        try:
            with os.fdopen(streams[0], "wb", closefd=False) as given:
                given.write(stdin)
            os.lseek(streams[0], 0, os.SEEK_SET)
            asked = json.dumps([[*arguments], {**environment}]).encode()
            socket.send_fds(self._ours, [asked], streams)
            code = int(self._ours.recv(MOST_BYTES))
            stdout, stderr = (_all_of(stream) for stream in streams[1:])
        finally:
            for stream in streams:
                os.close(stream)
        return subprocess.CompletedProcess([*arguments], code, stdout, stderr)


def _all_of(stream: int) -> bytes:
    with os.fdopen(stream, "rb", closefd=False) as written:
        written.seek(0)
        return written.read()


def _serve(asked: socket.socket) -> None:
    """Fork for each command that is asked for, and tell its exit code."""
    while True:
        message, streams, _, _ = socket.recv_fds(asked, MOST_BYTES, STREAMS)
        if not message:
            return
        child = os.fork()
        if child == 0:
            arguments, environment = json.loads(message)
            _become(arguments, environment, streams)
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        asked.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(arguments: list[str], environment: dict[str, str], streams: list[int]) -> NoReturn:
    """Be the command that was asked for, to its end."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(STREAMS, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    code = 1
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - as Python itself does at the end
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
