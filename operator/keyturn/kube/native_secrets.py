"""Native Secrets: create, apply, read and delete, each with a guard against a race."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from keyturn.kube.client import APPLY_PATCH, MERGE_PATCH, Json, KubeClient, query
from keyturn.kube.metadata_watch import METADATA, Sighting

_A_SECOND = timedelta(seconds=1)
"""The apiserver's times have no fractions."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the apiserver made of a write."""

    uid: str
    resource_version: int


def path_to(namespace: str, name: str = "") -> str:
    """Give the path of a native Secret, or of all of a namespace."""
    return f"/api/v1/namespaces/{namespace}/secrets" + (f"/{name}" if name else "")


def data_since(actual: Json) -> datetime | None:
    """Tell from when a native Secret surely has its data; None if nothing says.

    That is when the last of those who manage some of its data wrote anything of it.
    """
    entries = actual["metadata"].get("managedFields") or ()
    times = [
        datetime.fromisoformat(entry["time"])
        for entry in entries
        if entry.get("time") and "f:data" in (entry.get("fieldsV1") or ())
    ]
    return max(times) + _A_SECOND if times else None


def field_manager(secret_id: object) -> str:
    return f"keyturn-{secret_id}"


class NativeSecrets:
    """The native Secrets of the cluster. Nothing that it returns is kept by it."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube

    async def metadata(self, namespace: str, name: str) -> Sighting:
        """Raises: ObjectNotFoundError."""
        answer = await self._kube.request("GET", path_to(namespace, name), accept=METADATA)
        return Sighting.of(answer)

    async def get(self, namespace: str, name: str) -> Json:
        """Read one with its data. Raises: ObjectNotFoundError."""
        return await self._kube.request("GET", path_to(namespace, name))

    async def create(self, namespace: str, body: bytearray, *, manager: str) -> Written:
        """Create it if it is absent; server-side apply could not tell the difference.

        Raises:
            AlreadyExistsError: there is one of that name.
        """
        path = path_to(namespace) + query(fieldManager=manager, fieldValidation="Strict")
        return _written(await self._kube.request("POST", path, body=body, accept=METADATA))

    async def apply(
        self, actual: Json, body: bytearray, *, manager: str, labels: Mapping[str, str]
    ) -> Written:
        """Apply our fields by force to a native Secret that was just read.

        The body's UID guards against one that was made anew. `labels` are those of the body.

        Raises:
            ChangedError: the Secret has another UID, or was changed while it was handed over.
            ObjectNotFoundError: it is gone.
        """
        metadata = actual["metadata"]
        if any(_was_created_by(entry, manager) for entry in metadata.get("managedFields") or ()):
            await self._hand_over(metadata, manager, labels)
        path = path_to(metadata["namespace"], metadata["name"]) + query(
            fieldManager=manager, force="true", fieldValidation="Strict"
        )
        answer = await self._kube.request(
            "PATCH", path, body=body, content_type=APPLY_PATCH, accept=METADATA
        )
        return _written(answer)

    async def _hand_over(self, metadata: Json, manager: str, labels: Mapping[str, str]) -> None:
        """Turn the entry that our POST left in managedFields into one of server-side apply, once.

        Else its fields would stay ours by "Update" for ever, and a key that the ManagedSecret no
        longer has would stay too. client-go does the same on the way to server-side apply. Our
        labels come along, should somebody have taken them off: the policy keyturn-cage refuses
        every write that leaves a Secret of ours without them.
        """
        handed = [
            {**entry, "operation": "Apply"} if _was_created_by(entry, manager) else entry
            for entry in metadata["managedFields"]
        ]
        patch: Json = {
            "metadata": {
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
                "labels": dict(labels),
                "managedFields": handed,
            }
        }
        path = path_to(metadata["namespace"], metadata["name"]) + query(fieldManager="keyturn")
        await self._kube.request(
            "PATCH", path, body=patch, content_type=MERGE_PATCH, accept=METADATA
        )

    async def delete(self, namespace: str, name: str, written: Written) -> None:
        """Delete exactly the one that was seen.

        Raises:
            ChangedError: it was changed or made anew meanwhile.
            ObjectNotFoundError: it is gone.
        """
        preconditions = {"uid": written.uid, "resourceVersion": str(written.resource_version)}
        await self._kube.request(
            "DELETE",
            path_to(namespace, name),
            body={"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions},
        )


def _was_created_by(entry: Mapping[str, Any], manager: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == "Update"


def _written(answer: Json) -> Written:
    metadata = answer["metadata"]
    return Written(metadata["uid"], int(metadata["resourceVersion"]))
