"""The process that owns the processes of a node, and all that those make.

A kubelet and containerd leave much behind: shims that outlive them, containers, mounts, sockets
and cgroups. So they run in a PID namespace and a mount namespace of their own, under an init that
this script is, too. When the init ends, by whatever cause, the kernel kills every process of its
namespace, and the mounts go with the last of them; then only empty cgroups are left to remove.

::

    keeper ── sandbox ── init (PID 1 of the namespace) ─┬─ containerd
              removes the cgroups    reaps              ├─ kubelet
                                                        └─ shims ── containers

It is run as a script with nothing but the standard library, and reads what to run from a file.
The network and its ports are the host's.
"""

import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

_CLONE_NEWNS = 0x00020000
_CLONE_NEWPID = 0x20000000
_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.02
_CGROUP_SECONDS = 5.0
_SHOWN_LINES = 12

_libc = ctypes.CDLL(None, use_errno=True)


class Stopped(BaseException):
    """The keeper asked for the end, or is gone."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", type=Path, required=True)
    plan = json.loads(parser.parse_args().plan.read_bytes())
    cgroups = [root / plan["cgroup"] for root in _cgroup_roots()]
    try:
        _end_with_the_keeper(os.getppid())
        for cgroup in cgroups:
            cgroup.mkdir(exist_ok=True)
        _isolate()
        return _run_init(plan)
    except Stopped:
        return 0
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for cgroup in cgroups:
            _remove_cgroup(cgroup)


def _end_with_the_keeper(keeper: int) -> None:
    """Have SIGTERM sent at its end, not the SIGKILL that it asked for: cgroups would stay."""
    signal.signal(signal.SIGTERM, _on_termination)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != keeper:
        raise Stopped


def _isolate() -> None:
    if _libc.unshare(_CLONE_NEWPID | _CLONE_NEWNS) != 0:
        error = os.strerror(ctypes.get_errno())
        sys.exit(f"PID and mount namespaces cannot be made here: {error}")


def _run_init(plan: dict[str, Any]) -> int:
    """Run the init, which is the first child after `_isolate`, until it ends; return its code."""
    init = os.fork()
    if init == 0:
        _init(plan)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(init, 0)[1])
    except Stopped:
        os.kill(init, signal.SIGKILL)
        os.waitpid(init, 0)  # The kernel reports its end when every other process is gone.
        raise


def _init(plan: dict[str, Any]) -> NoReturn:
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _mount(plan["mounts"])
        code = _supervise(plan["commands"])
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"the node's init: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def _mount(mounts: Sequence[tuple[str, str]]) -> None:
    """Give the namespace its own /proc, and its own folders in the place of the host's.

    Nothing of it is seen outside. Within, mounts are shared, as a kubelet expects them.
    """
    commands = [["--make-rslave", "/"], ["-t", "proc", "proc", "/proc"]]
    commands += [["--bind", source, target] for source, target in mounts]
    for arguments in [*commands, ["--make-rshared", "/"]]:
        subprocess.run(["mount", *arguments], check=True)


def _supervise(commands: Sequence[dict[str, Any]]) -> int:
    """Start the commands in order, and reap until one of them ends, which is the end of all.

    The first of them needs no file.
    """
    started: dict[int, dict[str, Any]] = {}
    waiting = list(commands)
    while True:
        if waiting and _may_start(waiting[0]):
            command = waiting.pop(0)
            started[_start(command)] = command
        elif waiting:
            time.sleep(_POLL_SECONDS)
        process_id, status = os.waitpid(-1, os.WNOHANG if waiting else 0)
        if process_id in started:
            return _tell_the_end(started[process_id], os.waitstatus_to_exitcode(status))


def _may_start(command: dict[str, Any]) -> bool:
    """Tell whether the file is there that a command needs, such as the socket of the one before."""
    return command["after"] is None or Path(command["after"]).exists()


def _start(command: dict[str, Any]) -> int:
    argv, log = command["argv"], command["log"]
    appending = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, appending, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(argv[0], argv, command["environ"], file_actions=files)


def _tell_the_end(command: dict[str, Any], exit_code: int) -> int:
    lines = Path(command["log"]).read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
    print(
        f"{command['name']} ended with {exit_code}", *lines, sep="\n", file=sys.stderr, flush=True
    )
    return 1


def _cgroup_roots() -> Iterator[Path]:
    """Yield where each hierarchy of cgroups is mounted: one of version 2, or many of version 1."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, folder, kind, *_ = line.split()
        if kind in {"cgroup", "cgroup2"}:
            yield Path(folder)


def _remove_cgroup(cgroup: Path) -> None:
    """Remove a cgroup and those in it, as soon as the kernel has forgotten their processes."""
    deadline = time.monotonic() + _CGROUP_SECONDS
    while cgroup.exists() and time.monotonic() < deadline:
        for folder, _, _ in os.walk(cgroup, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
        time.sleep(_POLL_SECONDS)


def _on_termination(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
