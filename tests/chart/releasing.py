"""One release in a real cluster, from its install to the last trace of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chart.helming import Helm
from keyturn_controlplane.cluster import ControlPlane
from make_chart import CHART

KEPT = "customresourcedefinitions,validatingadmissionpolicies,validatingadmissionpolicybindings"
"""What belongs to the whole cluster and outlives a release."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release by its name; `install` and `upgrade` wait for nothing, as no pod runs here."""

    helm: Helm
    control_plane: ControlPlane
    name: str
    namespace: str

    @property
    def account(self) -> tuple[str, str]:
        """The namespace and name of the operator's ServiceAccount."""
        return self.namespace, f"{self.name}-keyturn"

    def install(self, values: Mapping[str, Any], *flags: str, create_namespace: bool = True) -> str:
        """Install it, and give its notes. Raises: HelmError."""
        create = ["--create-namespace"] if create_namespace else []
        return self._run("install", values, *create, *flags)

    def upgrade(self, values: Mapping[str, Any], *flags: str) -> str:
        return self._run("upgrade", values, *flags)

    def _run(self, command: str, values: Mapping[str, Any], *flags: str) -> str:
        done = self.helm(
            command, self.name, CHART, "--namespace", self.namespace, *flags, values=values
        )
        return done.stdout

    def rollback(self, revision: int) -> None:
        self.helm("rollback", self.name, str(revision), "--namespace", self.namespace)

    def uninstall(self) -> None:
        self.helm("uninstall", self.name, "--namespace", self.namespace, "--wait", "--timeout=60s")

    def get(self, kinds: str, namespace: str | None = None) -> dict[str, str]:
        """Give the UIDs of the objects of some kinds that are of this release, by kind and name.

        `namespace` is another one than that of the release.
        """
        found = self.control_plane.kubectl(
            *("get", kinds, "-n", namespace or self.namespace, "-o", "json"),
            *("-l", f"app.kubernetes.io/instance={self.name}"),
        )
        return {
            f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["uid"]
            for each in json.loads(found.stdout)["items"]
        }

    def forget(self) -> None:
        """Take away what an uninstall leaves, so that the next test finds nothing."""
        installed = self.helm("status", self.name, "--namespace", self.namespace, check=False)
        if installed.returncode == 0:
            self.uninstall()
        kubectl, label = self.control_plane.kubectl, f"app.kubernetes.io/instance={self.name}"
        kubectl("delete", KEPT, "-l", label)
        kubectl("delete", "namespace", self.namespace, "--wait=false", "--ignore-not-found")
        kubectl("delete", "namespace", "-l", label, "--wait=false")

    def apply(self, *objects: Mapping[str, Any]) -> None:
        items: Sequence[Mapping[str, Any]] = objects
        listed = {"apiVersion": "v1", "kind": "List", "items": items}
        self.control_plane.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(listed))
