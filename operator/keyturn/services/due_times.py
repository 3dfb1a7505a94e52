"""What is due when, by any clock: one heap and one task, however many there are."""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable, Hashable

logger = logging.getLogger(__name__)

SLACK = 64
"""So few dead entries are not worth a sweep."""

AT_ONCE = 256
"""So many are called back before all else has its turn, when many are due at the same time."""


class DueTimes:
    """Calls back at due times, in seconds of the clock that `run` is given.

    A subject has one due time: the latest call wins.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Hashable]] = []
        self._due: dict[Hashable, tuple[float, int, Callable[[], None]]] = {}
        self._numbers = itertools.count()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    def set(self, subject: Hashable, when: float, act: Callable[[], None]) -> None:
        """Call `act` at a time, instead of what was due for the subject."""
        number = next(self._numbers)
        self._due[subject] = (when, number, act)
        heapq.heappush(self._heap, (when, number, subject))
        self._sweep()
        if self._heap[0][1] == number:
            self._changed.set()

    def cancel(self, subject: Hashable) -> None:
        """Forget the due time of a subject."""
        self._due.pop(subject, None)

    async def run(self, clock: Callable[[], float], *, longest_sleep: float | None = None) -> None:
        """Call back until cancelled; look at the clock after `longest_sleep` seconds at the latest.

        None: the clock goes as fast as the loop's, so that a sleep can be as long as it has to.
        """
        while True:
            self._changed.clear()
            if self._act(clock()):
                await asyncio.sleep(0)
                continue
            waits = [] if longest_sleep is None else [longest_sleep]
            if self._heap:
                waits.append(self._heap[0][0] - clock())
            try:
                async with asyncio.timeout(min(waits, default=None)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _act(self, now: float) -> bool:
        """Call back what is due, in the order of its time; tell whether more is due."""
        for _ in range(AT_ONCE):
            if not self._heap or self._heap[0][0] > now:
                return False
            when, number, subject = heapq.heappop(self._heap)
            due = self._due.get(subject)
            if due is None or due[:2] != (when, number):
                continue
            del self._due[subject]
            try:
                due[2]()
            except Exception:
                logger.exception("what was due for %s failed", subject)
        return True

    def _sweep(self) -> None:
        """Drop what was cancelled or replaced, once that is most of the heap."""
        if len(self._heap) > 2 * len(self._due) + SLACK:
            self._heap = [(when, number, s) for s, (when, number, _) in self._due.items()]
            heapq.heapify(self._heap)
