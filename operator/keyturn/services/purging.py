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
            # Forgotten before the look, not after it: a deletion in between must end the wait.
            self._lifecycle.deleted.clear()
            try:
                await self._lifecycle.purge_due()
                self._warned = False
                due_in = await self._lifecycle.next_purge_in()
                wait = LONGEST_WAIT if due_in is None else due_in
            except InvalidParameterError as error:
                if not self._warned:
                    logger.error("nothing is purged: %s", error.message)  # noqa: TRY400 - no bug of ours
                self._warned = True
            except KeyturnError as error:
                logger.info("the purge waits: %s", error.message)
                wait = 60.0
            try:
                async with asyncio.timeout(min(max(wait, SHORTEST_WAIT), LONGEST_WAIT)):
                    await self._lifecycle.deleted.wait()
            except TimeoutError:
                continue
