"""Tell pods to read their files anew, by an HTTP call, and remember which have."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from keyturn.domain.consumers import Inventory, RunningPod
from keyturn.domain.consumers_spec import ConsumersSpec, Reload
from keyturn.domain.errors import KeyturnError
from keyturn.domain.reloading import calls
from keyturn.domain.restarting import Wish
from keyturn.domain.secret import SecretName
from keyturn.observability.failures import describe
from keyturn.services.backoff import doubled
from keyturn.services.calendar import Calendar
from keyturn.services.clock import Clock, earliest
from keyturn.store.interface import SecretStore

logger = logging.getLogger(__name__)

AT_ONCE = 16
"""So many calls are under way at once, of all secrets."""

FIRST_RETRY, LAST_RETRY = timedelta(seconds=5), timedelta(minutes=1)
"""How long until a call that failed is made again, doubled each time."""


class Caller(Protocol):
    """Makes one call; see `keyturn.services.consumers.reload_calls`."""

    async def call(self, reload: Reload, pod_ip: str) -> str:
        """Call; return why it failed, empty if it did not."""


@dataclass(frozen=True, slots=True)
class _Try:
    """A pod that could not be told: why, how often, since when, and the next try."""

    why: str
    count: int
    since: datetime
    retry_at: datetime


@dataclass(slots=True)
class _Telling:
    """Who is to be told of one secret's version."""

    version: int
    tries: dict[str, _Try] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None


class Reloads:
    """Makes the calls in the background, and queues the secret when they are over."""

    def __init__(
        self,
        store: SecretStore,
        caller: Caller,
        calendar: Calendar,
        *,
        changed: Callable[[SecretName], None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._caller = caller
        self._calendar = calendar
        self._changed = changed
        self._clock = clock
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._tellings: dict[SecretName, _Telling] = {}

    async def close(self) -> None:
        """End what is under way."""
        tasks = [each.task for each in self._tellings.values() if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def forget(self, name: SecretName) -> None:
        """Forget a secret that is gone; what is under way for it ends."""
        telling = self._tellings.pop(name, None)
        if telling is not None and telling.task is not None:
            telling.task.cancel()
        self._calendar.set(("reloads", name), None, lambda: None)

    def look(
        self, name: SecretName, secret_id: UUID, wish: Wish, inventory: Inventory
    ) -> Mapping[str, str]:
        """Begin the calls that are due; say of each pod that could not be told why."""
        spec = wish.spec
        if spec is None or spec.reload is None:
            if name in self._tellings:
                self.forget(name)
            return {}
        telling = self._tellings.setdefault(name, _Telling(wish.version))
        if telling.version != wish.version:
            telling.version = wish.version
            telling.tries.clear()
        now = self._clock()
        found = calls(inventory, wish, now)
        due = [pod for pod in found.pods if self._may_be_tried(telling, spec, pod, now)]
        running = [pod.uid for pod in inventory.pods]
        if due and (telling.task is None or telling.task.done()):
            work = self._tell(name, secret_id, telling, spec.reload, due, running)
            telling.task = asyncio.create_task(work, name=f"reloads of {name}")
        tries = [telling.tries[pod.uid] for pod in found.pods if pod.uid in telling.tries]
        looks = [found.again, *(each.retry_at for each in tries if each.retry_at > now)]
        again = earliest(looks)
        self._calendar.set(("reloads", name), again, lambda: self._changed(name))
        return {
            pod.name: telling.tries[pod.uid].why for pod in found.pods if pod.uid in telling.tries
        }

    def _may_be_tried(
        self, telling: _Telling, spec: ConsumersSpec, pod: RunningPod, now: datetime
    ) -> bool:
        stood = telling.tries.get(pod.uid)
        if stood is None:
            return True
        return stood.retry_at <= now < stood.since + spec.progress_deadline

    async def _tell(
        self,
        name: SecretName,
        secret_id: UUID,
        telling: _Telling,
        reload: Reload,
        pods: Sequence[RunningPod],
        running: Collection[str],
    ) -> None:
        """Tell each pod, or all by one call; whatever happens, the secret is looked at again."""
        groups = [[pod] for pod in pods] if reload.is_per_pod else [list(pods)]

        async def tell(group: Sequence[RunningPod]) -> None:
            uids = [pod.uid for pod in group]
            async with self._at_once:
                called_at = self._clock()
                try:
                    why = await self._caller.call(reload, group[0].ip)
                except Exception as error:  # noqa: BLE001 - else it would be made again at once
                    logger.critical("a reload of %s failed: %s", name, describe(error))
                    why = "the operator failed unexpectedly; see its log"
            if why:
                self._note_failed(telling, uids, why)
                return
            read_at = called_at - reload.delay
            try:
                await self._store.note_reloads(secret_id, uids, read_at, running=running)
            except KeyturnError as error:
                # Else they would be called again at once, for as long as the store takes nothing.
                logger.warning("a reload of %s is not remembered: %s", name, error.message)
                self._note_failed(telling, uids, f"it is not remembered: {error.message}")
                return
            for uid in uids:
                telling.tries.pop(uid, None)

        try:
            await asyncio.gather(*map(tell, groups))
        finally:
            self._changed(name)

    def _note_failed(self, telling: _Telling, uids: Collection[str], why: str) -> None:
        now = self._clock()
        for uid in uids:
            stood = telling.tries.get(uid)
            count = 0 if stood is None else stood.count + 1
            since = now if stood is None else stood.since
            pause = doubled(FIRST_RETRY, count, LAST_RETRY)
            telling.tries[uid] = _Try(why, count, since, now + pause)
