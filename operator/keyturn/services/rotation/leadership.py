"""Whether this operator may rotate: only while it leads, and with the epoch that it took."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from keyturn.domain.errors import KeyturnError, LeadershipLostError, UnavailableError
from keyturn.store.journal import RotationJournal

logger = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between two looks whether this operator may act again."""


class Lease(Protocol):
    """What is asked of the lease; see `leading`."""

    held: asyncio.Event
    lost: asyncio.Event

    def may_act(self) -> bool: ...


class Leadership:
    """The epoch of this operator.

    The lease is asked before each rotation; the epoch in each write is what keeps an operator that
    lost it from doing harm.
    """

    def __init__(self, journal: RotationJournal, lease: Lease) -> None:
        self._journal = journal
        self._lease = lease
        self._epoch: int | None = None
        self.lost = asyncio.Event()
        """Set when another operator took over; nothing but a new process may try again."""

    async def lead(self, begin: Callable[[], None]) -> None:
        """Wait for the lease, take the epoch, and call `begin`; then wait until it is lost.

        A lease that could not be renewed for a while is not lost: `begin` is called again when it
        is sure that it is held still, for what had to wait.
        """
        await self._lease.held.wait()
        while self._epoch is None:
            try:
                await self.take()
            except KeyturnError as error:
                logger.warning("the epoch cannot be taken yet: %s", error.message)
                await asyncio.sleep(PAUSE)
        begin()
        led = True
        while not self._lease.lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE):
                    await self._lease.lost.wait()
            leads = self.is_leading()
            if leads and not led:
                begin()
            led = leads
        self.lose()
        await asyncio.get_running_loop().create_future()

    async def take(self) -> None:
        """Take the next epoch of the store; from now on the writes of others are refused."""
        self._epoch = await self._journal.take_epoch()
        logger.info("rotating with the epoch %d", self._epoch)

    def is_leading(self) -> bool:
        return self._epoch is not None and not self.lost.is_set() and self._lease.may_act()

    @property
    def epoch(self) -> int:
        """The epoch for a write. Raises: as `require`."""
        self.require()
        return self._epoch or 0

    def require(self) -> None:
        """Go on only while this operator leads.

        Raises:
            LeadershipLostError: another operator took over.
            UnavailableError: the lease could not be renewed for so long that one might.
        """
        if self.lost.is_set():
            raise LeadershipLostError("another operator rotates now; this one has to stop")
        if not self.is_leading():
            raise UnavailableError("this operator does not hold the lease, and rotates nothing")

    def lose(self) -> None:
        """Stop for good: the store told that another operator has taken over."""
        if not self.lost.is_set():
            logger.critical("another operator rotates now; this one stops rotating")
            self.lost.set()
