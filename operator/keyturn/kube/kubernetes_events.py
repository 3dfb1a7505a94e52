"""Kubernetes Events with fixed texts: nothing that a driver or a user wrote gets into one."""

import logging
from datetime import UTC, datetime
from enum import Enum

from keyturn.domain.errors import KeyturnError
from keyturn.domain.secret import SecretName
from keyturn.kube.client import KubeClient

logger = logging.getLogger(__name__)


class Notice(Enum):
    """What is worth an Event: the type, the reason and the whole text."""

    DRIFT_CORRECTED = (
        "Normal",
        "SecretDataDrift",
        "A projected Secret was changed; it is put right.",
    )
    RECREATED = ("Normal", "SecretRecreated", "A projected Secret was missing; it is made again.")
    NEW_VERSION = ("Normal", "SecretUpdated", "A new version is Current and projected.")
    IMPORTED = ("Normal", "SecretImported", "The values of an existing Secret are version 1.")
    NOT_READY = (
        "Warning",
        "SecretSyncedError",
        "The secret is not in sync; see the condition Ready.",
    )


class KubernetesEvents:
    """Posts Events about ManagedSecrets; a failure is logged and forgotten."""

    def __init__(self, kube: KubeClient, *, instance: str) -> None:
        self._kube = kube
        self._instance = instance

    async def post(self, name: SecretName, uid: str, notice: Notice) -> None:
        kind, reason, text = notice.value
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"generateName": f"{name.name[:200]}-", "namespace": name.namespace},
            "eventTime": datetime.now(UTC)
            .isoformat(timespec="microseconds")
            .replace("+00:00", "Z"),
            "type": kind,
            "reason": reason,
            "action": "Reconcile",
            "note": text,
            "reportingController": "keyturn.dev/operator",
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": "keyturn.dev/v1alpha1",
                "kind": "ManagedSecret",
                "namespace": name.namespace,
                "name": name.name,
                "uid": uid,
            },
        }
        try:
            path = f"/apis/events.k8s.io/v1/namespaces/{name.namespace}/events"
            await self._kube.request("POST", path, body=body)
        except KeyturnError as error:
            logger.info("event %s about %s is lost: %s", reason, name, error.code)
