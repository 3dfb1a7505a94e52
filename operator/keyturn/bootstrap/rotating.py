"""Puts the rotation engine together."""

import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from keyturn.bootstrap.vault import Vault, now
from keyturn.domain.errors import KeyturnError
from keyturn.domain.rotation_event import Channel
from keyturn.domain.secret import SecretName
from keyturn.kube.client import KubeClient
from keyturn.kube.facts import ClusterFacts
from keyturn.kube.following import Following
from keyturn.kube.jobs import Jobs
from keyturn.kube.kubernetes_events import KubernetesEvents
from keyturn.kube.leases import Leases
from keyturn.kube.rotators import Rotators
from keyturn.notifications.sink import Endpoint, EventSink
from keyturn.rotators.catalogue import Catalogue
from keyturn.services.calendar import Calendar
from keyturn.services.consumers.gates import ConsumerGate
from keyturn.services.consumers.inventory import Consumers
from keyturn.services.rotation.aiming import Aiming
from keyturn.services.rotation.delivering import Deliver, Delivering
from keyturn.services.rotation.leadership import Leadership
from keyturn.services.rotation.leading import Leading
from keyturn.services.rotation.pending import PendingVersions
from keyturn.services.rotation.performing import Performing
from keyturn.services.rotation.pool import RotationPool
from keyturn.services.rotation.rotations import Rotations
from keyturn.services.sourcing import Sourcing
from keyturn.services.targets import NativeView
from keyturn.settings import Settings
from keyturn.store.journal import Telling

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Around:
    """What of the rest of the operator the rotations work with."""

    sourcing: Sourcing
    view_of: Callable[[str], NativeView]
    following: Following
    changed: Callable[[SecretName], None]
    events: KubernetesEvents
    consumers: Consumers


@dataclass(frozen=True, slots=True)
class Rotating:
    """The rotation engine, and the tasks that it has to be given."""

    rotations: Rotations
    leadership: Leadership
    tasks: Mapping[str, Callable[[], Awaitable[None]]]


async def rotating_of(
    stack: AsyncExitStack,
    settings: Settings,
    vault: Vault,
    kube: KubeClient,
    facts: ClusterFacts,
    around: Around,
) -> Rotating:
    """Take the epoch of the store, and assemble what rotates."""
    journal = vault.store.rotations
    deliveries: dict[Channel, Deliver] = {Channel.CLUSTER: around.events.post_rotation}
    if settings.events_url:
        sink = _sink(settings, vault)
        stack.push_async_callback(sink.close)
        deliveries[Channel.SINK] = sink.deliver
    channels = tuple(deliveries)
    delivering = Delivering(journal, deliveries, clock=now)
    leases = Leases(kube, settings.namespace, settings.lease)
    holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    leading = Leading(leases, holder, str(vault.identity.store_id))
    leadership = Leadership(journal, leading)
    jobs = Jobs(kube, namespace=settings.jobs_namespace)
    rotators = Rotators(
        kube,
        author_checked=facts.author_checked,
        rotator_author_checked=facts.rotator_author_checked,
        own_namespaces=settings.own_namespaces,
    )
    aiming = Aiming(Catalogue(), rotators, vault.store, vault.versions, jobs)
    pending = PendingVersions(vault.versions, around.sourcing, vault.keys.fingerprint)
    performing = Performing(
        vault.store,
        journal,
        vault.versions,
        aiming=aiming,
        pending=pending,
        leadership=leadership,
        view_of=around.view_of,
        channels=channels,
        told=delivering.poke,
        clock=now,
    )
    pool, calendar = RotationPool(settings.rotations), Calendar(now)
    rotations = Rotations(
        journal,
        around.sourcing,
        pending=pending,
        aiming=aiming,
        performing=performing,
        pool=pool,
        calendar=calendar,
        leadership=leadership,
        follow=partial(around.following.follow, purpose="rotation"),
        gate=ConsumerGate(around.consumers, journal, leadership, now),
        changed=around.changed,
        telling=lambda: Telling(now(), channels),
        told=delivering.poke,
        clock=now,
    )

    async def lead() -> None:
        await _sweep(jobs)
        await leadership.lead(rotations.look_at_all)

    tasks = {
        "lease": leading.run,
        "leadership": lead,
        "rotations": pool.run,
        "calendar": calendar.run,
        "events": delivering.run,
    }
    return Rotating(rotations, leadership, tasks)


async def _sweep(jobs: Jobs) -> None:
    """Delete the values that the Jobs of an operator that was killed left behind."""
    try:
        await jobs.sweep()
    except KeyturnError as error:
        # Where no Job ever runs, its namespace and the rights there may be missing.
        logger.info("Jobs that an earlier operator left are not looked for: %s", error.message)


def _sink(settings: Settings, vault: Vault) -> EventSink:
    endpoint = Endpoint(
        settings.events_url,
        settings.events_format,
        ca_file=settings.events_ca_file,
        key_file=settings.events_key_file,
    )
    return EventSink(endpoint, vault.identity.cluster_uid)
