"""Delivers the events that wait in the outbox; what cannot be delivered now stays there."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from keyturn.domain.errors import KeyturnError
from keyturn.domain.rotation_event import Channel, RotationEvent
from keyturn.store.journal import RotationJournal

logger = logging.getLogger(__name__)

Deliver = Callable[[RotationEvent], Awaitable[None]]
"""Delivers one event. It raises a `KeyturnError` if that has to be tried again."""

BATCH = 50
FIRST_PAUSE, LAST_PAUSE = 1.0, 60.0


class Delivering:
    """Delivers each event at least once, those of a channel in their order.

    An event is taken out of the outbox after it was delivered: a crash in between delivers it
    again, with the same id.
    """

    def __init__(self, journal: RotationJournal, deliveries: Mapping[Channel, Deliver]) -> None:
        self._journal = journal
        self._deliveries = dict(deliveries)
        self._news = {channel: asyncio.Event() for channel in deliveries}

    def poke(self) -> None:
        """Tell that there may be something to deliver."""
        for news in self._news.values():
            news.set()

    async def run(self) -> None:
        """Deliver until cancelled; what an earlier process left comes first."""
        async with asyncio.TaskGroup() as group:
            for channel, deliver in self._deliveries.items():
                group.create_task(self._serve(channel, deliver), name=f"events to the {channel}")

    async def _serve(self, channel: Channel, deliver: Deliver) -> None:
        pause = FIRST_PAUSE
        while True:
            self._news[channel].clear()
            try:
                while await self._deliver(channel, deliver):
                    pause = FIRST_PAUSE
            except KeyturnError as error:
                logger.info("events to the %s wait: %s", channel, error.message)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_PAUSE)
            else:
                await self._news[channel].wait()

    async def _deliver(self, channel: Channel, deliver: Deliver) -> bool:
        """Deliver what waits; tell whether there was anything."""
        events = await self._journal.waiting(channel, BATCH)
        for event in events:
            await deliver(event)
            await self._journal.delivered(channel, event.id)
        return bool(events)
