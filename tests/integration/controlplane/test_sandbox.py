"""A node's processes, mounts and cgroups end with its sandbox, whatever ends that one."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keyturn_controlplane import sandbox
from keyturn_controlplane.errors import ProcessFailedError
from keyturn_controlplane.processes import Processes

CONTROLPLANE = Path(__file__).parents[3] / "controlplane"

# What a kubelet and its runtime leave to others: a process that is nobody's child any more, in a
# cgroup of its own, with a mount.
COMMAND = """
mount -t tmpfs tmpfs /var/lib/secrets
echo value > /var/lib/secrets/file
for cgroup in $(awk '$3 ~ /^cgroup2?$/ {print $2}' /proc/self/mounts); do
    mkdir "$cgroup/NAME/pod"
done
(setsid sh -c 'sleep 300; : NAME' &)
sleep 0.2
echo ready
sleep 300
"""

PARENT = """
import sys
from pathlib import Path
from keyturn_controlplane.processes import Processes

processes = Processes(Path(sys.argv[1]))
processes.start("node", sys.argv[2:], {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
print("started", flush=True)
input()
"""


@pytest.fixture
def name() -> str:
    """The name of the cgroup, which the processes have in their arguments, too."""
    return f"keyturn-test-{secrets.token_hex(4)}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / "lib" / "secrets").mkdir(parents=True)
    return folder


@pytest.fixture
def processes(folder: Path) -> Iterator[Processes]:
    with Processes(folder) as processes:
        yield processes


def sandbox_of(folder: Path, name: str, script: str = COMMAND) -> list[str]:
    """Write a plan, and return the command line that runs it."""
    command = {
        "name": "kubelet",
        "argv": ["/bin/sh", "-c", script.replace("NAME", name)],
        "environ": {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        "log": str(folder / "logs" / "kubelet.log"),
        "after": None,
    }
    plan = {"cgroup": name, "mounts": [[str(folder / "lib"), "/var/lib"]], "commands": [command]}
    (folder / "plan.json").write_text(json.dumps(plan))
    return [sys.executable, "-I", "-S", sandbox.__file__, "--plan", str(folder / "plan.json")]


def start(processes: Processes, argv: list[str]) -> int:
    return processes.start("node", argv, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})


def started(folder: Path) -> None:
    log = folder / "logs" / "kubelet.log"
    eventually(lambda: log.exists() and "ready" in log.read_text())


def test_a_node_sees_folders_of_its_own_and_its_mounts_are_seen_by_nobody_else(
    processes: Processes, folder: Path, name: str
) -> None:
    start(processes, sandbox_of(folder, name))
    started(folder)

    assert list((folder / "lib" / "secrets").iterdir()) == []
    assert str(folder) not in Path("/proc/self/mounts").read_text()
    assert not Path("/var/lib/secrets").exists()
    assert len(running(name)) >= 2
    assert cgroups(name) != []


def test_at_its_end_no_process_and_no_cgroup_is_left(folder: Path, name: str) -> None:
    with Processes(folder) as processes:
        start(processes, sandbox_of(folder, name))
        started(folder)
        begin = time.monotonic()
        processes.stop("node", grace=120)
        assert time.monotonic() - begin < 60  # Nobody waited for one that ignores SIGTERM.

    assert (running(name), cgroups(name)) == ([], [])
    assert not folder.exists()


@pytest.mark.parametrize("who", ["the sandbox", "the keeper", "the parent"])
def test_whoever_is_killed_no_process_is_left(folder: Path, name: str, who: str) -> None:
    argv = [sys.executable, "-c", PARENT, str(folder), *sandbox_of(folder, name)]
    with subprocess.Popen(
        argv,
        env={"PYTHONPATH": str(CONTROLPLANE), "PATH": os.defpath},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        (folder / "logs").mkdir(exist_ok=True)
        started(folder)
        (supervisor,) = (pid for pid in sandboxes(folder) if parent_of(pid) in keepers(folder))
        victims = {
            "the sandbox": supervisor,
            "the keeper": parent_of(supervisor),
            "the parent": parent.pid,
        }

        os.kill(victims[who], signal.SIGKILL)

        eventually(lambda: running(name) == [])
        if who != "the sandbox":  # Nobody else knows of them; they are empty.
            eventually(lambda: cgroups(name) == [])
        parent.kill()
    for cgroup in cgroups(name):
        sandbox._remove_cgroup(cgroup)


def test_a_part_that_ends_is_named_with_the_last_of_its_log(
    processes: Processes, folder: Path, name: str
) -> None:
    start(processes, sandbox_of(folder, name, "echo no runtime; exit 3"))

    with pytest.raises(ProcessFailedError, match=r"kubelet ended with 3\n\s+no runtime"):
        eventually(lambda: processes.check("node"))


def test_a_part_that_cannot_be_started_is_told(
    processes: Processes, folder: Path, name: str
) -> None:
    argv = sandbox_of(folder, name)
    plan = (folder / "plan.json").read_text()
    (folder / "plan.json").write_text(plan.replace('"/bin/sh"', '"/no/kubelet"'))

    start(processes, argv)

    with pytest.raises(ProcessFailedError, match="No such file or directory: '/no/kubelet'"):
        eventually(lambda: processes.check("node"))


def test_a_part_waits_for_the_file_that_it_needs(
    processes: Processes, folder: Path, name: str
) -> None:
    argv = sandbox_of(folder, name)
    plan = json.loads((folder / "plan.json").read_text())
    (first,) = plan["commands"]
    log = folder / "logs" / "second.log"
    second = {**first, "after": "/var/lib/socket", "log": str(log)}
    (folder / "plan.json").write_text(json.dumps({**plan, "commands": [first, second]}))
    start(processes, argv)
    started(folder)
    assert not log.exists()

    (folder / "lib" / "socket").touch()

    eventually(log.exists)


def running(name: str) -> list[int]:
    """The processes whose arguments hold a name."""
    return [pid for pid, command in commands() if name in command and "plan.json" not in command]


def sandboxes(folder: Path) -> list[int]:
    return [pid for pid, command in commands() if f"{folder}/plan.json" in command]


def keepers(folder: Path) -> list[int]:
    return [pid for pid, command in commands() if f"--folder\0{folder}" in command]


def commands() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            yield int(entry.name), (entry / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue


def parent_of(process_id: int) -> int:
    return int(Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[1])


def cgroups(name: str) -> list[Path]:
    return [root / name for root in sandbox._cgroup_roots() if (root / name).exists()]


def eventually(holds: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
