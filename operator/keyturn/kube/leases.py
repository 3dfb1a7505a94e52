"""The Lease by which operators agree which of them rotates (coordination.k8s.io/v1)."""

from dataclasses import dataclass
from datetime import UTC, datetime

from keyturn.kube.client import Json, KubeClient
from keyturn.kube.errors import ObjectNotFoundError

STORE = "keyturn.dev/store-id"
"""The annotation that names the store of the holder."""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A Lease as it stands: who holds it, with which store, and when it was last renewed.

    `renewed` is the holder's own word and is only compared, never taken for a time: the clocks of
    two nodes need not agree.
    """

    holder: str
    store_id: str
    renewed: str
    transitions: int
    resource_version: str


class Leases:
    """Reads and writes one Lease."""

    def __init__(self, kube: KubeClient, namespace: str, name: str) -> None:
        self._kube = kube
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name

    async def read(self) -> LeaseRecord | None:
        """Return the Lease; None if there is none."""
        try:
            body = await self._kube.request("GET", f"{self._collection}/{self._name}")
        except ObjectNotFoundError:
            return None
        spec, metadata = body.get("spec") or {}, body["metadata"]
        return LeaseRecord(
            holder=spec.get("holderIdentity") or "",
            store_id=(metadata.get("annotations") or {}).get(STORE, ""),
            renewed=spec.get("renewTime") or "",
            transitions=int(spec.get("leaseTransitions") or 0),
            resource_version=metadata["resourceVersion"],
        )

    async def write(
        self, holder: str, store_id: str, seconds: float, stood: LeaseRecord | None
    ) -> None:
        """Make the Lease, renew it, or take it over from `stood`.

        Raises:
            RaceError: somebody else wrote it meanwhile.
        """
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        moves = stood is not None and stood.holder != holder
        body: Json = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "annotations": {STORE: store_id}},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": round(seconds),
                "renewTime": now,
                "leaseTransitions": (stood.transitions if stood else 0) + moves,
            },
        }
        if stood is None:
            await self._kube.request("POST", self._collection, body=body)
            return
        body["metadata"]["resourceVersion"] = stood.resource_version
        await self._kube.request("PUT", f"{self._collection}/{self._name}", body=body)
