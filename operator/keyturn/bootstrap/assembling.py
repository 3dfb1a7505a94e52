"""Puts a running operator together from its parts."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from keyturn import plugins
from keyturn.bootstrap.consuming import consuming_of
from keyturn.bootstrap.eyesight import Eyesight, eyesight_of
from keyturn.bootstrap.rotating import Around, rotating_of
from keyturn.bootstrap.vault import Vault, now
from keyturn.crypto.local_key import LocalKey
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.secret import Secret, SecretName
from keyturn.handlers.eyes import ManagedSecretsEye
from keyturn.handlers.operating import Operator
from keyturn.handlers.watching import KopfWatch
from keyturn.handlers.witness import Witness
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.facts import ClusterFacts
from keyturn.kube.following import Following
from keyturn.kube.kubernetes_events import KubernetesEvents
from keyturn.kube.managed_secrets import ManagedSecrets
from keyturn.kube.resources import from_manifest, parse
from keyturn.kube.sources import Sources
from keyturn.services.consumers.inventory import Consumers
from keyturn.services.generating import Generating
from keyturn.services.importing import Importing
from keyturn.services.lifecycle import Lifecycle
from keyturn.services.operations import Operations
from keyturn.services.projecting import Projecting
from keyturn.services.purging import Purging
from keyturn.services.reconciling import Reconciler
from keyturn.services.rotation.rotations import Rotations
from keyturn.services.scheduling import Scheduler
from keyturn.services.sourcing import Sourcing
from keyturn.services.target_writing import TargetWriter
from keyturn.services.targets import Targets
from keyturn.services.workers import Workers
from keyturn.services.workqueue import WorkQueue
from keyturn.settings import Settings


@dataclass(frozen=True, slots=True)
class Running:
    """A running operator: what people ask of it, and how it fares."""

    operations: Operations
    operator: Operator
    consumers: Consumers
    key: LocalKey
    replaced: asyncio.Event
    """Set when another operator has taken over."""


class _News:
    """Tells the rotations, once they are there, before the queue: a back-off ends with news."""

    def __init__(self, queue: Callable[[SecretName], None]) -> None:
        self.first: Callable[[SecretName], None] | None = None
        self._queue = queue

    def __call__(self, name: SecretName) -> None:
        if self.first is not None:
            self.first(name)
        self._queue(name)


async def started(
    stack: AsyncExitStack,
    settings: Settings,
    vault: Vault,
    kube: KubeClient,
    facts: ClusterFacts,
    connection: Connection,
) -> Running:
    scheduler = Scheduler()
    queue = WorkQueue(scheduler)
    resources = ManagedSecrets(kube)
    eyesight = eyesight_of(settings, kube, queue)
    lifecycle = Lifecycle(vault.store, vault.manifests, facts, resources, now)
    sources = Sources(
        kube, author_checked=facts.author_checked, own_namespaces=settings.own_namespaces
    )
    generating = Generating(plugins.load("keyturn.generators"), sources, now)
    news = _News(queue.put)
    following = Following(kube, news, eyesight.unwatched)
    stack.push_async_callback(following.close)
    projecting, importing = _projecting(vault, facts, eyesight, queue)
    sourcing = Sourcing(
        vault.versions,
        generating,
        sources,
        importing,
        vault.keys.fingerprint,
        partial(following.follow, purpose="sources"),
    )
    events = KubernetesEvents(kube, instance=f"keyturn-{os.getpid()}")
    consuming = consuming_of(stack, settings, vault, kube, facts, queue=queue, events=events)
    around = Around(sourcing, projecting.view, following, queue.put, events, consuming.consumers)
    rotating = await rotating_of(stack, settings, vault, kube, facts, around)
    news.first = rotating.rotations.news
    reconciler = Reconciler(
        resources,
        lifecycle,
        rotating.rotations,
        sourcing,
        projecting,
        generating,
        consumers=consuming.followed,
        events=events,
        clock=now,
        own_namespaces=settings.own_namespaces,
    )
    scope = settings.watch_namespaces
    witness = Witness()
    managed_eye = ManagedSecretsEye(kube, scope, facts, vault.store.secrets, queue, witness)
    operator = Operator(
        queue,
        reconciler,
        managed_eye,
        eyesight.watches,
        witness,
        check_store=vault.store.check,
        is_replaced=rotating.leadership.lost.is_set,
    )
    kopf = KopfWatch(connection, scope, operator.heard, facts.served)
    stack.push_async_callback(kopf.close)
    operations = operations_of(
        vault, generating, lifecycle, queue.put, settings, rotating.rotations
    )
    workers = Workers(queue, reconciler, settings.workers)
    tasks = {
        "scheduler": scheduler.run,
        "purging": Purging(lifecycle).run,
        **rotating.tasks,
        **eyesight.tasks,
        **consuming.tasks,
    }
    await stack.enter_async_context(operator.running(kopf, workers, tasks))
    return Running(operations, operator, consuming.consumers, vault.key, rotating.leadership.lost)


def _projecting(
    vault: Vault,
    facts: ClusterFacts,
    eyesight: Eyesight,
    queue: WorkQueue,
) -> tuple[Projecting, Importing]:
    targets = Targets(vault.store, vault.identity, vault.keys, facts.author_checked)
    importing = Importing(targets, vault.versions)
    writer = TargetWriter(
        vault.store,
        vault.versions,
        eyesight.natives,
        targets,
        importing,
        sightings=eyesight.sightings,
        keys=vault.keys,
        touched=queue.put,
        clock=now,
    )
    projecting = Projecting(
        vault.store,
        eyesight.natives,
        targets,
        writer,
        eyesight.sightings,
        touched=queue.put,
        clock=now,
    )
    return projecting, importing


def operations_of(
    vault: Vault,
    generating: Generating,
    lifecycle: Lifecycle | None,
    changed: Callable[[SecretName], None],
    settings: Settings,
    rotations: Rotations | None = None,
) -> Operations:
    def resource_of(secret: Secret) -> ManagedSecret:
        body = from_manifest(vault.manifests.open(secret)[0])
        body["metadata"]["uid"] = secret.resource_uid
        return parse(body, outputs_of=generating.outputs_of, own_namespaces=settings.own_namespaces)

    return Operations(
        vault.store,
        vault.versions,
        generating,
        vault.keys.fingerprint,
        resource_of,
        lifecycle=lifecycle,
        rotations=rotations,
        changed=changed,
        clock=now,
    )
