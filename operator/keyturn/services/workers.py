"""The workers: they take keys from the queue and let each be reconciled."""

import asyncio
import logging
import time

from keyturn.domain.errors import (
    AwaitingInputError,
    ClusterUnavailableError,
    InvalidError,
    KeyturnError,
    RotationPendingError,
    UnavailableError,
)
from keyturn.kube.facts import wait_hint
from keyturn.observability.failures import describe
from keyturn.services.reconciling import Reconciler
from keyturn.services.workqueue import LAST_BACKOFF, Work, WorkQueue

logger = logging.getLogger(__name__)

FINAL = (InvalidError, AwaitingInputError, RotationPendingError)
"""Errors that only news can mend: an edit, a value that somebody puts, the end of a rotation."""

OUTAGE_BACKOFF = 30.0
"""The longest pause while the cluster or the store does not answer: when it is back, nobody tells
the keys that wait, so that none may sleep for the minutes that a broken secret does."""


class Workers:
    """So many keys are reconciled at once, each key by one worker at a time."""

    def __init__(self, queue: WorkQueue, reconciler: Reconciler, count: int) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._count = count
        self._busy: dict[int, float] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._count):
                group.create_task(self._work(number), name=f"worker {number}")

    def longest(self) -> float:
        """Tell for how many seconds the slowest reconcile has been running."""
        now = time.monotonic()
        return max((now - began for began in self._busy.values()), default=0.0)

    async def _work(self, number: int) -> None:
        while True:
            work = await self._queue.get()
            self._busy[number] = time.monotonic()
            try:
                await self._reconcile(work)
            finally:
                del self._busy[number]

    async def _reconcile(self, work: Work) -> None:
        failed, wait, at_most = True, 0.0, LAST_BACKOFF
        try:
            error = await self._reconciler.reconcile(work)
            failed = error is not None and not isinstance(error, FINAL)
        except ClusterUnavailableError as problem:
            wait, at_most = wait_hint(problem), OUTAGE_BACKOFF
            logger.info("%s waits for the cluster: %s", work.name, problem.message)
        except UnavailableError as problem:
            at_most = OUTAGE_BACKOFF
            logger.warning("%s has to wait: %s", work.name, problem.message)
        except KeyturnError as problem:
            logger.warning("%s cannot be reconciled: %s", work.name, problem.message)
        except Exception as problem:  # noqa: BLE001 - one broken secret must not end the rest
            logger.critical("%s failed unexpectedly: %s", work.name, describe(problem))
        finally:
            self._queue.done(
                work.name,
                failed=failed,
                wait=wait,
                at_most=at_most,
                is_echo=self._reconciler.is_echo,
            )
