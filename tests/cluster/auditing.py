"""The audit log of an apiserver: every request, as the apiserver itself noted it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from keyturn_controlplane.cluster import ControlPlane

WATCHED = ("orders", "billing")
"""The namespaces of a control plane where the operator has rights in some only."""

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
"""


class Asked(NamedTuple):
    """A request: what for, where (empty: everywhere), and the status of its answer."""

    verb: str
    resource: str
    namespace: str
    name: str
    uri: str
    status: int


@dataclass(frozen=True)
class AuditLog:
    """What an apiserver notes in a folder, if it is started with `flags`."""

    folder: Path

    @property
    def flags(self) -> list[str]:
        policy = self.folder / "policy.yaml"
        policy.write_text(POLICY)
        return [f"--audit-policy-file={policy}", f"--audit-log-path={self.folder / 'audit.log'}"]

    def of(self, user: str) -> Iterator[Asked]:
        """Give the requests of a user that have ended, the oldest first; a watch ends late.

        What a test itself asked in the user's name, by pykube, is left out.
        """
        log = (self.folder / "audit.log").read_text()
        # The apiserver writes on: its last line may be there by half.
        for line in log[: log.rfind("\n") + 1].splitlines():
            event: dict[str, Any] = json.loads(line)
            is_of_a_test = event.get("userAgent", "").startswith("pykube")
            if event["user"]["username"] == user and not is_of_a_test:
                about = event.get("objectRef") or {}
                yield Asked(
                    event["verb"],
                    about.get("resource", ""),
                    about.get("namespace", ""),
                    about.get("name", ""),
                    event["requestURI"],
                    event["responseStatus"]["code"],
                )


class Audited(NamedTuple):
    """A control plane, and what its apiserver notes."""

    control_plane: ControlPlane
    audit: AuditLog
