"""A start, and the store that it waits for, of an operator that has not ended yet."""

import logging
from collections.abc import Callable
from time import monotonic

from keyturn.domain.errors import StoreInUseError
from keyturn.settings import Settings
from keyturn.store.disk import Disk
from keyturn.store.sqlite import SQLiteStore

logger = logging.getLogger(__name__)

REMINDER = 60.0
"""Seconds between two lines in the log that say that the store is still waited for."""

PATIENCE = 0.5
"""Seconds of one try. SQLite tries again by itself in that time, every tenth of a second at least;
between two tries a signal is heeded."""


class Starting:
    """What keeps an operator from being ready as long as it starts; the probe shows it."""

    def __init__(self) -> None:
        self.problem = "the operator is starting"

    async def open_store(
        self, settings: Settings, *, clock: Callable[[], float] = monotonic
    ) -> SQLiteStore:
        """Open the store; wait for the process that has it open, as long as the settings say.

        A pod that is replaced may end later than the next one begins: on a node that is not heard
        of, after a kill of the kubelet, or while a volume is moved.

        Raises:
            StoreInUseError: the wait is over, and another process has it open still.
            KeyturnError: as `SQLiteStore.open`, at once.
        """
        began = reminded_at = clock()
        wait = settings.store_wait.total_seconds()
        is_waiting = False
        disk = Disk(patience=PATIENCE) if wait else Disk()
        while True:
            try:
                store = await SQLiteStore.open(settings.store_file, disk=disk)
            except StoreInUseError as error:
                if clock() - began >= wait:
                    raise
                if not is_waiting or clock() - reminded_at >= REMINDER:
                    logger.warning("waiting for the store: %s", error.message)
                    reminded_at = clock()
                is_waiting = True
                self.problem = f"another operator holds the store: {error.message}"
                continue
            if is_waiting:
                logger.info("the store is free after %.0f s", clock() - began)
                self.problem = "the operator is starting"
            return store
