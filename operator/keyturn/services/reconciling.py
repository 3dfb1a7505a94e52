"""One reconcile: what is wanted, what is, and the difference done."""

import logging
from collections.abc import Mapping
from typing import Any

from keyturn.domain.errors import (
    ClusterUnavailableError,
    InvalidError,
    KeyturnError,
    RaceError,
    UnavailableError,
)
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.secret import Secret, SecretName
from keyturn.kube.errors import ObjectNotFoundError
from keyturn.kube.kubernetes_events import KubernetesEvents, Notice
from keyturn.kube.managed_secrets import ManagedSecrets
from keyturn.kube.resources import parse
from keyturn.observability import failpoints
from keyturn.services.clock import Clock
from keyturn.services.consumers.following import FollowedConsumers
from keyturn.services.generating import Generating
from keyturn.services.lifecycle import Lifecycle
from keyturn.services.projecting import Projecting
from keyturn.services.rotation.reporting import rotation_report
from keyturn.services.rotation.rotations import Rotations
from keyturn.services.sourcing import Sourcing
from keyturn.services.status import Report, patch_of, status_of
from keyturn.services.workqueue import Work

logger = logging.getLogger(__name__)


class Reconciler:
    """Brings one secret, its versions, its targets and its status in line with its resource."""

    def __init__(  # noqa: PLR0913 - the composition root names each collaborator
        self,
        resources: ManagedSecrets,
        lifecycle: Lifecycle,
        rotations: Rotations,
        sourcing: Sourcing,
        projecting: Projecting,
        generating: Generating,
        *,
        consumers: FollowedConsumers,
        events: KubernetesEvents,
        clock: Clock,
        own_namespaces: frozenset[str],
    ) -> None:
        self._resources = resources
        self._lifecycle = lifecycle
        self._rotations = rotations
        self._sourcing = sourcing
        self._projecting = projecting
        self._generating = generating
        self._consumers = consumers
        self._events = events
        self._clock = clock
        self._own_namespaces = own_namespaces
        self._written: dict[SecretName, tuple[int, int]] = {}

    def is_echo(self, name: SecretName, body: Mapping[str, Any]) -> bool:
        """Tell whether an event brings nothing but our own status write.

        The generation counts too: kopf hands over only the last of several quick events, and that
        one may be our write on top of an edit that nobody has looked at yet.
        """
        metadata = body["metadata"]
        seen = (int(metadata["resourceVersion"]), int(metadata.get("generation", 0)))
        if self._written.get(name) != seen:
            return False
        del self._written[name]
        return True

    async def reconcile(self, work: Work) -> KeyturnError | None:
        """Reconcile one key; return what keeps the secret from being ready.

        Raises:
            UnavailableError: the cluster or the store does not answer.
        """
        try:
            body = work.body or await self._resources.get(work.name)
        except ObjectNotFoundError:
            await self._gone(work.name)
            return None
        if "deletionTimestamp" in body["metadata"]:
            return None
        try:
            return await self._bring_in_line(work.name, body)
        except ObjectNotFoundError:
            # The resource or its namespace went away under us; its event is on the way.
            logger.debug("%s went away while it was reconciled", work.name)
            return None

    async def _bring_in_line(
        self, name: SecretName, body: Mapping[str, Any]
    ) -> KeyturnError | None:
        generation = int(body["metadata"].get("generation", 0))
        try:
            resource = parse(
                body,
                outputs_of=self._generating.outputs_of,
                own_namespaces=self._own_namespaces,
            )
        except InvalidError as error:
            await self._report(name, body, Report(generation, error=error))
            return error
        try:
            report = await self._sync(resource, body)
        except ClusterUnavailableError:
            raise
        except UnavailableError as error:
            await self._report(name, body, Report(generation, error=error))
            raise
        await self._report(name, body, report)
        return report.error

    async def _sync(self, resource: ManagedSecret, body: Mapping[str, Any]) -> Report:
        secret: Secret | None = None
        try:
            secret = await self._lifecycle.attach(resource, body)
            was = secret.stages.current
            view = self._projecting.view(resource.namespace)
            look = await self._rotations.look(
                resource, secret, view, has_failed=_has_failed(body.get("status") or {})
            )
            secret, error = look.secret, look.error
            if error is not None and not secret.projected:
                rotation = rotation_report(resource, look)
                return Report(resource.generation, secret, error=error, rotation=rotation)
            failpoints.reach("before.project")
            projected = await self._projecting.project(resource, secret, view)
            failpoints.reach("after.project")
            if projected.error is None and resource.spec.rotation is not None:
                look = await self._rotations.projected(look, resource.spec.rotation)
        except (UnavailableError, RaceError):
            raise
        except KeyturnError as problem:
            return Report(resource.generation, secret, error=problem)
        if was is not None and secret.stages.current != was:
            await self._events.post(resource.name, resource.uid, Notice.NEW_VERSION)
        for notice in projected.notices:
            await self._events.post(resource.name, resource.uid, notice)
        return Report(
            resource.generation,
            secret,
            projected.targets,
            error or projected.error,
            rotation_report(resource, look),
            await self._consumers.report(resource, secret, look.unwell),
        )

    async def _gone(self, name: SecretName) -> None:
        await self._lifecycle.record_deletion(name)
        self._projecting.forget(name)
        self._sourcing.forget(name)
        self._rotations.forget(name)
        self._consumers.forget(name)
        self._written.pop(name, None)

    async def _report(self, name: SecretName, body: Mapping[str, Any], report: Report) -> None:
        stood = body.get("status") or {}
        patch = patch_of(status_of(report, stood, self._clock()), stood)
        if patch is None:
            return
        uid = body["metadata"]["uid"]
        version = await self._resources.patch_status(name, uid, patch)
        self._written[name] = (version, report.generation)
        if report.error is not None and _ready(stood) != _ready(patch):
            await self._events.post(name, uid, Notice.NOT_READY)


def _has_failed(status: Mapping[str, Any]) -> bool:
    ready = _ready(status)
    return ready is not None and ready[0] != "True"


def _ready(status: Mapping[str, Any]) -> tuple[str, str] | None:
    for condition in status.get("conditions") or []:
        if condition["type"] == "Ready":
            return condition["status"], condition["reason"]
    return None
