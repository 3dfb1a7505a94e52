"""What is measured: the operator's process, and what the apiserver counted."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from keyturn_controlplane.cluster import ControlPlane

_TICKS = os.sysconf("SC_CLK_TCK")
_REQUESTS = re.compile(
    r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", re.MULTILINE
)
_START_LIMIT = 120.0
_IDLE_CPU = 0.05
_WRITING = ("POST", "PUT", "PATCH", "APPLY", "DELETE")


@dataclass(frozen=True, slots=True)
class Sample:
    """One ManagedSecret: from the moment its create was sent to the moment its Secret was seen.

    Or from a change of its Secret by hand to the write that put that right.
    """

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Writes:
    """Writes that the apiserver counted on what the operator writes.

    The creates of the ManagedSecrets themselves are the workload's and not counted.
    """

    secrets: int
    statuses: int
    events: int

    @classmethod
    def of(cls, control_plane: ControlPlane) -> "Writes":
        counts = {"secrets": 0, "statuses": 0, "events": 0}
        for match in _REQUESTS.finditer(control_plane.metrics()):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match["labels"]))
            if labels.get("verb") not in _WRITING or not labels.get("code", "").startswith("2"):
                continue
            kind = _kind(labels)
            if kind:
                counts[kind] += int(float(match["count"]))
        return cls(**counts)

    @property
    def total(self) -> int:
        return self.secrets + self.statuses + self.events

    def __sub__(self, other: "Writes") -> "Writes":
        return Writes(
            self.secrets - other.secrets,
            self.statuses - other.statuses,
            self.events - other.events,
        )

    def per(self, count: int) -> float:
        return round(self.total / count, 3)


def _kind(labels: dict[str, str]) -> str:
    match labels.get("resource"), labels.get("subresource"):
        case "secrets", "":
            return "secrets"
        case "managedsecrets", "status":
            return "statuses"
        case "events", _ if labels.get("group") == "events.k8s.io":
            return "events"
    return ""


def percentile(values: list[float], percent: int) -> float:
    """Return a percentile by the nearest rank."""
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)]


class OperatorUnderTest:
    """`keyturn run` as its own process, on the store in `folder`."""

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        kubeconfig = control_plane.kubeconfig_for_service_account("keyturn-system", "keyturn")
        self._environment = {
            "PATH": os.defpath,
            "HOME": str(folder),
            "KEYTURN_DATA_DIR": str(folder / "data"),
            "KEYTURN_KUBECONFIG": str(kubeconfig),
            "KEYTURN_HEALTH_PORT": "-1",
        }
        self._log = folder / "operator.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        self._began = time.monotonic()
        offset = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "keyturn", "run"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        while b"all resources are listed" not in self._log.read_bytes()[offset:]:
            if self._process.poll() is not None or time.monotonic() - self._began > _START_LIMIT:
                raise RuntimeError(f"the operator does not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=60)
            self._process = None

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def cpu_seconds(self) -> float:
        """User and system time of all its threads."""
        fields = self._stat("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_mb(self) -> float:
        line = next(x for x in self._stat("status").splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def seconds_until_idle(self) -> float:
        """Wait until it has nothing to do any more; return the seconds since its start.

        Nothing to do: for a second it used less than a twentieth of a core.
        """
        while True:
            at, used = time.monotonic(), self.cpu_seconds()
            time.sleep(1)
            if self.cpu_seconds() - used < _IDLE_CPU:
                return at - self._began

    def _stat(self, name: str) -> str:
        pid = self._process.pid if self._process is not None else 0
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8")
