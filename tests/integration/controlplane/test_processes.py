"""Processes end with whoever asked for them, whatever ends that one."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from keyturn_controlplane.errors import ProcessFailedError
from keyturn_controlplane.processes import Processes

CONTROLPLANE = Path(__file__).parents[3] / "controlplane"

PARENT = """
import sys
from pathlib import Path
from keyturn_controlplane.processes import Processes

processes = Processes(Path(sys.argv[1]))
process_id = processes.start("sleeper", ["sleep", "60"])
print(process_id, flush=True)
input()
"""


DETACHING_PARENT = """
import sys
from pathlib import Path
from keyturn_controlplane.processes import Processes

with Processes(Path(sys.argv[1])) as processes:
    process_id = processes.start("sleeper", ["sleep", "60"])
    print(processes.detach(), process_id, flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


@pytest.fixture
def processes(folder: Path) -> Iterator[Processes]:
    with Processes(folder) as processes:
        yield processes


@pytest.fixture
def parent(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that started a sleeper and waits."""
    with running(PARENT, folder) as process:
        yield process


@pytest.fixture
def forked_parent(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The same, with a fork that has all its files open and lives on."""
    script = PARENT.replace("print", "import os, time\nos.fork() or time.sleep(60)\nprint")
    with running(script, folder) as process:
        yield process


@contextmanager
def running(script: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", script, folder],
        env={"PYTHONPATH": str(CONTROLPLANE), "PATH": os.defpath},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_a_started_process_runs(processes: Processes) -> None:
    process_id = processes.start("sleeper", ["sleep", "60"])

    assert runs(process_id)


def test_a_closed_keeper_leaves_no_process_and_no_folder(folder: Path) -> None:
    with Processes(folder) as processes:
        process_id = processes.start("sleeper", ["sleep", "60"])

    assert not runs(process_id)
    assert not folder.exists()


def test_a_folder_to_keep_stays(folder: Path) -> None:
    with Processes(folder, keep_folder=True) as processes:
        processes.start("speaker", ["echo", "kept"])
        eventually(lambda: "kept" in processes.log_tail("speaker"))

    assert (folder / "logs" / "speaker.log").read_text() == "kept\n"


def test_the_last_started_is_stopped_first(folder: Path, tmp_path: Path) -> None:
    order = tmp_path / "order"
    script = 'trap "echo $0 >> $1; exit" TERM; echo ready; while :; do sleep 0.01; done'
    with Processes(folder) as processes:
        processes.start("first", ["sh", "-c", script, "first", order])
        processes.start("second", ["sh", "-c", script, "second", order])
        eventually(lambda: "ready" in processes.log_tail("first"))
        eventually(lambda: "ready" in processes.log_tail("second"))

    assert order.read_text().split() == ["second", "first"]


def test_a_process_gets_the_environment_that_is_stated_and_no_other(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMBIENT", "yes")

    processes.start("speaker", ["env"], {"STATED": "yes"})

    eventually(lambda: "STATED=yes" in processes.log_tail("speaker"))
    assert "AMBIENT" not in processes.log_tail("speaker")


def test_detached_processes_outlive_their_parent_until_sigterm(folder: Path) -> None:
    with running(DETACHING_PARENT, folder) as parent:
        keeper, sleeper = said_process_ids(parent)
        exit_code = parent.wait(60)
    outlived = runs(keeper) and runs(sleeper)

    os.kill(keeper, signal.SIGTERM)

    assert exit_code == 0
    assert outlived
    eventually(lambda: not runs(keeper) and not runs(sleeper))
    assert not folder.exists()


def test_a_parent_that_is_killed_leaves_no_process_and_no_folder(
    parent: subprocess.Popen[str], folder: Path
) -> None:
    process_id = said_process_id(parent)

    parent.kill()

    eventually(lambda: not runs(process_id))
    eventually(lambda: not folder.exists())


def test_a_parent_whose_fork_holds_the_pipe_is_missed_all_the_same(
    forked_parent: subprocess.Popen[str],
) -> None:
    process_id = said_process_id(forked_parent)

    forked_parent.kill()

    eventually(lambda: not runs(process_id))


def test_an_interrupt_of_the_terminal_does_not_reach_the_processes(
    processes: Processes,
) -> None:
    process_id = processes.start("sleeper", ["sleep", "60"])

    assert os.getsid(process_id) != os.getsid(0)
    assert os.getpgid(process_id) != os.getpgid(0)


def test_a_killed_keeper_takes_its_processes_along(processes: Processes) -> None:
    process_id = processes.start("sleeper", ["sleep", "60"])

    os.kill(parent_of(process_id), signal.SIGKILL)

    eventually(lambda: not runs(process_id))
    with pytest.raises(ProcessFailedError, match="keeper is gone"):
        processes.check("sleeper")


def test_a_process_outlives_the_thread_that_started_it(processes: Processes) -> None:
    started: list[int] = []
    thread = threading.Thread(
        target=lambda: started.append(processes.start("sleeper", ["sleep", "60"]))
    )
    thread.start()
    thread.join()

    time.sleep(0.1)

    assert runs(started[0])


def test_a_process_that_ended_is_named_with_the_last_of_its_log(processes: Processes) -> None:
    processes.start("etcd", ["sh", "-c", "echo the disk is on fire; exit 3"])
    eventually(lambda: "fire" in processes.log_tail("etcd"))

    with pytest.raises(ProcessFailedError, match=r"etcd ended with 3(.|\n)*the disk is on fire"):
        eventually(lambda: processes.check("etcd"))


def test_a_process_that_was_killed_is_named_with_the_signal(processes: Processes) -> None:
    process_id = processes.start("etcd", ["sleep", "60"])

    os.kill(process_id, signal.SIGKILL)

    with pytest.raises(ProcessFailedError, match="etcd was killed by signal 9"):
        eventually(lambda: processes.check("etcd"))


def test_a_file_that_is_no_binary_is_named(processes: Processes, tmp_path: Path) -> None:
    broken = tmp_path / "kube-apiserver"
    broken.write_bytes(b"\x7fELF, but not really")
    broken.chmod(0o755)

    with pytest.raises(ProcessFailedError, match=r"kube-apiserver does not start: .*format error"):
        processes.start("kube-apiserver", [broken])


def test_a_missing_binary_is_named(processes: Processes, tmp_path: Path) -> None:
    with pytest.raises(ProcessFailedError, match=r"etcd does not start: .*No such file"):
        processes.start("etcd", [tmp_path / "etcd"])


def test_a_process_that_ignores_the_request_to_stop_is_killed(processes: Processes) -> None:
    script = 'trap "" TERM; echo ready; while :; do sleep 0.01; done'
    process_id = processes.start("stubborn", ["sh", "-c", script])
    eventually(lambda: "ready" in processes.log_tail("stubborn"))

    processes.stop("stubborn", grace=0.1)

    assert not runs(process_id)


def test_a_stopped_process_can_be_started_again(processes: Processes) -> None:
    processes.start("sleeper", ["sleep", "60"])
    processes.stop("sleeper")

    process_id = processes.start("sleeper", ["sleep", "60"])

    assert runs(process_id)


def said_process_id(process: subprocess.Popen[str]) -> int:
    return said_process_ids(process)[0]


def said_process_ids(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    return [int(word) for word in process.stdout.readline().split()]


def runs(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def parent_of(process_id: int) -> int:
    return int(Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[1])


def eventually(holds: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
