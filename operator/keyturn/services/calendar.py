"""Calls back at times of the day: for what is due by the clock on the wall, such as rotations."""

from collections.abc import Callable, Hashable
from datetime import datetime

from keyturn.services.clock import Clock
from keyturn.services.due_times import DueTimes

LONGEST_SLEEP = 60.0
"""Seconds after which the clock is looked at anew: so late a jump of it is noticed at most."""


class Calendar:
    """Calls back when the clock shows a time or a later one.

    One heap and one task, however many there are. A subject has one due time: the latest call
    wins. The clock may jump: no sleep is longer than `longest_sleep` seconds, and after each the
    clock is looked at anew. What it jumped over is due, once each; after a jump back nothing is
    called a second time.
    """

    def __init__(self, clock: Clock, *, longest_sleep: float = LONGEST_SLEEP) -> None:
        self._clock = clock
        self._longest_sleep = longest_sleep
        self._due = DueTimes()

    def __len__(self) -> int:
        return len(self._due)

    def set(self, subject: Hashable, when: datetime | None, act: Callable[[], None]) -> None:
        """Call `act` at a time, instead of what was due for the subject; None: at no time."""
        if when is None:
            self._due.cancel(subject)
        else:
            self._due.set(subject, when.timestamp(), act)

    async def run(self) -> None:
        """Call back until cancelled."""
        await self._due.run(lambda: self._clock().timestamp(), longest_sleep=self._longest_sleep)
