"""Workloads whose controllers are real, with a stand-in for the kubelet of their pods."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pykube

from apiserver import Apiserver, core
from cluster.operating import eventually
from keyturn_controlplane.cluster import ControlPlane

_GLANCE = 0.2

ADDRESS = "127.0.0.1"
"""Of all pods: what answers there stands in for them."""


def by_env(*names: str) -> dict[str, Any]:
    return {"envFrom": [{"secretRef": {"name": name}} for name in names]}


def by_volume(name: str) -> dict[str, Any]:
    """A container that has a Secret as files; the volume is `files_of` it."""
    return {"volumeMounts": [{"name": name, "mountPath": f"/{name}"}]}


def files_of(name: str) -> dict[str, Any]:
    return {"volumes": [{"name": name, "secret": {"secretName": name}}]}


@dataclass
class Controlled:
    """A namespace with workloads; all pods become ready but those whose beginning is `held`."""

    apiserver: Apiserver
    namespace: str
    held: str = ""
    _stopped: threading.Event = field(default_factory=threading.Event)

    @classmethod
    @contextmanager
    def opened(cls, control_plane: ControlPlane, namespace: str) -> "Iterator[Controlled]":
        configuration = pykube.KubeConfig.from_file(str(control_plane.kubeconfig))
        clients = [pykube.HTTPClient(configuration) for _ in range(2)]
        made = cls(Apiserver(clients[0]), namespace)
        account = core("serviceaccounts", namespace, "default")
        eventually(lambda: made.apiserver.request("GET", account).is_ok, what="pods can be made")
        kubelet = threading.Thread(target=made._run_pods, args=(Apiserver(clients[1]),))
        kubelet.start()
        try:
            yield made
        finally:
            made._stopped.set()
            kubelet.join()
            for client in clients:
                client.session.close()

    # The workloads

    def path(self, name: str = "", kind: str = "deployments") -> str:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/{kind}"
        return f"{path}/{name}" if name else path

    def deploy(
        self,
        name: str,
        container: dict[str, Any],
        *,
        kind: str = "deployments",
        replicas: int = 2,
        annotations: dict[str, str] | None = None,
        **pod: Any,
    ) -> None:
        """Make a workload, and wait until its pods run."""
        spec = {"containers": [{"name": "app", "image": "app", **container}], **pod}
        body = {
            "metadata": {"name": name, "annotations": annotations or {}},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
            },
        }
        if kind == "statefulsets":
            body["spec"]["serviceName"] = name  # type: ignore[index]
        made = self.apiserver.request("POST", self.path(kind=kind), body)
        assert made.is_ok, made.message
        self.wait_rolled_out(name, kind)

    def body(self, name: str, kind: str = "deployments") -> dict[str, Any]:
        found: dict[str, Any] = self.apiserver.request("GET", self.path(name, kind)).body
        return found

    def notes(self, name: str, kind: str = "deployments") -> dict[str, str]:
        """The annotations of the pod template."""
        metadata = self.body(name, kind)["spec"]["template"].get("metadata", {})
        found: dict[str, str] = metadata.get("annotations", {})
        return found

    def templates(self, name: str, kind: str = "deployments") -> int:
        """How many pod templates a workload has had."""
        generation: int = self.body(name, kind)["metadata"]["generation"]
        return generation

    def restarted(self, names: Sequence[str], of: str = "db") -> list[str]:
        """Those of some Deployments that were restarted for any version of a secret."""
        return [name for name in names if f"keyturn.dev/version.{of}" in self.notes(name)]

    def wait_rolled_out(self, name: str, kind: str = "deployments") -> None:
        def is_done() -> bool:
            body = self.body(name, kind)
            wanted, status = body["spec"]["replicas"], body.get("status", {})
            return bool(
                status.get("observedGeneration") == body["metadata"]["generation"]
                and status.get("updatedReplicas", 0) == wanted
                and status.get("readyReplicas", 0) == status.get("replicas", 0) == wanted
            )

        eventually(is_done, what=f"{name} is rolled out")

    def wait_restarted(
        self, name: str, version: str, of: str = "db", kind: str = "deployments"
    ) -> None:
        key = f"keyturn.dev/version.{of}"
        eventually(
            lambda: self.notes(name, kind).get(key) == version,
            what=f"{name} is restarted for {of} {version}",
        )

    # The kubelet

    def _run_pods(self, apiserver: Apiserver) -> None:
        path = core("pods", self.namespace)
        while not self._stopped.wait(_GLANCE):
            for pod in apiserver.request("GET", path).body.get("items", []):
                name = pod["metadata"]["name"]
                is_held = self.held and name.startswith(self.held)
                if pod["status"].get("phase") == "Pending" and not is_held:
                    apiserver.request("PATCH", f"{path}/{name}/status", {"status": _runs(pod)})


def _runs(pod: dict[str, Any]) -> dict[str, Any]:
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "phase": "Running",
        "startTime": began,
        "podIP": ADDRESS,
        "podIPs": [{"ip": ADDRESS}],
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": began}],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": "app",
                "imageID": "app",
                "ready": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": began}},
            }
            for container in pod["spec"]["containers"]
        ],
    }
