"""The eyes of the operator besides kopf: watches of metadata, and what they tell the queue."""

import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence

from keyturn.domain.secret import Secret, SecretName
from keyturn.kube.client import KubeClient
from keyturn.kube.facts import ClusterFacts
from keyturn.kube.managed_secrets import collection
from keyturn.kube.metadata_watch import MetadataWatch, Sighting
from keyturn.projection import marks
from keyturn.services.sightings import Seen, Sightings
from keyturn.services.workqueue import WorkQueue

logger = logging.getLogger(__name__)


class NativeSecretsEye:
    """Sees each native Secret that carries our label, and queues whoever projects into it."""

    def __init__(
        self, kube: KubeClient, namespaces: Sequence[str], sightings: Sightings, queue: WorkQueue
    ) -> None:
        self._sightings = sightings
        self._queue = queue
        self.watches = [self._watch(kube, namespace) for namespace in namespaces or (None,)]

    def _watch(self, kube: KubeClient, namespace: str | None) -> MetadataWatch:
        async def listed(found: list[Sighting], version: int) -> None:
            places = (((s.namespace, s.name), _seen(s)) for s in found)
            for place in self._sightings.relist(places, version, namespace):
                self._tell(place)

        path = f"/api/v1/namespaces/{namespace}/secrets" if namespace else "/api/v1/secrets"
        return MetadataWatch(
            kube, path, selector=marks.MANAGED, on_listed=listed, on_change=self._changed
        )

    def _changed(self, sighting: Sighting) -> None:
        place = (sighting.namespace, sighting.name)
        if self._sightings.observe(place, _seen(sighting)):
            self._tell(place)

    def _tell(self, place: tuple[str, str]) -> None:
        for name in self._sightings.projectors(place):
            self._queue.put(name)


def _seen(sighting: Sighting) -> Seen:
    return Seen(sighting.uid, sighting.resource_version, sighting.present)


class ManagedSecretsEye:
    """A second eye on the ManagedSecrets: it knows when it has seen all, which kopf does not tell.

    It finds what was deleted while nobody looked, and it is the witness against kopf: what it saw
    and kopf did not hand over within `patience` seconds proves that the watch of kopf is dead.
    Held in memory is one number for each resource.
    """

    def __init__(
        self,
        kube: KubeClient,
        namespaces: Sequence[str],
        facts: ClusterFacts,
        stored: Callable[[], AsyncIterator[Secret]],
        queue: WorkQueue,
        *,
        patience: float = 20.0,
    ) -> None:
        self._namespaces = tuple(namespaces)
        self._facts = facts
        self._stored = stored
        self._queue = queue
        self._patience = patience
        self._heard: dict[SecretName, int] = {}
        self._outstanding: dict[SecretName, tuple[int, float]] = {}
        self._crd_uid: str | None = None
        self.watches = [self._watch(kube, namespace) for namespace in namespaces or (None,)]

    def heard(self, name: SecretName, resource_version: int) -> None:
        """Note what kopf handed over."""
        outstanding = self._outstanding.get(name)
        if outstanding is None:
            self._heard[name] = max(resource_version, self._heard.get(name, 0))
        elif resource_version >= outstanding[0]:
            del self._outstanding[name]

    def overdue(self) -> list[SecretName]:
        """List what kopf should have handed over long ago, and forget it."""
        now = time.monotonic()
        late = [n for n, (_, since) in self._outstanding.items() if now - since > self._patience]
        for name in late:
            del self._outstanding[name]
        return late

    def _watch(self, kube: KubeClient, namespace: str | None) -> MetadataWatch:
        async def listed(found: list[Sighting], _: int) -> None:
            await self._listed(found, namespace)

        return MetadataWatch(kube, collection(namespace), on_listed=listed, on_change=self._changed)

    async def _listed(self, found: list[Sighting], namespace: str | None) -> None:
        present = {SecretName(sighting.namespace, sighting.name) for sighting in found}
        crd_uid = await self._facts.crd_uid()
        if self._crd_uid is not None and crd_uid != self._crd_uid:
            # The CRD was made anew: each resource has to be attached under the new one.
            for name in present:
                self._queue.put(name)
        self._crd_uid = crd_uid
        for sighting in found:
            self._saw(sighting)
        async for secret in self._stored():
            in_scope = namespace is None or secret.name.namespace == namespace
            if in_scope and secret.deleted_at is None and secret.name not in present:
                self._queue.put(secret.name)

    def _changed(self, sighting: Sighting) -> None:
        self._saw(sighting)

    def _saw(self, sighting: Sighting) -> None:
        name = SecretName(sighting.namespace, sighting.name)
        if self._heard.pop(name, 0) < sighting.resource_version:
            since = self._outstanding.get(name, (0, time.monotonic()))[1]
            self._outstanding[name] = (sighting.resource_version, since)
