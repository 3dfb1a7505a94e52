"""Follows the objects of others that become of a ManagedSecret what it is.

They are the ConfigMaps and native Secrets that it takes values from, its Rotator, and what that
names: also cluster-scoped objects, and some of other namespaces.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from secrets import randbelow
from typing import NamedTuple

from keyturn.domain.secret import SecretName
from keyturn.kube.client import KubeClient
from keyturn.kube.managed_secrets import GROUP, VERSION
from keyturn.kube.metadata_watch import MetadataWatch, Sighting

_CORE, _OURS = "/api/v1", f"/apis/{GROUP}/{VERSION}"
_ROOTS: Mapping[str, str] = {
    "configmaps": _CORE,
    "secrets": _CORE,
    "managedsecrets": _OURS,
    "rotators": _OURS,
    "clusterrotators": _OURS,
}


class Place(NamedTuple):
    """All objects of a kind (by its plural) in a namespace; it is empty if they are in none."""

    plural: str
    namespace: str


class FollowedObject(NamedTuple):
    """One object, by the plural of its kind; the namespace is empty if it is in none."""

    plural: str
    namespace: str
    name: str

    @property
    def place(self) -> Place:
        return Place(self.plural, self.namespace)


Follower = tuple[SecretName, str]
"""A ManagedSecret, and what for it follows."""


@dataclass(frozen=True, slots=True)
class Unwatched:
    """Kinds that the operator may not watch; whoever follows one is told to look, now and then.

    `interval` is in seconds; `look` is not called for news, which only a watch would have.
    """

    plurals: frozenset[str]
    interval: float
    look: Callable[[SecretName], None]


def path_of(plural: str, namespace: str) -> str:
    """Give the path of all objects of a kind in a namespace, or in none.

    >>> path_of("secrets", "shop"), path_of("clusterrotators", "")
    ('/api/v1/namespaces/shop/secrets', '/apis/keyturn.dev/v1alpha1/clusterrotators')
    """
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{_ROOTS[plural]}{where}/{plural}"


class Following:
    """Watches the metadata of a kind in a namespace as long as somebody follows an object there.

    `changed` is called with each ManagedSecret that follows what changed. One watch for each kind
    and namespace, not one for each object; nothing of what it sees is kept.
    """

    def __init__(
        self,
        kube: KubeClient,
        changed: Callable[[SecretName], None],
        unwatched: Unwatched | None = None,
    ) -> None:
        self._kube = kube
        self._unwatched = unwatched
        self._changed = changed
        self._followed: dict[Follower, frozenset[FollowedObject]] = {}
        self._followers: dict[Place, dict[str, set[Follower]]] = {}
        self._watches: dict[Place, asyncio.Task[None]] = {}
        self._seen: dict[Place, dict[str, int]] = {}

    def follow(self, name: SecretName, objects: frozenset[FollowedObject], *, purpose: str) -> None:
        """Let a ManagedSecret follow these objects, and for this purpose no others."""
        follower = (name, purpose)
        before = self._followed.get(follower, frozenset())
        if before == objects:
            return
        for gone in before - objects:
            self._drop(gone, follower)
        for each in objects - before:
            self._followers.setdefault(each.place, {}).setdefault(each.name, set()).add(follower)
            if each.place not in self._watches:
                self._watches[each.place] = asyncio.create_task(self._attend(each.place))
        if objects:
            self._followed[follower] = objects
        else:
            self._followed.pop(follower, None)

    async def close(self) -> None:
        """End all watches."""
        for task in self._watches.values():
            task.cancel()
        await asyncio.gather(*self._watches.values(), return_exceptions=True)
        self._watches.clear()

    def _drop(self, gone: FollowedObject, follower: Follower) -> None:
        place = gone.place
        followers = self._followers[place]
        followers[gone.name].discard(follower)
        if not followers[gone.name]:
            del followers[gone.name]
        if not followers:
            del self._followers[place]
            self._seen.pop(place, None)
            self._watches.pop(place).cancel()

    async def _attend(self, place: Place) -> None:
        unwatched = self._unwatched
        if unwatched is None or place.plural not in unwatched.plurals:
            await self._watch(place)
            return
        while True:
            await asyncio.sleep(unwatched.interval * (0.8 + randbelow(400) / 1000))
            for follower, _ in {f for followers in self._at(place).values() for f in followers}:
                unwatched.look(follower)

    async def _watch(self, place: Place) -> None:
        async def listed(found: list[Sighting], _: int) -> None:
            versions = {seen.name: seen.resource_version for seen in found}
            before = self._seen.get(place, {})
            self._seen[place] = {n: v for n, v in versions.items() if n in self._at(place)}
            for name in self._at(place):
                # After the first list all are told: it may be younger than what they have read.
                if before.get(name) != versions.get(name):
                    self._tell(place, name)

        def changed(seen: Sighting) -> None:
            if seen.name in self._at(place):
                self._seen.setdefault(place, {})[seen.name] = seen.resource_version
                self._tell(place, seen.name)

        path = path_of(place.plural, place.namespace)
        await MetadataWatch(self._kube, path, on_listed=listed, on_change=changed).run()

    def _at(self, place: Place) -> dict[str, set[Follower]]:
        return self._followers.get(place, {})

    def _tell(self, place: Place, name: str) -> None:
        for resource in {resource for resource, _ in self._at(place).get(name, ())}:
            self._changed(resource)
