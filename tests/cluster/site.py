"""A namespace with operators of its own, which a test may stop, kill and rob of their store."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from apiserver import a_namespace, connected
from cluster.operating import Cluster, OperatorProcess, Resource, eventually
from keyturn_controlplane.cluster import ControlPlane

PASSWORD = {"key": "password", "generate": {"password": {"length": 24}}}
LONGER = {"key": "password", "generate": {"password": {"length": 40}}}
TOKEN = {"key": "token", "generate": {"hex": {"bytes": 16}}}

Data = dict[str, str]


@dataclass
class Site:
    """A namespace of a control plane, and a folder for its operator."""

    control_plane: ControlPlane
    cluster: Cluster
    folder: Path
    _started: list[OperatorProcess] = field(default_factory=list)

    @classmethod
    @contextmanager
    def opened(cls, control_plane: ControlPlane, folder: Path) -> "Iterator[Site]":
        """Make the namespace; at the end no operator runs any more, and nobody waits for it."""
        with connected(control_plane.kubeconfig) as apiserver, a_namespace(apiserver) as name:
            site = cls(control_plane, Cluster(apiserver.client, name), folder)
            try:
                yield site
            finally:
                for operator in site._started:
                    operator.stop()

    @property
    def namespace(self) -> str:
        return self.cluster.namespace

    def operator(self, folder: str = "operator", **environment: str) -> OperatorProcess:
        """Return an operator that is not started yet; it watches only this namespace."""
        operator = OperatorProcess(
            self.control_plane,
            self.folder / folder,
            environment={"KEYTURN_WATCH_NAMESPACES": self.namespace, **environment},
        )
        self._started.append(operator)
        return operator

    def started(self, folder: str = "operator", **environment: str) -> OperatorProcess:
        """Return an operator that is ready."""
        operator = self.operator(folder, **environment)
        operator.start()
        return operator

    def applied(self, name: str = "db", **spec: Any) -> Data:
        """Apply a ManagedSecret, wait until it is ready, and return what its Secret holds."""
        self.cluster.apply(name, {"data": [PASSWORD], **spec})
        self.cluster.wait_ready(name)
        return self.data(name)

    def data(self, name: str = "db") -> Data:
        found = self.cluster.data(name)
        assert found is not None
        return found

    def resource_version(self, name: str = "db") -> str:
        """The version of a native Secret; it changes with each write."""
        secret = self.cluster.get("secrets", name)
        assert secret is not None
        return str(secret["metadata"]["resourceVersion"])

    def delete(self, name: str = "db") -> None:
        """Delete a ManagedSecret, and wait until its Secret went with it."""
        self.cluster.delete("managedsecrets", name)
        eventually(lambda: self.cluster.data(name) is None, what="the Secret goes too")

    def is_gone(self, name: str = "db") -> bool:
        return self.cluster.get("managedsecrets", name) is None


def listed(operator: OperatorProcess, namespace: str) -> list[Resource]:
    """What the store holds of a namespace, deleted secrets too."""
    answer = operator.keyturn("list", "-n", namespace, "-o", "json")
    items: list[Resource] = json.loads(answer.stdout)["items"]
    return items


def states(operator: OperatorProcess, namespace: str) -> list[str]:
    """Whether each secret of a namespace is live or deleted, in the order of names and states."""
    return [item["state"] for item in listed(operator, namespace)]


def history(operator: OperatorProcess, namespace: str, name: str = "db") -> list[Resource]:
    """The versions of a secret, the newest first."""
    answer = operator.keyturn("history", name, "-n", namespace, "-o", "json")
    items: list[Resource] = json.loads(answer.stdout)["items"]
    return items


def reasons(operator: OperatorProcess, site: Site) -> list[str]:
    """Why each version was made, the newest first; nothing while there is no secret yet."""
    answer = operator.keyturn("history", "db", "-n", site.namespace, "-o", "json", check=False)
    found: list[Resource] = json.loads(answer.stdout)["items"] if answer.returncode == 0 else []
    return [version["reason"] for version in found]


def end_recovery_windows(operator: OperatorProcess) -> None:
    """Let each recovery window be over, in the store of an operator that is stopped."""
    store = apsw.Connection(str(operator.data_dir / "store.sqlite3"))
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    store.execute("UPDATE secrets SET purge_after = ? WHERE purge_after IS NOT NULL", (now - 1,))
    store.close()


def keep_copy(operator: OperatorProcess, name: str) -> Path:
    """Copy the store of an operator that is stopped."""
    copy = operator.folder / name
    shutil.copytree(operator.data_dir, copy)
    return copy


def put_back(operator: OperatorProcess, copy: Path) -> None:
    """Replace the store of an operator that is stopped by a copy."""
    shutil.rmtree(operator.data_dir)
    shutil.copytree(copy, operator.data_dir)
