"""Delivers the events that wait in the outbox, each at least once.

Of each channel the events are delivered in their order, one after the other. An event is taken out
of the outbox after it was delivered: a crash in between delivers it again, with the same id.

- While a channel does not answer (`UnavailableError`) all of its events wait, in their order.
- An event that is refused steps aside, and is tried again later: one that nobody can take must not
  keep the others. When all are refused it is not the events, and the channel has to wait.
- What is refused for a day, or could not be delivered for two weeks, is dropped, and the log says
  which one: the outbox shares its disk with the secrets.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from keyturn.domain.errors import KeyturnError, UnavailableError
from keyturn.domain.rotation_event import Channel, RotationEvent
from keyturn.observability import failpoints
from keyturn.observability.failures import describe
from keyturn.services.clock import Clock
from keyturn.store.journal import RotationJournal

logger = logging.getLogger(__name__)

Deliver = Callable[[RotationEvent], Awaitable[None]]
"""Delivers one event.

Raises:
    UnavailableError: it has to be tried again, and so has each other one.
    KeyturnError: this event is refused.
"""

Sleep = Callable[[float], Awaitable[None]]

BATCH = 50
FIRST_PAUSE, LAST_PAUSE = 1.0, 60.0

ASIDE = timedelta(minutes=10)
"""How long an event that was refused is not tried."""

REFUSALS_IN_A_ROW = 10
"""After so many the channel itself is taken to be in trouble."""

REFUSED_FOR = timedelta(days=1)
UNDELIVERED_FOR = timedelta(days=14)


class Delivering:
    """Delivers to every channel; the trouble of one is not that of another."""

    def __init__(
        self,
        journal: RotationJournal,
        deliveries: Mapping[Channel, Deliver],
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._couriers = [
            _Courier(journal, channel, deliver, clock, sleep)
            for channel, deliver in deliveries.items()
        ]

    def poke(self) -> None:
        """Tell that there may be something to deliver."""
        for courier in self._couriers:
            courier.news.set()

    async def run(self) -> None:
        """Deliver until cancelled; what an earlier process left comes first."""
        async with asyncio.TaskGroup() as group:
            for courier in self._couriers:
                group.create_task(courier.run(), name=f"events to the {courier.channel}")


class _Courier:
    """Delivers to one channel."""

    def __init__(
        self,
        journal: RotationJournal,
        channel: Channel,
        deliver: Deliver,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self.channel = channel
        self.news = asyncio.Event()
        self._journal = journal
        self._deliver = deliver
        self._clock = clock
        self._sleep = sleep
        self._pause = FIRST_PAUSE
        self._refusals = 0
        self._aside: dict[UUID, datetime] = {}

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            self.news.clear()
            try:
                while events := await self._due():
                    await self._deliver_all(events)
            except KeyturnError as error:
                logger.warning("events to the %s wait: %s", self.channel, error.message)
            except Exception as error:  # noqa: BLE001 - the other channel must go on
                logger.critical("events to the %s wait: %s", self.channel, describe(error))
            else:
                await self._rest()
                continue
            # News do not end this pause: what does not answer is not asked more often for it.
            await self._sleep(self._pause)
            self._pause = min(self._pause * 2, LAST_PAUSE)

    async def _due(self) -> Sequence[RotationEvent]:
        now = self._clock()
        # Those aside are the oldest, and must not fill the whole batch.
        events = await self._journal.waiting(self.channel, BATCH + len(self._aside))
        here = {event.id for event in events}
        self._aside = {id_: due for id_, due in self._aside.items() if id_ in here}
        return [event for event in events if self._aside.get(event.id, now) <= now]

    async def _rest(self) -> None:
        """Wait for news, or until one that stepped aside is due."""
        until = min(self._aside.values(), default=None)
        seconds = None if until is None else max((until - self._clock()).total_seconds(), 0)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.news.wait()

    async def _deliver_all(self, events: Sequence[RotationEvent]) -> None:
        """Deliver one after the other. Raises: KeyturnError: the channel has to wait."""
        for event in events:
            try:
                await self._deliver(event)
            except UnavailableError as error:
                for each in events:
                    await self._drop_if_older(each, UNDELIVERED_FOR, error)
                raise
            except Exception as error:  # noqa: BLE001 - one event must not keep all others
                await self._step_aside(event, error)
            else:
                failpoints.reach("after.deliver")
                self._pause, self._refusals = FIRST_PAUSE, 0
                await self._forget(event)

    async def _step_aside(self, event: RotationEvent, error: Exception) -> None:
        logger.warning(
            "%s of %s is not taken by the %s: %s",
            event.kind,
            event.name,
            self.channel,
            describe(error),
        )
        self._aside[event.id] = self._clock() + ASIDE
        await self._drop_if_older(event, REFUSED_FOR, error)
        self._refusals += 1
        if self._refusals >= REFUSALS_IN_A_ROW:
            self._refusals = 0
            raise UnavailableError(f"the last {REFUSALS_IN_A_ROW} events were refused")

    async def _drop_if_older(
        self, event: RotationEvent, limit: timedelta, error: Exception
    ) -> None:
        if self._clock() - event.time <= limit:
            return
        logger.error(
            "%s of %s (event %s, version %d) is dropped, as the %s did not take it since %s: %s",
            event.kind,
            event.name,
            event.id,
            event.version,
            self.channel,
            event.time.isoformat(),
            describe(error),
        )
        await self._forget(event)

    async def _forget(self, event: RotationEvent) -> None:
        await self._journal.delivered(self.channel, event.id)
        self._aside.pop(event.id, None)
