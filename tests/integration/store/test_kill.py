"""`kill -9` while the store is written loses nothing that was acknowledged."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import apsw
import pytest

from integration.store.writing import is_newest_current, sealed_version
from keyturn.store.sqlite import SQLiteStore

KILLS = 100
ACKNOWLEDGED_BEFORE_A_KILL = 60
"""At well over 200 writes per second; the kill comes at any moment of the next ones."""


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[str]]:
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-m", "integration.store.victim"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{root / 'operator'}:{root / 'tests'}"},
    ) as process:
        yield process
        process.stdin and process.stdin.close()


def kill_while_it_writes(victim: subprocess.Popen[str], path: Path, after: int) -> dict[str, int]:
    """Let a writer be killed after some acknowledged writes; return the last of each secret."""
    commands, answers = victim.stdin, victim.stdout
    assert commands
    assert answers
    commands.write(f"{path}\n")
    commands.flush()
    word, writer = answers.readline().split()
    assert word == "pid"
    told: dict[str, int] = {}
    _listen(answers, told, after)
    os.kill(int(writer), signal.SIGKILL)
    # What it said before it died was acknowledged too.
    _listen(answers, told)
    return told


def _listen(answers: IO[str], told: dict[str, int], limit: int | None = None) -> None:
    heard = 0
    while heard != limit:
        line = answers.readline()
        assert line, "the process that forks the writers has ended"
        if line == "dead\n":
            return
        name, number = line.split()
        told[name] = int(number)
        heard += 1


async def test_nothing_acknowledged_is_lost_by_a_hundred_kills(
    tmp_path: Path, victim: subprocess.Popen[str]
) -> None:
    path = tmp_path / "keyturn.db"
    for round_ in range(KILLS):
        told = kill_while_it_writes(victim, path, ACKNOWLEDGED_BEFORE_A_KILL + round_)

        store = await SQLiteStore.open(path)
        found = {secret.name.name: secret async for secret in store.secrets()}
        for name, number in told.items():
            assert found[name].newest
            assert is_newest_current(found[name])
            assert await store.sealed(found[name].id, number) == sealed_version(name, number)
        await store.close()
        assert integrity(path) == "ok"


def integrity(path: Path) -> object:
    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READWRITE)
    try:
        return connection.execute("PRAGMA integrity_check").get
    finally:
        connection.close()
