"""Look who uses the targets of a ManagedSecret, and which version each running pod started with."""

from collections.abc import Sequence
from dataclasses import dataclass

from keyturn.domain.consumers import (
    Inventory,
    Moved,
    Spell,
    WorkloadRef,
    left_behind,
    moved,
)
from keyturn.domain.errors import DeniedError
from keyturn.domain.managed_secret import CreationPolicy, ManagedSecret
from keyturn.domain.reloading import with_reloads
from keyturn.domain.secret import Secret
from keyturn.kube.consumers import ConsumerReader
from keyturn.store.interface import SecretStore


@dataclass(frozen=True, slots=True)
class View:
    """Who uses the native Secrets of one secret, as it was just read.

    `inventory` is None where it could not be read; `why` then says what to do.
    """

    native_names: frozenset[str]
    spells: Sequence[Spell]
    inventory: Inventory | None = None
    why: str = ""

    def moved(self, version: int) -> Moved | None:
        """Tell how far the running pods have moved to a version; None if nobody knows."""
        if self.inventory is None:
            return None
        return moved(self.inventory, self.native_names, self.spells, version)

    def left_behind(self, version: int) -> Sequence[WorkloadRef]:
        """Name who holds another version from a native Secret that is no target any more."""
        if self.inventory is None:
            return ()
        return left_behind(self.inventory, self.native_names, self.spells, version)


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

        What may not be read makes a view without an inventory.

        Raises:
            UnavailableError: the cluster or the store does not answer.
        """
        names, spells = native_names(resource), await self._store.spells(secret.id)
        try:
            inventory = await self._reader.running(resource.namespace, recent=recent)
        except DeniedError as error:
            return View(names, spells, why=error.message)
        if resource.spec.consumers is not None and resource.spec.consumers.reload is not None:
            read_at = await self._store.reloads(secret.id)
            inventory = with_reloads(inventory, names, read_at)
        return View(names, spells, inventory)

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
