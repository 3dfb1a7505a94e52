"""Kubernetes Events with fixed texts: nothing that a driver or a user wrote gets into one."""

import hashlib
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from keyturn.domain.consumers import Workload
from keyturn.domain.errors import KeyturnError
from keyturn.domain.rotation_event import EventKind, RotationEvent
from keyturn.domain.secret import SecretName
from keyturn.kube.client import KubeClient
from keyturn.kube.errors import AlreadyExistsError, ObjectNotFoundError

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
    ROTATION_HINDERED = (
        "Warning",
        "RotationHindered",
        "A rotation cannot begin or go on, or the previous credential cannot be ended; see the"
        " condition Rotated.",
    )


class RestartEvent(Enum):
    """What is told of a restart: the type, the reason and the text, with names and a number."""

    TRIGGERED = ("Normal", "RolloutRestartTriggered", "{workload} is restarted for version {mark}.")
    FAILED = (
        "Warning",
        "RolloutRestartFailed",
        "{workload} could not be restarted for version {mark}; it is tried again. See the condition"
        " ConsumersUpToDate.",
    )


class KubernetesEvents:
    """Posts Events about ManagedSecrets."""

    def __init__(self, kube: KubeClient, *, instance: str) -> None:
        self._kube = kube
        self._instance = instance

    async def post(self, name: SecretName, uid: str, notice: Notice) -> None:
        """Post an event; a failure is logged and forgotten."""
        kind, reason, text = notice.value
        body = self._body(name, uid, datetime.now(UTC), (kind, reason, text))
        body["metadata"]["generateName"] = f"{_beginning(name)}-"
        try:
            await self._create(name, body)
        except KeyturnError as error:
            logger.info("event %s about %s is lost: %s", reason, name, error.code)

    async def post_rotation(self, event: RotationEvent) -> None:
        """Post an event of a rotation, named by its id, so that it is there once.

        Raises:
            KeyturnError: the apiserver does not take it now.
        """
        kind, text = _ROTATION_TEXTS[event.kind]
        told = text.format(version=event.version, step=event.step, code=event.code)
        body = self._body(
            event.name, event.resource_uid, event.time, (kind, event.kind.value, told)
        )
        body["metadata"]["name"] = f"{_beginning(event.name)}-{event.id}"
        try:
            await self._create(event.name, body)
        except (AlreadyExistsError, ObjectNotFoundError):
            # Posted before a crash, or its namespace is gone.
            logger.debug("event %s about %s needs no delivery", event.kind, event.name)

    async def post_restart(
        self, name: SecretName, uid: str, event: RestartEvent, *, workload: Workload, mark: str
    ) -> None:
        """Post an event of a restart, once for each version of a ManagedSecret and workload.

        A failure is logged and forgotten.
        """
        kind, reason, text = event.value
        told = text.format(workload=workload.ref, mark=mark)
        body = self._body(name, uid, datetime.now(UTC), (kind, reason, told))
        parts = "\n".join((reason, uid, workload.uid, mark))
        digest = hashlib.sha256(parts.encode()).hexdigest()[:16]
        body["metadata"]["name"] = f"{_beginning(name)}-{digest}"
        try:
            await self._create(name, body)
        except AlreadyExistsError:
            logger.debug("event %s about %s was posted before", reason, name)
        except KeyturnError as error:
            logger.info("event %s about %s is lost: %s", reason, name, error.code)

    def _body(
        self, name: SecretName, uid: str, time: datetime, told: tuple[str, str, str]
    ) -> dict[str, Any]:
        kind, reason, text = told
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"namespace": name.namespace},
            "eventTime": time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
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

    async def _create(self, name: SecretName, body: dict[str, Any]) -> None:
        path = f"/apis/events.k8s.io/v1/namespaces/{name.namespace}/events"
        await self._kube.request("POST", path, body=body)


def _beginning(name: SecretName) -> str:
    """Cut a name so that more can follow; no part of it may end with what is cut at."""
    return name.name[:200].rstrip(".-")


_ROTATION_TEXTS: Mapping[EventKind, tuple[str, str]] = {
    EventKind.STARTED: ("Normal", "Rotation began; version {version} is Pending."),
    EventKind.SUCCEEDED: ("Normal", "Rotation succeeded; version {version} is Current."),
    EventKind.FAILED: ("Warning", "Rotation failed at {step} with {code}; it is tried again."),
    EventKind.ABANDONED: ("Warning", "Rotation to version {version} was given up."),
    EventKind.ROLLED_BACK: (
        "Warning",
        "A workload did not become healthy; version {version} has the values of the version before,"
        " and rotation stands still. See the condition Rotated.",
    ),
}
