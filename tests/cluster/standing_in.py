"""Stands in for the kubelet, where there is no node.

The apiserver and the controllers are real, and so are the pods that they make; what a kubelet would
report of them is written to the same subresource.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apiserver import Apiserver, core
from cluster.operating import eventually

BY_ENV = {
    "containers": [{"name": "app", "image": "app", "envFrom": [{"secretRef": {"name": "db"}}]}]
}
BY_VOLUME = {
    "volumes": [{"name": "v", "secret": {"secretName": "db"}}],
    "containers": [
        {"name": "app", "image": "app", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    ],
}

AHEAD = timedelta(seconds=20)
"""A kubelet whose clock is so far ahead reports a start that is surely after a projection."""


@dataclass(frozen=True)
class StandIn:
    """Makes workloads and pods in a namespace, and says how they fare."""

    apiserver: Apiserver
    namespace: str

    def wait(self) -> None:
        """Wait until pods can be made: their ServiceAccount comes a moment after the namespace."""
        path = core("serviceaccounts", self.namespace, "default")
        eventually(lambda: self.apiserver.request("GET", path).is_ok, what="pods can be made")

    def workload(self, kind: str, name: str, spec: dict[str, Any], **more: Any) -> None:
        """Make a Deployment, StatefulSet or DaemonSet of a pod template."""
        labels = {"app": name}
        body = {
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
                **more,
            },
        }
        self.create(f"/apis/apps/v1/namespaces/{self.namespace}/{kind.lower()}s", body)

    def pods(self, app: str, count: int) -> list[str]:
        """Wait until a workload has so many pods that nobody has run yet; name them."""
        found: list[str] = []

        def are_there() -> bool:
            path = core("pods", self.namespace)
            items = self.apiserver.request("GET", path, labelSelector=f"app={app}").body["items"]
            found[:] = [
                item["metadata"]["name"]
                for item in items
                if "deletionTimestamp" not in item["metadata"]
                and item["status"].get("phase") == "Pending"
            ]
            return len(found) == count

        eventually(are_there, what=f"{app} has {count} new pods")
        return found

    def pod(self, name: str, spec: dict[str, Any]) -> None:
        """Make a pod that nobody owns."""
        self.create(core("pods", self.namespace), {"metadata": {"name": name}, "spec": spec})

    def runs(self, name: str, *, later: timedelta = timedelta(0), phase: str = "Running") -> None:
        """Say that all containers of a pod began, now or by a clock that is ahead."""
        began = (datetime.now(UTC) + later).strftime("%Y-%m-%dT%H:%M:%SZ")
        pod = self.apiserver.request("GET", core("pods", self.namespace, name)).body
        statuses = [
            {
                "name": container["name"],
                "image": "app",
                "imageID": "app",
                "ready": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": began}},
            }
            for container in pod["spec"]["containers"]
        ]
        status = {
            "phase": phase,
            "startTime": began,
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": statuses,
        }
        path = core("pods", self.namespace, name) + "/status"
        answer = self.apiserver.request("PATCH", path, {"status": status})
        assert answer.is_ok, answer.message

    def ends(self, name: str) -> None:
        """Delete a pod at once."""
        path = core("pods", self.namespace, name)
        assert self.apiserver.request("DELETE", path, {"gracePeriodSeconds": 0}).is_ok

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.apiserver.request("POST", path, body)
        assert answer.is_ok, answer.message
        return answer.body
