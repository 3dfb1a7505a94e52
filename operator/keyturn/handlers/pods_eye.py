"""The eye on pods: it looks only while somebody asks who uses a Secret, and sees metadata only.

What it sees says that something changed in a namespace, no more; those who ask there are queued,
and read the namespace themselves.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from keyturn.domain.secret import SecretName
from keyturn.kube.client import KubeClient
from keyturn.kube.metadata_watch import MetadataWatch, Sighting
from keyturn.services.consumers.interest import Interest
from keyturn.services.consumers.inventory import rest_after

logger = logging.getLogger(__name__)

PAUSE = 2.0
"""Seconds from a change until those who ask are woken: pods change several times as they begin."""
SPACING = 5.0
"""The fewest seconds between two times that those of one namespace are woken."""
RATE = 20
"""So many of one namespace are woken in a second, on the average."""


class Pauses:
    """Tells how long to wait from a change until those who ask are woken; times are in seconds."""

    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._woken_at: dict[str, float] = {}

    def begin(self, namespace: str, now: float, *, asking: int, took: float) -> float | None:
        """Begin a pause; None where nobody asks, or one has begun already.

        `took` is how long the last reading of the namespace lasted.
        """
        if not asking or namespace in self._waiting:
            return None
        self._waiting.add(namespace)
        spacing = max(SPACING, asking / RATE, rest_after(took))
        woken_at = self._woken_at.get(namespace)
        return PAUSE if woken_at is None else max(PAUSE, woken_at + spacing - now)

    def end(self, namespace: str, now: float) -> None:
        """End a pause: those who ask are woken now."""
        self._waiting.discard(namespace)
        self._woken_at[namespace] = now


class PodsEye:
    """Wakes those who ask for their consumers when pods of their namespace change."""

    def __init__(
        self,
        kube: KubeClient,
        namespaces: Sequence[str],
        interest: Interest,
        wake: Callable[[SecretName], None],
        took: Callable[[str], float],
    ) -> None:
        self._interest = interest
        self._wake = wake
        self._took = took
        self._pauses = Pauses()
        self._watches = [
            MetadataWatch(
                kube,
                f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods",
                on_listed=self._listed,
                on_change=self._changed,
            )
            for namespace in namespaces or ("",)
        ]

    async def run(self) -> None:
        """Look until cancelled, while somebody asks."""
        while True:
            await self._interest.somebody_asks()
            looking = [asyncio.create_task(watch.run()) for watch in self._watches]
            try:
                await self._interest.nobody_asks()
                logger.info("nobody asks for consumers any more; pods are not watched")
            finally:
                for task in looking:
                    task.cancel()
                await asyncio.gather(*looking, return_exceptions=True)

    async def _listed(self, _: list[Sighting], __: int) -> None:
        """Wake all: what changed before the list was not seen."""
        for namespace in self._interest.namespaces():
            self._soon(namespace)

    def _changed(self, sighting: Sighting) -> None:
        self._soon(sighting.namespace)

    def _soon(self, namespace: str) -> None:
        asking = len(self._interest.names(namespace))
        loop, took = asyncio.get_running_loop(), self._took(namespace)
        pause = self._pauses.begin(namespace, loop.time(), asking=asking, took=took)
        if pause is not None:
            loop.call_later(pause, self._wake_all, namespace)

    def _wake_all(self, namespace: str) -> None:
        self._pauses.end(namespace, asyncio.get_running_loop().time())
        for name in self._interest.names(namespace):
            self._wake(name)
