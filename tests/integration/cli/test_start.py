"""A start that finds the store of its predecessor still open: it waits, is alive and not ready."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keyturn import bootstrap
from keyturn.bootstrap.starting import Starting
from keyturn.domain.errors import StoreInUseError
from keyturn.settings import Settings
from keyturn.store.sqlite import SQLiteStore

HOLDER = """
import asyncio, sys
from pathlib import Path
from keyturn.store.sqlite import SQLiteStore

async def hold() -> None:
    await SQLiteStore.open(Path(sys.argv[1]))
    print("held", flush=True)
    await asyncio.sleep(3600)

asyncio.run(hold())
"""

UNREACHABLE = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: u, user: {token: t}}]
"""

STORE_IN_USE = 70

Start = Callable[..., "Started"]


class Started:
    """A `keyturn run` beside a process that holds its store."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._log = folder / "operator.log"
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(UNREACHABLE)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "keyturn", "run"],
                env={
                    "PATH": os.environ["PATH"],
                    "KEYTURN_DATA_DIR": str(folder / "data"),
                    "KEYTURN_KUBECONFIG": str(kubeconfig),
                    "KEYTURN_HEALTH_PORT": "0",
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def probe(self, path: str) -> tuple[int, str]:
        port = int(self.wait_for(r"the probes are answered on port (\d+)"))
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def wait_for(self, pattern: str) -> str:
        """Wait for a line of the log; return its first group, or all of what was found."""
        until = time.monotonic() + 30
        while (found := re.search(pattern, self.log)) is None:
            assert time.monotonic() < until, f"{pattern!r} is not in the log: {self.log}"
            time.sleep(0.02)
        return found[found.lastindex or 0]


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has the store open."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "data" / "store.sqlite3")],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def start(tmp_path: Path, holder: subprocess.Popen[bytes]) -> Iterator[Start]:
    started: list[Started] = []

    def begin(**environment: str) -> Started:
        started.append(Started(tmp_path, **environment))
        return started[-1]

    yield begin
    for each in started:
        each.process.kill()
        each.process.wait()


def test_it_waits_alive_and_not_ready_until_the_predecessor_is_gone(
    start: Start, holder: subprocess.Popen[bytes]
) -> None:
    successor = start()
    successor.wait_for("waiting for the store: .* is open in process")

    live, ready = successor.probe("livez"), successor.probe("readyz")
    # Several tries, and one line for all of them.
    time.sleep(1.5)
    lines = successor.log.count("waiting for the store")
    holder.kill()
    successor.wait_for("the store is free after")

    assert live == (200, "ok\n")
    assert ready[0] == 503
    assert f"another operator holds the store: {successor_store(successor)}" in ready[1]
    assert lines == 1
    # What it waits for next is the cluster, which is not there.
    successor.wait_for("waiting: the apiserver does not answer")
    assert successor.probe("readyz") == (503, "the operator is starting\n")


def successor_store(successor: Started) -> str:
    return successor.wait_for(r"waiting for the store: (\S+)")


async def test_while_it_waits_it_says_so_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bootstrap.starting, "PATIENCE", 0.001)
    settings = Settings.load({"KEYTURN_DATA_DIR": str(tmp_path), "KEYTURN_STORE_WAIT": "10m"})
    seconds = itertools.count()
    holder = await SQLiteStore.open(settings.store_file)

    with pytest.raises(StoreInUseError):
        await Starting().open_store(settings, clock=lambda: float(next(seconds)))
    await holder.close()

    reminders = [r for r in caplog.records if "waiting for the store" in r.message]
    assert len(reminders) == 10


def test_a_wait_that_is_over_ends_in_the_error(start: Start) -> None:
    successor = start(KEYTURN_STORE_WAIT="4s")

    assert successor.process.wait(timeout=30) == STORE_IN_USE
    assert "the operator stops:" in successor.log
    assert "a store is for one process; stop that one first" in successor.log
    assert successor.log.count("waiting for the store") == 1


def test_without_a_wait_it_fails_at_once(start: Start) -> None:
    successor = start(KEYTURN_STORE_WAIT="0s")

    assert successor.process.wait(timeout=30) == STORE_IN_USE
    assert "waiting for the store" not in successor.log


def test_a_signal_ends_the_wait(start: Start) -> None:
    successor = start(KEYTURN_STORE_WAIT="1h")
    successor.wait_for("waiting for the store")

    successor.process.send_signal(signal.SIGTERM)

    assert successor.process.wait(timeout=30) == 0
    assert "stopping on SIGTERM" in successor.log
