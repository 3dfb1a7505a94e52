"""Look who uses the targets of a ManagedSecret, and which version each running pod started with."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from keyturn.domain.consumers import (
    Inventory,
    Moved,
    Spell,
    WorkloadRef,
    holders,
    moved,
)
from keyturn.domain.errors import ClusterUnavailableError, DeniedError
from keyturn.domain.managed_secret import CreationPolicy, ManagedSecret
from keyturn.domain.reloading import with_reloads
from keyturn.domain.secret import Secret
from keyturn.kube.consumers import ConsumerReader
from keyturn.store.interface import SecretStore

DENIED = 60.0
"""Seconds to leave be what may not be read: nothing tells when a right is given back."""
UNANSWERED = 10.0
"""Seconds to leave an apiserver be that did not answer: a list of pods is the heaviest request."""
SHARE = 20
"""Of so many seconds one is spent on reading a namespace, on the average, where that takes long."""
LONGEST = 60.0
"""The most seconds that this makes: one reading that nearly timed out says little of the next."""


def rest_after(took: float) -> float:
    """Tell how many seconds to leave a namespace be whose reading took so many."""
    return min(took * SHARE, LONGEST)


@dataclass(frozen=True, slots=True)
class View:
    """Who uses the native Secrets of one secret, as it was just read.

    `inventory` is None where it could not be read; `why` then says what to do. For `rest` seconds
    nobody is to look again, unless something changed.
    """

    native_names: frozenset[str]
    spells: Sequence[Spell]
    inventory: Inventory | None = None
    why: str = ""
    rest: float = 0.0

    def moved(self, version: int) -> Moved | None:
        """Tell how far the running pods have moved to a version; None if nobody knows."""
        if self.inventory is None:
            return None
        return moved(self.inventory, self.native_names, self.spells, version)

    def holders(self, versions: Collection[int]) -> Sequence[WorkloadRef] | None:
        """Name who holds another version than these, also from a native Secret that was a target.

        None if nobody knows.
        """
        if self.inventory is None:
            return None
        return holders(self.inventory, self.native_names, self.spells, versions)


def native_names(resource: ManagedSecret) -> frozenset[str]:
    """Name the native Secrets that a resource writes."""
    return frozenset(
        target.name
        for target in resource.effective_targets
        if target.creation_policy is not CreationPolicy.NONE
    )


class Consumers:
    """Reads who uses native Secrets from the cluster; it keeps nothing of it."""

    def __init__(self, reader: ConsumerReader, store: SecretStore) -> None:
        self._reader = reader
        self._store = store

    async def look(self, resource: ManagedSecret, secret: Secret, *, recent: bool = False) -> View:
        """Look who uses the targets now; with `recent`, or in the last second.

        What may not be read, or is not answered, makes a view without an inventory: the rest of
        what a ManagedSecret needs may be allowed and answered all the same.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        names, spells = native_names(resource), await self._store.spells(secret.id)
        try:
            inventory = await self._reader.running(resource.namespace, recent=recent)
        except DeniedError as error:
            return View(names, spells, why=error.message, rest=DENIED)
        except ClusterUnavailableError as error:
            return View(names, spells, why=error.message, rest=UNANSWERED)
        if resource.spec.consumers is not None and resource.spec.consumers.reload is not None:
            read_at = await self._store.reloads(secret.id)
            inventory = with_reloads(inventory, names, read_at)
        rest = rest_after(self._reader.took(resource.namespace))
        return View(names, spells, inventory, rest=rest)

    async def survey(self, secret: Secret) -> View:
        """Look at all that use the native Secrets of a secret, those without pods too.

        Raises:
            DeniedError: something may not be read.
            UnavailableError: the cluster or the store does not answer.
        """
        names = frozenset(projected.native_name for projected in secret.projected)
        inventory = await self._reader.all(secret.name.namespace)
        inventory = with_reloads(inventory, names, await self._store.reloads(secret.id))
        return View(names, await self._store.spells(secret.id), inventory)
