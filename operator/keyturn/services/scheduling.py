"""One task that knows what is due when."""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable, Hashable

logger = logging.getLogger(__name__)

SLACK = 64
"""So few dead entries are not worth a sweep."""


class Scheduler:
    """Calls back at due times; one heap and one task, however many there are.

    Due times are of the loop's monotonic clock. A subject has one due time: the latest call wins.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Hashable]] = []
        self._due: dict[Hashable, tuple[float, int, Callable[[], None]]] = {}
        self._numbers = itertools.count()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    def after(self, seconds: float, subject: Hashable, act: Callable[[], None]) -> None:
        """Call `act` after so many seconds, instead of what was due for the subject."""
        when = asyncio.get_running_loop().time() + seconds
        number = next(self._numbers)
        self._due[subject] = (when, number, act)
        heapq.heappush(self._heap, (when, number, subject))
        self._sweep()
        if self._heap[0][1] == number:
            self._changed.set()

    def cancel(self, subject: Hashable) -> None:
        """Forget the due time of a subject."""
        self._due.pop(subject, None)

    async def run(self) -> None:
        """Call back until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            self._act(loop.time())
            wait = self._heap[0][0] - loop.time() if self._heap else None
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _sweep(self) -> None:
        """Drop what was cancelled or replaced, once that is most of the heap."""
        if len(self._heap) > 2 * len(self._due) + SLACK:
            self._heap = [(when, number, s) for s, (when, number, _) in self._due.items()]
            heapq.heapify(self._heap)

    def _act(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            when, number, subject = heapq.heappop(self._heap)
            due = self._due.get(subject)
            if due is None or due[:2] != (when, number):
                continue
            del self._due[subject]
            try:
                due[2]()
            except Exception:
                logger.exception("what was due for %s failed", subject)
