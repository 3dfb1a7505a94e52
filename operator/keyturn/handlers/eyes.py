"""The eyes of the operator besides kopf: watches of metadata, and what they tell the queue."""

from collections.abc import AsyncIterator, Callable, Sequence

from keyturn.domain.secret import Secret, SecretName
from keyturn.handlers.witness import Witness
from keyturn.kube.client import KubeClient
from keyturn.kube.facts import ClusterFacts
from keyturn.kube.managed_secrets import collection
from keyturn.kube.metadata_watch import MetadataWatch, Sighting
from keyturn.projection import marks
from keyturn.services.sightings import Seen, Sightings
from keyturn.services.workqueue import WorkQueue


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

    It finds what was deleted while nobody looked, and what it sees is the witness against kopf.
    """

    def __init__(
        self,
        kube: KubeClient,
        namespaces: Sequence[str],
        facts: ClusterFacts,
        stored: Callable[[], AsyncIterator[Secret]],
        queue: WorkQueue,
        witness: Witness,
    ) -> None:
        self._facts = facts
        self._stored = stored
        self._queue = queue
        self._witness = witness
        self._crd_uid: str | None = None
        self.watches = [self._watch(kube, namespace) for namespace in namespaces or (None,)]

    def alive_at(self) -> float:
        """Tell when the last line came, of that watch which has been silent the longest."""
        return min(watch.heard_at for watch in self.watches)

    def _watch(self, kube: KubeClient, namespace: str | None) -> MetadataWatch:
        async def listed(found: list[Sighting], version: int) -> None:
            await self._listed(found, version, namespace)

        return MetadataWatch(kube, collection(namespace), on_listed=listed, on_change=self._changed)

    async def _listed(self, found: list[Sighting], version: int, namespace: str | None) -> None:
        present = {_name(sighting): sighting.resource_version for sighting in found}
        crd_uid = await self._facts.crd_uid()
        if self._crd_uid is not None and crd_uid != self._crd_uid:
            # The CRD was made anew: each resource has to be attached under the new one.
            for name in present:
                self._queue.put(name)
        self._crd_uid = crd_uid or self._crd_uid
        for name, resource_version in present.items():
            self._witness.saw(name, resource_version)
        absent = self._witness.known() - present.keys()
        self._witness.forget((n for n in absent if _is_in(n, namespace)), version)
        async for secret in self._stored():
            name = secret.name
            if secret.deleted_at is None and name not in present and _is_in(name, namespace):
                self._queue.put(name)

    def _changed(self, sighting: Sighting) -> None:
        name = _name(sighting)
        if sighting.present:
            self._witness.saw(name, sighting.resource_version)
        else:
            # kopf, should it just be beginning anew, never tells of what went meanwhile.
            self._witness.saw_end(name, sighting.resource_version)
            self._queue.put(name)


def _name(sighting: Sighting) -> SecretName:
    return SecretName(sighting.namespace, sighting.name)


def _is_in(name: SecretName, namespace: str | None) -> bool:
    return namespace is None or name.namespace == namespace
