"""The operator as a pod of a StatefulSet, in the restricted level of Pod Security."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keyturn import __version__
from keyturn_controlplane.certificates import NODE_NAME

IMAGE = f"localhost/keyturn:{__version__}"
POD = "keyturn-0"
DATA = "/var/lib/keyturn"

UNPRIVILEGED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY = {
    "runAsNonRoot": True,
    "fsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""Without a user: it is that of the image, which the kubelet checks not to be root."""


def a_pod_of_the_image(name: str, **container: Any) -> dict[str, Any]:
    """Make a pod that runs one container of the operator's image, and talks to nobody."""
    app = {"name": "app", "image": IMAGE, "securityContext": UNPRIVILEGED, **container}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "securityContext": POD_SECURITY,
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 2,
            "containers": [app],
        },
    }


def a_volume(folder: Path) -> dict[str, Any]:
    """Make a volume of a folder of this machine, for the operator's claim alone."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "keyturn-data"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOncePod"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "claimRef": {"namespace": "keyturn-system", "name": f"data-{POD}"},
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [_this_node()]}},
        },
    }


def an_operator() -> dict[str, Any]:
    """Make the StatefulSet."""
    selected = {"app.kubernetes.io/name": "keyturn"}
    claim = {
        "accessModes": ["ReadWriteOncePod"],
        "storageClassName": "",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "keyturn", "namespace": "keyturn-system"},
        "spec": {
            "replicas": 1,
            "serviceName": "keyturn",
            "selector": {"matchLabels": selected},
            "template": {"metadata": {"labels": selected}, "spec": _spec()},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    }


def _spec() -> dict[str, Any]:
    # The kubelet asks from outside.
    environment = [{"name": "KEYTURN_HEALTH_ADDRESS", "value": "0.0.0.0"}]  # noqa: S104
    container = {
        "name": "keyturn",
        "image": IMAGE,
        "env": environment,
        "securityContext": UNPRIVILEGED,
        "livenessProbe": _probe("/livez"),
        "readinessProbe": {**_probe("/readyz"), "periodSeconds": 1},
        "volumeMounts": [
            {"name": "data", "mountPath": DATA},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - within the pod
        ],
    }
    return {
        "serviceAccountName": "keyturn",
        "automountServiceAccountToken": True,
        # Containers that are added to look into it run as the same user and group then.
        "securityContext": {**POD_SECURITY, "runAsUser": 65532, "runAsGroup": 65532},
        "terminationGracePeriodSeconds": 20,
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}],
    }


def _probe(path: str) -> Mapping[str, Any]:
    return {"httpGet": {"path": path, "port": 8081}}


def _this_node() -> dict[str, Any]:
    name = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
    return {"matchExpressions": [name]}
