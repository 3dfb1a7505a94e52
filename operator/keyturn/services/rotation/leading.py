"""Takes the lease, keeps it, and tells how sure it is of it."""

import asyncio
import logging
import time
from collections.abc import Callable

from keyturn.domain.errors import KeyturnError, RaceError
from keyturn.kube.leases import LeaseRecord, Leases

logger = logging.getLogger(__name__)

DURATION = 15.0
"""Seconds after the last renewal at which others may take the lease over."""

DEADLINE = 10.0
"""Seconds after the last renewal at which its holder stops to act."""

PAUSE = 3.0
"""Seconds between two renewals, or two looks at the lease of somebody else."""


class Leading:
    """Holds the lease, as client-go's leader election does, with two differences.

    What was held is given up for good when somebody else has it: only a new process tries again.
    And a lease that was held with the same store is free at once: the store lets only one process
    open it, so that its former holder cannot be at work.

    Times are of the own monotonic clock. Whether the lease of another is over is told by how long
    it was seen not to change, never by the time in it.
    """

    def __init__(
        self,
        leases: Leases,
        holder: str,
        store_id: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leases = leases
        self._holder = holder
        self._store_id = store_id
        self._clock = clock
        self._renewed_at: float | None = None
        self._seen: tuple[LeaseRecord, float] | None = None
        self.held = asyncio.Event()
        """Set once the lease is held for the first time."""
        self.lost = asyncio.Event()
        """Set for good when somebody else has taken it."""

    def may_act(self) -> bool:
        """Tell whether the lease is held, and nobody else can have taken it yet."""
        renewed = self._renewed_at
        return renewed is not None and not self.lost.is_set() and self._clock() < renewed + DEADLINE

    async def run(self) -> None:
        """Hold the lease until cancelled, or until it is lost."""
        while not self.lost.is_set():
            try:
                await self.turn()
            except RaceError:
                continue
            except KeyturnError as error:
                logger.info("the lease cannot be looked at: %s", error.message)
            await asyncio.sleep(PAUSE)
        await asyncio.get_running_loop().create_future()

    async def turn(self) -> None:
        """Look at the lease once, and make, renew or take it if that is right.

        Raises:
            RaceError: somebody wrote it meanwhile; look again.
            KeyturnError: the apiserver does not answer.
        """
        # Before the request: what is counted from must not be later than the apiserver's time.
        asked_at = self._clock()
        stood = await self._leases.read()
        if stood is not None and stood.holder != self._holder:
            if self.held.is_set():
                logger.critical("the lease is held by %s now", stood.holder)
                self.lost.set()
                return
            if not self._is_free(stood):
                return
        await self._leases.write(self._holder, self._store_id, DURATION, stood)
        self._renewed_at = asked_at
        if not self.held.is_set():
            logger.info("the lease is held; this operator rotates")
            self.held.set()

    def _is_free(self, stood: LeaseRecord) -> bool:
        if not stood.holder or stood.store_id == self._store_id:
            return True
        if self._seen is None or self._seen[0] != stood:
            self._seen = (stood, self._clock())
            logger.info("the lease is held by %s", stood.holder)
        return self._clock() >= self._seen[1] + DURATION
