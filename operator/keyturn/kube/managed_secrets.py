"""ManagedSecrets: read, report into the status, and make again."""

from collections.abc import Mapping
from typing import Any

from keyturn.domain.secret import SecretName
from keyturn.kube.client import MERGE_PATCH, Json, KubeClient, query
from keyturn.kube.metadata_watch import METADATA

GROUP, VERSION, PLURAL = "keyturn.dev", "v1alpha1", "managedsecrets"
CRD = f"{PLURAL}.{GROUP}"


def collection(namespace: str | None = None) -> str:
    """Give the path of all ManagedSecrets, or of those of a namespace."""
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{GROUP}/{VERSION}{where}/{PLURAL}"


def authored(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Give what of a resource's metadata a write of its status leaves as it is.

    Where two answers differ in it, somebody changed the resource: of its spec the generation tells.
    Empty fields are left out, as some answers leave them out.
    """
    changing = ("resourceVersion", "managedFields")
    return {field: value for field, value in metadata.items() if value and field not in changing}


class ManagedSecrets:
    """The ManagedSecrets of the cluster, as JSON."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube

    async def get(self, name: SecretName) -> Json:
        """Raises: ObjectNotFoundError, KindNotFoundError."""
        return await self._kube.request("GET", f"{collection(name.namespace)}/{name.name}")

    async def create(self, body: Json) -> Json:
        """Raises: AlreadyExistsError."""
        namespace = body["metadata"]["namespace"]
        path = collection(namespace) + query(fieldManager="keyturn")
        return await self._kube.request("POST", path, body=body)

    async def patch_status(self, name: SecretName, uid: str, status: Json) -> Json:
        """Write the status and return the metadata of the resource as it is then.

        The UID guards against a resource of the same name that was made meanwhile.

        Raises:
            ChangedError: the resource has another UID.
            ObjectNotFoundError: the resource is gone.
        """
        path = f"{collection(name.namespace)}/{name.name}/status" + query(fieldManager="keyturn")
        answer = await self._kube.request(
            "PATCH",
            path,
            body={"metadata": {"uid": uid}, "status": status},
            content_type=MERGE_PATCH,
            accept=METADATA,
        )
        metadata: Json = answer["metadata"]
        return metadata
