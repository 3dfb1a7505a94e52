"""Stands in for a kubelet where no node is: it says of each pod that it is ready.

For tests of what waits for a pod, as `helm install --wait` does; those of the pods themselves have
a real node.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from apiserver import Apiserver, connected
from keyturn_controlplane.cluster import ControlPlane

_POLL_SECONDS = 0.2


@contextmanager
def pods_become_ready(control_plane: ControlPlane, namespace: str) -> Iterator[None]:
    """Have each pod of a namespace run, or, where it is never restarted, be done."""
    with connected(control_plane.kubeconfig) as apiserver:
        stopped = threading.Event()
        thread = threading.Thread(target=_work, args=(apiserver, namespace, stopped))
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()


def _work(apiserver: Apiserver, namespace: str, stopped: threading.Event) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    while not stopped.wait(_POLL_SECONDS):
        for pod in apiserver.request("GET", path).body.get("items", []):
            if pod["status"].get("phase") == "Pending":
                status = {"status": _status(pod)}
                apiserver.request("PATCH", f"{path}/{pod['metadata']['name']}/status", status)


def _status(pod: dict[str, Any]) -> dict[str, Any]:
    if pod["spec"]["restartPolicy"] == "Never":
        return {"phase": "Succeeded"}
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": _now()}
    return {"phase": "Running", "conditions": [ready]}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
