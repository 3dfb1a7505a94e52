"""The queue of the keys that wait to be reconciled."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from secrets import randbelow
from typing import Any

from keyturn.domain.secret import SecretName
from keyturn.services.backoff import doubled
from keyturn.services.scheduling import Scheduler

FIRST_BACKOFF, LAST_BACKOFF = 0.5, 300.0


@dataclass(slots=True)
class Work:
    """A key that waits. `body` is the newest resource that an event brought, if one did."""

    name: SecretName
    body: dict[str, Any] | None = None


class WorkQueue:
    """Holds each key at most once, and never gives out one that is being worked on.

    Keys that were never synced go before the others. A key that failed waits, doubling from half
    a second to five minutes, with jitter; news of it ends the wait.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._waiting: dict[SecretName, Work] = {}
        self._first: deque[SecretName] = deque()
        self._later: deque[SecretName] = deque()
        self._working: set[SecretName] = set()
        self._again: dict[SecretName, Work] = {}
        self._failures: dict[SecretName, int] = {}
        self._ready = asyncio.Semaphore(0)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._working) + len(self._again)

    def is_working(self, name: SecretName) -> bool:
        return name in self._working

    def put(
        self, name: SecretName, body: dict[str, Any] | None = None, *, first: bool = False
    ) -> None:
        """Let a key be reconciled soon; the newest body replaces an older one."""
        self._scheduler.cancel(name)
        if name in self._working:
            # A call without a body wants the resource read anew, whatever else was heard.
            known = self._again.get(name)
            anew = known is not None and known.body is None
            self._again[name] = Work(name, None if anew else body)
            return
        waiting = self._waiting.get(name)
        if waiting is not None:
            waiting.body = body if waiting.body is not None else None
            return
        self._waiting[name] = Work(name, body)
        (self._first if first else self._later).append(name)
        self._ready.release()

    async def get(self) -> Work:
        """Wait for a key; `done` must be called for it."""
        await self._ready.acquire()
        name = self._first.popleft() if self._first else self._later.popleft()
        self._working.add(name)
        return self._waiting.pop(name)

    def done(
        self,
        name: SecretName,
        *,
        failed: bool = False,
        wait: float = 0.0,
        at_most: float = LAST_BACKOFF,
        is_echo: Callable[[SecretName, dict[str, Any]], bool] = lambda _, __: False,
    ) -> None:
        """Give a key back; after a failure it comes again, after at least `wait` seconds.

        The pause grows with each failure in a row, up to `at_most`. `is_echo` tells whether what
        was heard of the key meanwhile is only our own write.
        """
        self._working.discard(name)
        if not failed:
            self._failures.pop(name, None)
        again = self._again.pop(name, None)
        if again is not None and again.body is not None and is_echo(name, again.body):
            again = None
        if again is not None:
            self.put(name, again.body)
        elif failed:
            count = self._failures.get(name, 0)
            self._failures[name] = count + 1
            backoff = doubled(FIRST_BACKOFF, count, at_most)
            jittered = backoff * (0.5 + randbelow(1000) / 2000)
            self._scheduler.after(max(wait, jittered), name, lambda: self.put(name))

    def again_after(self, seconds: float, name: SecretName) -> None:
        """Let a key be reconciled later, whatever comes of it until then."""
        self._scheduler.after(seconds, name, lambda: self.put(name))
