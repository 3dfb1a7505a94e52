"""Lets a process rotate, kills it at a named place, lets another go on, and asks the target."""

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from keyturn.domain.rotation_machine import (
    BACKWARD,
    ENDS,
    FORWARD,
    RETIREMENT,
    Phase,
    Reply,
    advance,
)
from keyturn.rotators.interface import Credential, Target

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]


def phases(start: Phase, *replies: Reply) -> list[Phase]:
    """List the phases that a run goes through if the acts reply so, the others with yes."""
    told, phase, passed = dict(zip(_DECIDED[start], replies, strict=False)), start, []
    while phase not in ENDS:
        passed.append(phase)
        phase = advance(phase, told.get(phase, Reply.YES))
    return passed


_DECIDED = {
    FORWARD: [Phase.PROBE],
    BACKWARD: [Phase.UNDO_PROBE_CURRENT, Phase.UNDO_PROBE],
    RETIREMENT: [],
}


def around(passed: list[Phase]) -> list[str]:
    """Name the places before and after each phase."""
    return [f"{when}.{phase.value}" for phase in passed for when in ("before", "after")]


FORWARD_PLACES = [
    "before.createPending",
    "after.createPending",
    *around(phases(FORWARD, Reply.NO)),
    "before.project",
    "after.project",
    "before.finish",
    "after.finish",
]
RETIREMENT_PLACES = around(phases(RETIREMENT))


@dataclass
class Case:
    """What is rotated, and where: a rotator's type, its target, and a credential that exists."""

    type: str
    target: Target
    strategy: str
    spec: Json
    born: Credential
    keys: Mapping[str, str]
    allowed: tuple[str, ...] = ("*",)

    @property
    def given(self) -> dict[str, str]:
        return {self.keys[name]: _encoded(value) for name, value in self.born.values.items()}


def _encoded(value: Any) -> str:
    return base64.b64encode(value.reveal()).decode()


@dataclass
class Harness:
    """A secret in a store of its own, and the process that rotates it."""

    folder: Path
    case: Case
    _process: subprocess.Popen[bytes]
    _tokens: Iterator[int] = field(default_factory=lambda: count(1))
    token: str = ""

    @classmethod
    @contextmanager
    def started(cls, folder: Path, case: Case) -> Iterator["Harness"]:
        path = f"{ROOT / 'operator'}:{ROOT / 'tests'}"
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("victim.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": path, "HOME": str(folder)},
            )
        # It ends with its stdin, which leaving the `with` closes.
        with process:
            yield cls(folder, case, process)

    def ask(self, act: str, *, failpoint: str = "") -> int:
        """Let a child do something; return its exit code, below 0 for the signal that ended it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {
            "act": act,
            "folder": str(self.folder),
            "failpoint": failpoint,
            "type": self.case.type,
            "parameters": dict(self.case.target.parameters),
            "admin": {name: _encoded(value) for name, value in self.case.target.admin.items()},
            "authority": self.case.target.authority.decode(),
            "timeout": self.case.target.timeout,
            "spec": self.case.spec,
            "given": self.case.given,
            "allowed": self.case.allowed,
            "token": self.token,
        }
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        status: int = answer["status"]
        return status

    def settle(self) -> None:
        """Let the engine do all that is to be done."""
        status = self.ask("settle")
        assert status == 0, (self.folder / "log").read_text()[-3000:]

    def request(self) -> None:
        """Let the next job begin a rotation."""
        self.token = f"token-{next(self._tokens)}"

    def killed_at(self, place: str, *, act: str = "settle") -> bool:
        """Let the engine work until it dies at a place; tell whether it came there."""
        status = self.ask(act, failpoint=place)
        assert status in (0, -signal.SIGKILL), (self.folder / "log").read_text()[-3000:]
        return status != 0

    def report(self) -> Json:
        """Ask the store, and the target by logins."""
        assert self.ask("report") == 0, (self.folder / "log").read_text()[-3000:]
        answer: Json = json.loads((self.folder / "answer.json").read_text())
        return answer

    @property
    def projected(self) -> int:
        document = json.loads((self.folder / "projected.json").read_text())
        number: int = document["version"]
        return number
