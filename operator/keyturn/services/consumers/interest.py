"""Whose consumers somebody wants to know: the pods of those namespaces are watched."""

import asyncio
from collections.abc import Collection

from keyturn.domain.secret import SecretName


class Interest:
    """The ManagedSecrets that ask for their consumers, by their namespaces."""

    def __init__(self) -> None:
        self._names: dict[str, set[SecretName]] = {}
        self._asked = asyncio.Event()
        self._left = asyncio.Event()
        self._left.set()

    def note(self, name: SecretName, *, asks: bool) -> None:
        """Note whether a ManagedSecret asks, whatever it did before."""
        if asks:
            self._names.setdefault(name.namespace, set()).add(name)
        elif name.namespace in self._names:
            self._names[name.namespace].discard(name)
            if not self._names[name.namespace]:
                del self._names[name.namespace]
        for event, is_so in ((self._asked, bool(self._names)), (self._left, not self._names)):
            if is_so:
                event.set()
            else:
                event.clear()

    def names(self, namespace: str) -> Collection[SecretName]:
        """List those of a namespace that ask."""
        return tuple(self._names.get(namespace, ()))

    def namespaces(self) -> Collection[str]:
        """List the namespaces in which one asks."""
        return tuple(self._names)

    async def somebody_asks(self) -> None:
        """Wait until one asks."""
        await self._asked.wait()

    async def nobody_asks(self) -> None:
        """Wait until none asks."""
        await self._left.wait()
