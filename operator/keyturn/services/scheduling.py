"""Calls back after so many seconds: for what is retried, and what is looked at again."""

import asyncio
from collections.abc import Callable, Hashable

from keyturn.services.due_times import DueTimes


class Scheduler:
    """Calls back at due times of the loop's monotonic clock, which no change of the time moves.

    One heap and one task, however many there are. A subject has one due time: the latest call
    wins. What is due at a time of the day stands in `keyturn.services.calendar`.
    """

    def __init__(self) -> None:
        self._due = DueTimes()

    def __len__(self) -> int:
        return len(self._due)

    def after(self, seconds: float, subject: Hashable, act: Callable[[], None]) -> None:
        """Call `act` after so many seconds, instead of what was due for the subject."""
        self._due.set(subject, asyncio.get_running_loop().time() + seconds, act)

    def cancel(self, subject: Hashable) -> None:
        """Forget the due time of a subject."""
        self._due.cancel(subject)

    async def run(self) -> None:
        """Call back until cancelled."""
        await self._due.run(asyncio.get_running_loop().time)
