"""Lets a process rotate, kills it at a named place, lets another go on, and asks the target."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from engine.assembled import encoded
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Target, Traits

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]

PASSWORD: Json = {"key": "password", "generate": {"password": {"symbols": 0}}}


@dataclass(frozen=True)
class Case:
    """How a kind of secret is rotated, and where.

    `type` is that of the rotator, empty where there is none; `keys` are the keys of the payload by
    the rotator's names of the values. `data` and `rotation` are parts of the resource's spec.
    """

    type: str
    target: Target
    strategy: Strategy
    traits: Traits
    rotation: Json
    data: Sequence[Json] = (PASSWORD,)
    allowed: tuple[str, ...] = ("*",)

    @property
    def is_gapless(self) -> bool:
        """Whether the current credential is accepted at any time."""
        return self.traits.coexists or self.strategy is not Strategy.SINGLE_USER

    @property
    def keys(self) -> Mapping[str, str]:
        return self.traits.values

    def of(self, born: Credential) -> "Case":
        """Let the secret be of the user of a credential, where it has one."""
        if "username" not in born.values:
            return self
        username = bytes(born.values["username"].reveal()).decode()
        rest = [entry for entry in self.data if entry["key"] != "username"]
        return replace(self, data=[{"key": "username", "value": username}, *rest])

    @property
    def username(self) -> str:
        """The user, the first of two that alternate; empty where there is none."""
        named = [entry["value"] for entry in self.data if entry["key"] == "username"]
        return named[0] if named else ""

    def spec(self) -> Json:
        ref = {"rotatorRef": {"kind": "Rotator", "name": "there"}} if self.type else {}
        rotation = {"strategy": self.strategy.value, **ref, **self.rotation}
        return {"data": list(self.data), "rotation": rotation}


class Report(NamedTuple):
    """What the store says of a secret, and which of its credentials the target takes, by stage."""

    stages: Mapping[str, int]
    accepted: Mapping[str, bool]
    rotations: Sequence[Json]


class Victim:
    """The process, and the store that it has."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.told: Counter[tuple[str, str]] = Counter()
        """How often each event was delivered, by rotation and kind."""
        self.pid = 0
        """The child that did the last job."""
        self.slowest = 0.0
        """Seconds from a kill until all was in step again, at most."""
        self._process = process
        self._killed_at: float | None = None
        self._names = (f"secret-{number}" for number in count(1))

    @classmethod
    @contextmanager
    def started(cls, folder: Path, type_: str) -> Iterator["Victim"]:
        path = f"{ROOT / 'operator'}:{ROOT / 'tests'}"
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("victim.py")), str(folder), type_],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={"PATH": os.defpath, "PYTHONPATH": path, "HOME": str(folder)},
            )
        # It ends with its stdin, which leaving the `with` closes.
        with process:
            yield cls(folder, process)

    def imported(self, case: Case, born: Credential) -> "Rotated":
        """Name a new secret whose first version is a credential that the target takes."""
        return Rotated(self, case.of(born), next(self._names), born)

    def made(self, case: Case, found: Credential) -> "Rotated":
        """Name a new secret whose first version is made, and set where the target took another."""
        return Rotated(self, case.of(found), next(self._names), found=found)

    def regenerated(self, case: Case) -> "Rotated":
        """Name a new secret that no target knows."""
        return Rotated(self, case, next(self._names))

    def send(self, job: Json) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> Json:
        """Wait for the answer; its status is 0, or below 0 the signal that ended the child."""
        assert self._process.stdout is not None
        answer: Json = json.loads(self._process.stdout.readline() or '{"status": 1}')
        assert answer["status"] in (0, -signal.SIGKILL), self.log()[-3000:]
        self.pid = answer.get("pid", 0)
        return answer

    @property
    def is_stopped(self) -> bool:
        """Whether the child stands still, by SIGSTOP."""
        status = Path(f"/proc/{self.pid}/stat").read_text()
        return status.rpartition(") ")[2].startswith("T")

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def note_kill(self) -> None:
        self._killed_at = time.monotonic()

    def note_recovery(self) -> None:
        if self._killed_at is not None:
            self.slowest = max(self.slowest, time.monotonic() - self._killed_at)
            self._killed_at = None


@dataclass
class Rotated:
    """One secret of a victim, and what may be done with it."""

    victim: Victim
    case: Case
    name: str
    born: Credential | None = None
    found: Credential | None = None
    """What the target takes before the first version, which the store does not know."""
    token: str = ""
    _tokens: Iterator[int] = field(default_factory=lambda: count(1))

    def job(self, act: str) -> Json:
        target = self.case.target
        given, found = (encoded(known.values) if known else {} for known in (self.born, self.found))
        return {
            "act": act,
            "name": self.name,
            "failpoint": "",
            "cancels": False,
            "type": self.case.type,
            "parameters": dict(target.parameters),
            "admin": encoded(target.admin),
            "authority": target.authority.decode(),
            "timeout": target.timeout,
            "spec": self.case.spec(),
            "base": self.case.username,
            "given": {self.case.keys[name]: value for name, value in given.items()},
            "found": found,
            "allowed": self.case.allowed,
            "token": self.token,
        }

    def _do(self, act: str, **more: Any) -> Json:
        self.victim.send(self.job(act) | more)
        return self.victim.answer()

    def _done(self, act: str, **more: Any) -> Json:
        answer = self._do(act, **more)
        assert answer["status"] == 0, self.victim.log()[-3000:]
        return answer

    def request(self) -> None:
        """Let the next job begin a rotation."""
        self.token = f"token-{next(self._tokens)}"

    def settle(self, *, cancels: bool = False) -> Sequence[str]:
        """Let the engine do all that is to be done; return the places that it passed."""
        passed: Sequence[str] = self._done("settle", cancels=cancels)["passed"]
        self.victim.note_recovery()
        return passed

    def attempt(self) -> str:
        """Let the engine do what can be done now; return the code of what hinders it, if any."""
        trouble: str = self._done("attempt")["trouble"]
        return trouble

    def killed_at(self, place: str, *, cancels: bool = False) -> bool:
        """Let the engine work until it dies at a place; tell whether it came there."""
        is_dead: bool = self._do("settle", failpoint=place, cancels=cancels)["status"] != 0
        if is_dead:
            self.victim.note_kill()
        else:
            self.victim.note_recovery()
        return is_dead

    def report(self) -> Report:
        """Ask the store, and the target by logins."""
        answer = self._done("report")
        self.victim.told.update((rotation, kind) for rotation, kind in answer["events"])
        return Report(answer["stages"], answer["accepted"], answer["rotations"])

    @property
    def projected(self) -> int:
        """The version that consumers have; 0 where they have none yet."""
        file = self.victim.folder / f"{self.name}.json"
        if not file.exists():
            return 0
        number: int = json.loads(file.read_text())["version"]
        return number
