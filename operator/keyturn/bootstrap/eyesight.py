"""How the operator sees native Secrets: by its rights on them, which its mode tells."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from keyturn.handlers.eyes import NativeSecretsEye
from keyturn.kube.caged_native_secrets import CagedNativeSecrets
from keyturn.kube.client import KubeClient
from keyturn.kube.following import Unwatched
from keyturn.kube.metadata_watch import MetadataWatch
from keyturn.kube.native_secrets import NativeSecrets
from keyturn.services.rounds import Rounds
from keyturn.services.sightings import Sightings
from keyturn.services.workqueue import WorkQueue
from keyturn.settings import Mode, Settings


@dataclass(frozen=True, slots=True)
class Eyesight:
    """What reads native Secrets, what remembers how they stood, and what keeps that up to date.

    `unwatched` are the kinds that cannot be followed by a watch; None: all can.
    """

    natives: NativeSecrets
    sightings: Sightings
    watches: Sequence[MetadataWatch] = ()
    unwatched: Unwatched | None = None
    tasks: Mapping[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)


def eyesight_of(settings: Settings, kube: KubeClient, queue: WorkQueue) -> Eyesight:
    if settings.mode is Mode.CAGED:
        interval = settings.reapply_interval.total_seconds()
        rounds = Rounds(interval, queue.put)
        return Eyesight(
            CagedNativeSecrets(kube),
            rounds,
            unwatched=Unwatched(frozenset({"secrets"}), interval, queue.put),
            tasks={"rounds": rounds.run},
        )
    sightings = Sightings()
    eye = NativeSecretsEye(kube, settings.watch_namespaces, sightings, queue)
    return Eyesight(NativeSecrets(kube), sightings, eye.watches)
