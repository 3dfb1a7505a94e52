"""What the watch last saw of each native Secret of ours: metadata, never data."""

from collections.abc import Iterable
from typing import NamedTuple

from keyturn.domain.secret import SecretName

Place = tuple[str, str]
"""Namespace and name of a native Secret."""


class Seen(NamedTuple):
    """A native Secret as it was last seen or written."""

    uid: str
    resource_version: int
    present: bool


class Sightings:
    """Knows whether a native Secret still is as it was written, without reading it.

    Two sources tell of a Secret, the watch and the answer to our own write, in any order; the
    higher resource version wins. (Resource versions are comparable since Kubernetes 1.35,
    KEP-5504; etcd's revisions, which they are, always were.)
    """

    def __init__(self) -> None:
        self._seen: dict[Place, Seen] = {}
        self._writing: dict[Place, bool] = {}
        self._projectors: dict[Place, set[SecretName]] = {}
        self._targets: dict[SecretName, frozenset[Place]] = {}

    def observe(self, place: Place, seen: Seen) -> bool:
        """Note what the watch saw; tell whether it is news.

        While our own write is under way nothing is: it may be that write which was seen before
        its answer came. `settle` tells then.
        """
        known = self._seen.get(place)
        if known is not None and known.resource_version >= seen.resource_version:
            return False
        self._seen[place] = seen
        if place in self._writing:
            self._writing[place] = True
            return False
        self._forget_if_over(place)
        return True

    def begin(self, place: Place) -> None:
        """Note that our own write of a native Secret begins."""
        self._writing[place] = False

    def settle(self, place: Place, written: Seen | None) -> bool:
        """Note what our write gave (None: it failed); tell whether news came meanwhile."""
        was_observed = self._writing.pop(place, False)
        known = self._seen.get(place)
        if written is None:
            return was_observed
        if known is None or known.resource_version <= written.resource_version:
            self._seen[place] = written
            return False
        return True

    def relist(
        self, listed: Iterable[tuple[Place, Seen]], version: int, namespace: str | None
    ) -> set[Place]:
        """Take a complete list of a namespace, or of all; return what is new, changed or gone.

        What was written after the list's resource version is not in it, and yet not gone.
        """
        news, here = set(), set()
        for place, seen in listed:
            here.add(place)
            if self.observe(place, seen):
                news.add(place)
        for place, seen in list(self._seen.items()):
            if place in here or (namespace is not None and place[0] != namespace):
                continue
            if seen.present and seen.resource_version <= version:
                self._seen[place] = Seen(seen.uid, version, present=False)
                self._forget_if_over(place)
                news.add(place)
        return news

    def _forget_if_over(self, place: Place) -> None:
        """Forget a native Secret that is gone, and into which nobody projects any more."""
        if not self._seen[place].present and place not in self._projectors:
            del self._seen[place]

    def is_present(self, place: Place) -> bool:
        """Tell whether a native Secret that carries our label stands there."""
        seen = self._seen.get(place)
        return seen is not None and seen.present

    def is_as_written(self, place: Place, uid: str, resource_version: str) -> bool:
        """Tell whether nobody touched the Secret since that write."""
        return self._seen.get(place) == Seen(uid, int(resource_version), present=True)

    def assign(self, name: SecretName, natives: Iterable[str]) -> frozenset[Place]:
        """Note which native Secrets a ManagedSecret projects into; tell which it no longer does."""
        targets = frozenset((name.namespace, native) for native in natives)
        left = self._targets.get(name, frozenset()) - targets
        for place in left:
            self._projectors[place].discard(name)
            if not self._projectors[place]:
                del self._projectors[place]
                self._seen.pop(place, None)
        for place in targets:
            self._projectors.setdefault(place, set()).add(name)
        if targets:
            self._targets[name] = targets
        else:
            self._targets.pop(name, None)
        return left

    def projectors(self, place: Place) -> frozenset[SecretName]:
        """Tell which ManagedSecrets project into a native Secret."""
        return frozenset(self._projectors.get(place, ()))
