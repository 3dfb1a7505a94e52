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
from keyturn.kube.managed_secrets import ManagedSecrets, authored
from keyturn.kube.resources import parse
from keyturn.observability import failpoints
from keyturn.services.clock import Clock
from keyturn.services.consumers.following import FollowedConsumers
from keyturn.services.generating import Generating
from keyturn.services.lifecycle import Lifecycle
from keyturn.services.projecting import Projecting
from keyturn.services.rotation.reporting import CONDITION, rotation_report
from keyturn.services.rotation.rotations import Rotations
from keyturn.services.sourcing import Sourcing
from keyturn.services.status import READY, Report, patch_of, status_of
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
        self._written: dict[SecretName, str] = {}

    def is_echo(self, name: SecretName, body: Mapping[str, Any]) -> bool:
        """Tell whether an event brings nothing but our own status write."""
        if self._written.get(name) != body["metadata"]["resourceVersion"]:
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
            await self._report(name, body, Report(generation, error=error, is_cut_short=True))
            return error
        try:
            report = await self._sync(resource, body)
        except ClusterUnavailableError:
            raise
        except UnavailableError as error:
            await self._report(name, body, Report(generation, error=error, is_cut_short=True))
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
            look = self._rotations.shown(look, projected.left_behind)
            if projected.left_behind is None and resource.spec.rotation is not None:
                look = await self._rotations.projected(look, resource.spec.rotation)
        except (UnavailableError, RaceError):
            raise
        except KeyturnError as problem:
            return Report(resource.generation, secret, error=problem, is_cut_short=True)
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
        status = status_of(report, stood, self._clock())
        patch = patch_of(status, stood)
        if patch is None:
            return
        uid = body["metadata"]["uid"]
        metadata = await self._resources.patch_status(name, uid, patch)
        # kopf hands over only the last of several quick events, and our write may lie on top of an
        # edit that nobody has looked at yet: then its event is news.
        if authored(metadata) == authored(body["metadata"]):
            self._written[name] = metadata["resourceVersion"]
        warning = _warning(report, stood, status)
        if warning is not None:
            await self._events.post(name, uid, warning)


def _warning(report: Report, stood: Mapping[str, Any], status: Mapping[str, Any]) -> Notice | None:
    """Tell what became wrong, the worst of it; what is wrong still was told before."""
    if report.error is not None and _told(stood, READY) != _told(status, READY):
        return Notice.NOT_READY
    is_hindered = report.rotation is not None and report.rotation.is_hindered
    if is_hindered and _told(stood, CONDITION) != _told(status, CONDITION):
        return Notice.ROTATION_HINDERED
    return None


def _has_failed(status: Mapping[str, Any]) -> bool:
    ready = _told(status, READY)
    return ready is not None and ready[0] != "True"


def _told(status: Mapping[str, Any], kind: str) -> tuple[str, str] | None:
    """Give status and reason of a condition."""
    for condition in status.get("conditions") or []:
        if condition["type"] == kind:
            return condition["status"], condition["reason"]
    return None
