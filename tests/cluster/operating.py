"""The operator as a process of its own, as a pod would run it."""

import http.client
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from keyturn_controlplane.cluster import ControlPlane

Resource = dict[str, Any]
Values = dict[str, bytes]

_ANSWER_SECONDS = 60.0
"""So long an apiserver that is busy may take to answer."""


class OperatorProcess:
    """`keyturn run` under the operator's ServiceAccount, with a store in `folder`."""

    def __init__(
        self,
        control_plane: ControlPlane,
        folder: Path,
        *,
        kubeconfig: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.socket = folder / "run" / "keyturn.sock"
        self.log_file = folder / "operator.log"
        self._temporary = folder / "tmp"
        self._kubeconfig = kubeconfig or control_plane.kubeconfig_for_service_account(
            "keyturn-system", "keyturn"
        )
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

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

    @property
    def environment(self) -> dict[str, str]:
        """What the operator, and the CLI beside it, run with."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "KEYTURN_DATA_DIR": str(self.data_dir),
            "KEYTURN_SOCKET": str(self.socket),
            "KEYTURN_KUBECONFIG": str(self._kubeconfig),
            "KEYTURN_HEALTH_PORT": "0",
            # Operators with stores of their own share a cluster in the tests.
            "KEYTURN_LEASE": f"keyturn-{sha256(str(self.data_dir).encode()).hexdigest()[:12]}",
            "KEYTURN_LOG_LEVEL": "debug",
            "TMPDIR": str(self._temporary),
            **self._environment,
        }

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    def start(self, *, ready: bool = True) -> None:
        """Start it, and wait until it is ready."""
        self._temporary.mkdir(parents=True, exist_ok=True)
        began = len(self.log)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "keyturn", "run"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if ready:
            eventually(lambda: self._is_ready(began), within=90, what="the operator is ready")

    def _is_ready(self, began: int) -> bool:
        process = self._process
        assert process is not None
        assert process.poll() is None, f"the operator ended: {self.log[began:]}"
        found = re.search(r"the probes are answered on port (\d+)", self.log[began:])
        return found is not None and self.probe(int(found[1]), "readyz") == (200, "ok")

    def probe(self, port: int, path: str) -> tuple[int, str]:
        """Ask a probe."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
                return answer.status, answer.read().decode().strip()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode().strip()
        except (OSError, http.client.HTTPException):
            return 0, ""

    def stop(self) -> int | None:
        """Ask it to stop, as a pod's end does; return its exit code."""
        if self._process is None:
            return None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process = None

    def end(self) -> int:
        """Wait until it ends by itself; return its exit code."""
        assert self._process is not None
        exit_code = self._process.wait(timeout=90)
        self._process = None
        return exit_code

    def kill(self) -> None:
        """End it at once, as a power cut of its node does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def keyturn(
        self, *arguments: str, stdin: bytes = b"", check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the CLI beside the operator."""
        return subprocess.run(
            [sys.executable, "-m", "keyturn", *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            check=check,
            timeout=60,
        )


def eventually(is_so: Callable[[], bool], *, within: float = 60, what: str = "") -> None:
    """Wait until something is so; fail when it is not in time."""
    began = time.monotonic()
    while not is_so():
        waited = time.monotonic() - began
        assert waited < within, f"not within {within} s: {what or is_so}"
        # Each look costs the machine something: what takes long is looked at less often.
        time.sleep(min(max(waited / 10, 0.05), 0.25))


class Cluster:
    """The cluster as an independent client sees it: pykube, as the administrator."""

    def __init__(self, api: Any, namespace: str) -> None:
        self._api = api
        self.namespace = namespace

    def _path(self, kind: str, name: str = "") -> dict[str, Any]:
        base = {
            "managedsecrets": "/apis/keyturn.dev",
            "rotators": "/apis/keyturn.dev",
            "jobs": "/apis/batch",
            "events": "/apis/events.k8s.io",
        }.get(kind, "/api")
        version = "v1alpha1" if base == "/apis/keyturn.dev" else "v1"
        return {
            "base": base,
            "version": version,
            "namespace": self.namespace,
            "url": f"{kind}/{name}".rstrip("/"),
            "timeout": _ANSWER_SECONDS,
        }

    def get(self, kind: str, name: str) -> Resource | None:
        answer = self._api.get(**self._path(kind, name))
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        found: Resource = answer.json()
        return found

    def all(self, kind: str) -> list[Resource]:
        answer = self._api.get(**self._path(kind))
        answer.raise_for_status()
        items: list[Resource] = answer.json()["items"]
        return items

    def create(self, kind: str, body: Resource) -> Resource:
        answer = self._api.post(json=body, **self._path(kind))
        assert answer.ok, answer.text
        made: Resource = answer.json()
        return made

    def patch(self, kind: str, name: str, patch: Resource) -> Resource:
        answer = self._api.patch(
            json=patch,
            headers={"Content-Type": "application/merge-patch+json"},
            **self._path(kind, name),
        )
        assert answer.ok, answer.text
        patched: Resource = answer.json()
        return patched

    def delete(self, kind: str, name: str) -> None:
        answer = self._api.delete(**self._path(kind, name))
        assert answer.ok, answer.text

    def data(self, name: str) -> dict[str, str] | None:
        """The data of a native Secret, as base64; None where there is none."""
        secret = self.get("secrets", name)
        return None if secret is None else secret.get("data", {})

    def apply(self, name: str, spec: Resource, **metadata: Any) -> Resource:
        """Make a ManagedSecret, or change its specification."""
        while (stood := self.get("managedsecrets", name)) is not None:
            stood["spec"] = spec
            answer = self._api.put(json=stood, **self._path("managedsecrets", name))
            if answer.status_code == HTTPStatus.CONFLICT:
                continue  # The operator wrote the status in between.
            assert answer.ok, answer.text
            changed: Resource = answer.json()
            return changed
        body = {
            "apiVersion": "keyturn.dev/v1alpha1",
            "kind": "ManagedSecret",
            "metadata": {"name": name, **metadata},
            "spec": spec,
        }
        return self.create("managedsecrets", body)

    def condition(self, name: str, kind: str = "Ready") -> Resource:
        """A condition of a ManagedSecret for its present generation; empty where there is none."""
        resource = self.get("managedsecrets", name) or {}
        generation = resource.get("metadata", {}).get("generation")
        for condition in resource.get("status", {}).get("conditions", []):
            if condition["type"] == kind and condition["observedGeneration"] == generation:
                found: Resource = condition
                return found
        return {}

    def wait_ready(self, name: str, *, within: float = 60) -> None:
        """Wait until a ManagedSecret is ready."""
        eventually(
            lambda: self.condition(name).get("status") == "True",
            within=within,
            what=f"{name} is ready: {self.condition(name)}",
        )

    def wait_reason(self, name: str, reason: str, *, within: float = 60) -> Resource:
        """Wait until the condition Ready has a reason; return the condition."""
        eventually(
            lambda: self.condition(name).get("reason") == reason,
            within=within,
            what=f"{name} has the reason {reason}: {self.condition(name)}",
        )
        return self.condition(name)
