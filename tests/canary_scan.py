"""The search for secret values after the tests, wherever the product may have left one.

While the tests run, each projected value is collected from the native Secrets, and what is gone at
the end is kept: what watches saw of the resources and Events, and how the processes of Keyturn were
started. At the end all that, the folders of the operators, etcd and the logs are searched.
"""

import base64
import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pykube
import requests

from canary import LEAST_BYTES, Canary, Leak
from keyturn_controlplane.cluster import ControlPlane

Seen = tuple[str, bytes]
"""A place, and what stood there."""

ALLOWED = ("/registry/secrets/", "/registry/configmaps/")
"""Secrets may hold secret values, and ConfigMaps hold what the tests themselves wrote."""

COMMANDS = (b"keyturn", b"kubectl-keyturn")
_PAUSE = 0.1
_LOOKS = 5
"""So often a process is looked at: one that was just forked has the arguments of its parent."""
_OPEN_SECONDS = 30
_LAST_SECONDS = 0.5
"""In that time a watch has told what happened before."""


class CanaryScan:
    """Collects what may hold a value while tests run, and searches it for the canaries."""

    def __init__(self, canary: Canary, root: Path) -> None:
        self._canary = canary
        self._root = root
        self._kept = _Kept(root / "canary-scan")
        self._processes: dict[tuple[int, bytes], bytes] = {}
        self._watched: list[ControlPlane] = []
        self._projected: set[bytes] = set()
        self._stated: set[bytes] = set()

    @property
    def values(self) -> int:
        """How many projected values are searched for that nobody stated in the open."""
        return len(self._projected - self._stated)

    @contextmanager
    def watching(self, control_plane: ControlPlane) -> Iterator[None]:
        """Collect from a cluster as long as the `with` lasts."""
        following = [
            _Following(control_plane, "/api/v1/secrets", self._take_secret, "keyturn.dev/managed"),
            _Following(control_plane, "/api/v1/configmaps", self._take_stated),
            _Following(control_plane, "/apis/events.k8s.io/v1/events", self._keep),
            _Following(control_plane, "/apis/keyturn.dev/v1alpha1/managedsecrets", self._take_open),
        ]
        for each in following:
            each.start()
        for each in following:
            # What comes and goes before the first watch is open would not be seen.
            each.opened.wait(_OPEN_SECONDS)
        self._watched.append(control_plane)
        try:
            yield
        finally:
            self._watched.remove(control_plane)
            time.sleep(_LAST_SECONDS)
            for each in following:
                each.stop()
            for each in following:
                each.join()
        for where, data in _left_in(control_plane):
            self._kept.add(where, data)

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Look at the processes of Keyturn as long as the `with` lasts."""
        stopping = threading.Event()

        def sample() -> None:
            looks: dict[Path, int] = {}
            while not stopping.wait(_PAUSE):
                looks = {each: looks.get(each, 0) + 1 for each in Path("/proc").iterdir()}
                self._processes.update(
                    _commands(each for each, count in looks.items() if count <= _LOOKS)
                )

        thread = threading.Thread(target=sample, name="canary scan", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def search(self) -> list[Leak]:
        """Search everything for every value; a leak names its place and form, not the value."""
        for value in self._projected - self._stated:
            self._canary.register(value)
        return list(dict.fromkeys(self._leaks()))

    def has_seen(self, process_id: int) -> bool:
        """Tell whether a process was looked at."""
        # A copy: the thread that samples adds to it.
        return any(process_id == seen for seen, _ in list(self._processes))

    def _leaks(self) -> Iterator[Leak]:
        for folder in _operator_folders(self._root):
            yield from self._canary.scan_tree(folder)
        for (process_id, command), environment in self._processes.items():
            yield from self._canary.scan_bytes(command, f"the arguments of process {process_id}")
            yield from self._canary.scan_bytes(environment, f"the environment of {process_id}")
        for where, data in self._kept:
            yield from self._canary.scan_bytes(data, where)
        for control_plane in self._watched:
            for where, data in _left_in(control_plane):
                yield from self._canary.scan_bytes(data, where)

    def _take_secret(self, where: str, secret: dict[str, Any]) -> None:
        """Collect the values of a projected Secret; all of it but its data is searched."""
        for encoded in (secret.pop("data", None) or {}).values():
            value = base64.b64decode(encoded)
            if len(value) >= LEAST_BYTES:
                self._projected.add(value)
        self._keep(where, secret)

    def _take_open(self, where: str, resource: dict[str, Any]) -> None:
        """Keep a ManagedSecret; what its author states in it is no secret."""
        self._stated.update(_texts(resource.get("spec")))
        self._keep(where, resource)

    def _take_stated(self, _: str, config_map: dict[str, Any]) -> None:
        self._stated.update(_texts(config_map.get("data")))

    def _keep(self, where: str, item: dict[str, Any]) -> None:
        self._kept.add(where, json.dumps(item).encode())


class _Kept:
    """What was seen and may be gone at the end, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def add(self, where: str, data: bytes) -> None:
        with self._lock, self._path.open("ab") as file:
            file.write(f"{len(data)} {where}\n".encode() + data)

    def __iter__(self) -> Iterator[Seen]:
        with self._lock:
            self._path.touch()
            end = self._path.stat().st_size
        with self._path.open("rb") as file:
            while file.tell() < end:
                header = file.readline()
                length, _, where = header.decode().rstrip("\n").partition(" ")
                yield where, file.read(int(length))


class _Following:
    """A thread that follows all objects of one kind, whatever happens to the apiserver."""

    def __init__(self, control_plane: ControlPlane, path: str, take: Any, label: str = "") -> None:
        self._path = path
        self._take = take
        self._query = {"watch": "true", "allowWatchBookmarks": "true", "labelSelector": label}
        config = pykube.KubeConfig.from_file(str(control_plane.kubeconfig))
        self._api = pykube.HTTPClient(config)
        # The environment is pytest's, which changes it while this thread would read it.
        self._api.session.trust_env = False
        self._version = ""
        self._answer: requests.Response | None = None
        self.opened = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="canary scan", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the watch under way, and so the thread."""
        self._stopping.set()
        if self._answer is not None:
            # It may have ended by itself.
            with suppress(OSError, RuntimeError, ValueError):
                self._answer.raw.shutdown()

    def join(self) -> None:
        self._thread.join()
        self._api.session.close()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                self._watch()
            except (OSError, ValueError):
                self._stopping.wait(_PAUSE)

    def _watch(self) -> None:
        query = {**self._query, "resourceVersion": self._version}
        # A bookmark comes each minute.
        with self._api.session.get(
            f"{self._api.url}{self._path}", params=query, stream=True, timeout=90
        ) as answer:
            self._answer = answer
            if self._stopping.is_set():
                return
            if answer.status_code == HTTPStatus.NOT_FOUND:
                # Nothing comes and goes of a kind that the cluster does not know yet.
                self.opened.set()
            if not answer.ok:
                self._version = ""
                self._stopping.wait(_PAUSE)
                return
            self.opened.set()
            for line in answer.iter_lines(chunk_size=None):
                self._heard(json.loads(line))

    def _heard(self, event: dict[str, Any]) -> None:
        item = event["object"]
        if event["type"] == "ERROR":
            self._version = ""
            return
        metadata = item["metadata"]
        self._version = metadata["resourceVersion"]
        if event["type"] != "BOOKMARK":
            name = f"{metadata.get('namespace')}/{metadata['name']}"
            self._take(f"{item['kind']} {name} at {self._version}", item)


def _operator_folders(root: Path) -> Iterator[Path]:
    """Find what operators left: each folder with a log of one, and each file of a store."""
    logs = sorted(root.rglob("operator.log"))
    yield from (log.parent for log in logs)
    for store in sorted(root.rglob("store.sqlite3")):
        if not any(log.parent in store.parents for log in logs):
            yield store.parent


def _left_in(control_plane: ControlPlane) -> Iterator[Seen]:
    for key, data in control_plane.etcd_get_prefix("/registry/"):
        if not key.startswith(ALLOWED):
            yield f"etcd, {key}", data
    for name in control_plane.logs:
        yield f"the log of {name}", control_plane.log_file(name).read_bytes()


def _commands(processes: Iterable[Path]) -> dict[tuple[int, bytes], bytes]:
    """Read the arguments and the environments of those that are processes of Keyturn."""
    found: dict[tuple[int, bytes], bytes] = {}
    for process in processes:
        if not process.name.isdigit():
            continue
        try:
            command = (process / "cmdline").read_bytes()
            if any(part.rpartition(b"/")[2] in COMMANDS for part in command.split(b"\0")):
                found[int(process.name), command] = (process / "environ").read_bytes()
        except OSError:
            continue
    return found


def _texts(value: Any) -> Iterator[bytes]:
    """List all texts within a document."""
    if isinstance(value, str):
        yield value.encode()
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
