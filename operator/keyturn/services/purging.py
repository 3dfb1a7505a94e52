"""Destroys what outlived its recovery window."""

import asyncio
import logging

from keyturn.domain.errors import InvalidParameterError, KeyturnError
from keyturn.services.lifecycle import Lifecycle

logger = logging.getLogger(__name__)

LONGEST_WAIT = 3600.0
SHORTEST_WAIT = 1.0


class Purging:
    """Purges when the next secret is due, and looks at least once an hour."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._warned = False

    async def run(self) -> None:
        """Purge until cancelled."""
        while True:
            wait = LONGEST_WAIT
            try:
                await self._lifecycle.purge_due()
                self._warned = False
                wait = await self._lifecycle.next_purge_in() or LONGEST_WAIT
            except InvalidParameterError as error:
                if not self._warned:
                    logger.error("nothing is purged: %s", error.message)  # noqa: TRY400 - no bug of ours
                self._warned = True
            except KeyturnError as error:
                logger.info("the purge waits: %s", error.message)
                wait = 60.0
            self._lifecycle.deleted.clear()
            try:
                await asyncio.wait_for(
                    self._lifecycle.deleted.wait(), min(max(wait, SHORTEST_WAIT), LONGEST_WAIT)
                )
            except TimeoutError:
                continue
