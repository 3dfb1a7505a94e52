"""Puts together what knows the consumers of the projected Secrets."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from keyturn.bootstrap.vault import Vault, now
from keyturn.domain.restarting import Rules
from keyturn.handlers.pods_eye import PodsEye
from keyturn.kube.client import KubeClient
from keyturn.kube.consumers import ConsumerReader
from keyturn.kube.facts import ClusterFacts
from keyturn.kube.kubernetes_events import KubernetesEvents
from keyturn.kube.restarts import Restarts
from keyturn.services.calendar import Calendar
from keyturn.services.consumers.acting import Acting
from keyturn.services.consumers.following import FollowedConsumers
from keyturn.services.consumers.interest import Interest
from keyturn.services.consumers.inventory import Consumers
from keyturn.services.consumers.reload_calls import ReloadCalls
from keyturn.services.consumers.reloads import Reloads
from keyturn.services.workqueue import WorkQueue
from keyturn.settings import Settings


@dataclass(frozen=True, slots=True)
class Consuming:
    """What reads consumers, what reports them, and the tasks that it has to be given."""

    consumers: Consumers
    followed: FollowedConsumers
    tasks: Mapping[str, Callable[[], Awaitable[None]]]


def consuming_of(  # noqa: PLR0913 - the composition root names each collaborator
    stack: AsyncExitStack,
    settings: Settings,
    vault: Vault,
    kube: KubeClient,
    facts: ClusterFacts,
    *,
    queue: WorkQueue,
    events: KubernetesEvents,
) -> Consuming:
    reader = ConsumerReader(kube, partial(vault.keys.fingerprint, "pod template"))
    consumers, interest = Consumers(reader, vault.store), Interest()
    eye = PodsEye(kube, settings.watch_namespaces, interest, queue.put, reader.took)
    calendar = Calendar(now)
    calls = ReloadCalls(kube.host, settings.reload_allow)
    reloads = Reloads(vault.store, calls, calendar, changed=queue.put, clock=now)
    stack.push_async_callback(reloads.close)
    acting = Acting(
        Restarts(kube),
        reloads,
        events,
        calendar,
        are_caged=facts.workloads_are_caged,
        rules=Rules(settings.restarts_per_namespace, settings.reloader),
        changed=queue.put,
        clock=now,
    )
    followed = FollowedConsumers(consumers, interest, queue.again_after, acting)
    return Consuming(consumers, followed, {"pods": eye.run, "restarts": calendar.run})
