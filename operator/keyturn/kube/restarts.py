"""Restart a workload: write the versions that its pods are to start with into its pod template."""

from collections.abc import Mapping

from keyturn.domain.consumers import Workload
from keyturn.domain.errors import DeniedError
from keyturn.kube.client import MERGE_PATCH, Json, KubeClient, query
from keyturn.kube.errors import POLICY_MARK
from keyturn.kube.metadata_watch import METADATA
from keyturn.kube.workloads import WORKLOADS

FIELD_MANAGER = "keyturn-consumers"
"""Whom the apiserver names as the writer of the annotations; GitOps tools can ignore it by that."""


class Restarts:
    """Patches workloads, and nothing of them but annotations of the pod template."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube

    async def restart(self, namespace: str, workload: Workload, marks: Mapping[str, str]) -> str:
        """Write the annotations; return the new resource version.

        Raises:
            ChangedError: it was changed since it was read; its UID and resource version tell.
            ObjectNotFoundError: it is gone.
            DeniedError: the right is missing, or a policy refuses it; the message says which.
            InvalidError: the apiserver, or somebody whom it asks, takes no change of it.
            ClusterUnavailableError: the apiserver does not answer.
        """
        resource = WORKLOADS[workload.ref.kind]
        body: Json = {
            "metadata": {"uid": workload.uid, "resourceVersion": workload.resource_version},
            "spec": {"template": {"metadata": {"annotations": dict(marks)}}},
        }
        path = f"{resource.path(namespace)}/{workload.ref.name}" + query(fieldManager=FIELD_MANAGER)
        try:
            answer = await self._kube.request(
                "PATCH", path, body=body, content_type=MERGE_PATCH, accept=METADATA
            )
        except DeniedError as error:
            if POLICY_MARK in error.message:
                raise
            kind = f"{resource.plural}.{resource.group_name}"
            raise DeniedError(
                f"the operator may not patch {kind} in {namespace}; apply rbac/"
            ) from None
        return str(answer["metadata"]["resourceVersion"])
