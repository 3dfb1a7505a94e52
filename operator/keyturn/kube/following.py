"""Follows the ConfigMaps and native Secrets that ManagedSecrets take values from."""

import asyncio
from collections.abc import Callable

from keyturn.domain.secret import SecretName
from keyturn.kube.client import KubeClient
from keyturn.kube.metadata_watch import MetadataWatch, Sighting

Place = tuple[str, str]
"""Kind (`configmaps` or `secrets`) and namespace."""


class Following:
    """Watches the metadata of a kind in a namespace as long as somebody follows an object there.

    `changed` is called with each ManagedSecret whose source changed. One watch for each kind and
    namespace, not one for each object; nothing of what it sees is kept.
    """

    def __init__(self, kube: KubeClient, changed: Callable[[SecretName], None]) -> None:
        self._kube = kube
        self._changed = changed
        self._followed: dict[SecretName, frozenset[tuple[str, str]]] = {}
        self._followers: dict[Place, dict[str, set[SecretName]]] = {}
        self._watches: dict[Place, asyncio.Task[None]] = {}
        self._seen: dict[Place, dict[str, int]] = {}

    def follow(self, name: SecretName, objects: frozenset[tuple[str, str]]) -> None:
        """Let a ManagedSecret follow these objects (kind, name) of its namespace, and no others."""
        before = self._followed.get(name, frozenset())
        if before == objects:
            return
        for kind, source in before - objects:
            self._drop((kind, name.namespace), source, name)
        for kind, source in objects - before:
            place = (kind, name.namespace)
            self._followers.setdefault(place, {}).setdefault(source, set()).add(name)
            if place not in self._watches:
                self._watches[place] = asyncio.create_task(self._watch(place))
        if objects:
            self._followed[name] = objects
        else:
            self._followed.pop(name, None)

    async def close(self) -> None:
        """End all watches."""
        for task in self._watches.values():
            task.cancel()
        await asyncio.gather(*self._watches.values(), return_exceptions=True)
        self._watches.clear()

    def _drop(self, place: Place, source: str, name: SecretName) -> None:
        followers = self._followers[place]
        followers[source].discard(name)
        if not followers[source]:
            del followers[source]
        if not followers:
            del self._followers[place]
            self._seen.pop(place, None)
            self._watches.pop(place).cancel()

    async def _watch(self, place: Place) -> None:
        kind, namespace = place

        async def listed(found: list[Sighting], _: int) -> None:
            versions = {seen.name: seen.resource_version for seen in found}
            before = self._seen.get(place, {})
            self._seen[place] = {n: v for n, v in versions.items() if n in self._at(place)}
            for source in self._at(place):
                # After the first list all are told: it may be younger than what they have read.
                if before.get(source) != versions.get(source):
                    self._tell(place, source)

        def changed(seen: Sighting) -> None:
            if seen.name in self._at(place):
                self._seen.setdefault(place, {})[seen.name] = seen.resource_version
                self._tell(place, seen.name)

        path = f"/api/v1/namespaces/{namespace}/{kind}"
        await MetadataWatch(self._kube, path, on_listed=listed, on_change=changed).run()

    def _at(self, place: Place) -> dict[str, set[SecretName]]:
        return self._followers.get(place, {})

    def _tell(self, place: Place, source: str) -> None:
        for name in tuple(self._at(place).get(source, ())):
            self._changed(name)
