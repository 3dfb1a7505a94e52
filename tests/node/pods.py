"""Pods of the tests, and what they say."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cluster.operating import eventually
from keyturn_controlplane.cluster import ControlPlane
from node.images import BUSYBOX

SLEEP = ("/bin/sh", "-c", "trap exit TERM; while :; do sleep 0.1; done")
"""What runs until the pod is to end, and then ends at once."""


def a_pod(name: str, command: Sequence[str] = SLEEP, **container: Any) -> dict[str, Any]:
    """Make a pod of one busybox; `volumes` and other fields of the pod are added by the caller."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": a_pod_spec(command, **container),
    }


def a_pod_spec(command: Sequence[str] = SLEEP, **container: Any) -> dict[str, Any]:
    """Make what a pod runs, also for the template of a workload."""
    app = {"name": "app", "image": BUSYBOX, "command": list(command), **container}
    return {"terminationGracePeriodSeconds": 2, "containers": [app]}


class Pods:
    """The pods of a namespace, as kubectl sees them."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._control_plane = control_plane
        self.namespace = namespace

    def kubectl(self, verb: str, *arguments: str, **options: Any) -> str:
        """Run kubectl in the namespace and return what it said."""
        within = f"--namespace={self.namespace}"  # Before a `--`, behind which is a pod's command.
        return self._control_plane.kubectl(verb, within, *arguments, **options).stdout

    def apply(self, *resources: Mapping[str, Any]) -> None:
        """Apply resources to the namespace."""
        document = {"apiVersion": "v1", "kind": "List", "items": list(resources)}
        self.kubectl("apply", "--filename", "-", input=json.dumps(document))

    def start(self, pod: Mapping[str, Any], *, within: float = 60) -> str:
        """Make a pod, wait until it is ready, and return its name."""
        name = str(pod["metadata"]["name"])
        self.apply(pod)
        self.wait_ready(name, within=within)
        return name

    def get(self, name: str) -> dict[str, Any]:
        """Return a pod; empty where there is none."""
        said = self.kubectl("get", "pod", name, "--output", "json", "--ignore-not-found")
        found: dict[str, Any] = json.loads(said or "{}")
        return found

    def is_ready(self, name: str) -> bool:
        """Tell whether a pod is there and ready."""
        return _is_ready(self.get(name))

    def wait_ready(self, name: str, *, within: float = 60) -> None:
        """Wait until a pod is ready; if it is not in time, show what the kubelet said of it."""
        try:
            eventually(lambda: self.is_ready(name), within=within)
        except AssertionError:
            events = self.kubectl("events", "--for", f"pod/{name}")
            raise AssertionError(f"the pod {name} is not ready:\n{events}") from None

    def wait_phase(self, name: str, phase: str, *, within: float = 60) -> None:
        """Wait until a pod is in a phase, such as Succeeded."""
        eventually(
            lambda: self.get(name).get("status", {}).get("phase") == phase,
            within=within,
            what=f"the pod {name} is {phase}",
        )

    def delete(self, name: str) -> None:
        """Delete a pod and wait until it is gone."""
        self.kubectl("delete", "pod", name, "--wait")

    def exec(self, name: str, *command: str) -> str:
        """Run a command in a pod that runs and return what it said, to the byte."""
        return self.kubectl("exec", name, "--", *command)

    def logs(self, name: str) -> str:
        """Return what a pod said."""
        return self.kubectl("logs", name)


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
