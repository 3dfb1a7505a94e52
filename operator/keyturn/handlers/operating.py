"""The operator at work: its tasks, what kopf tells it, and how it fares."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from keyturn.domain.errors import KeyturnError, StoreStoppedError
from keyturn.domain.secret import SecretName
from keyturn.handlers.eyes import ManagedSecretsEye
from keyturn.handlers.watching import KopfWatch
from keyturn.handlers.witness import Witness
from keyturn.kube.metadata_watch import MetadataWatch
from keyturn.observability.failures import describe
from keyturn.services.reconciling import Reconciler
from keyturn.services.workers import Workers
from keyturn.services.workqueue import WorkQueue

logger = logging.getLogger(__name__)

STUCK = 600.0
"""Seconds after which a reconcile that still runs counts as stuck."""

STORE_CHECK = 10.0
"""Seconds between two proofs that the store can be written."""


class Operator:
    """Runs the watches and the workers, and tells the probes what is wrong."""

    def __init__(  # noqa: PLR0913 - the composition root names each collaborator
        self,
        queue: WorkQueue,
        reconciler: Reconciler,
        managed: ManagedSecretsEye,
        native_watches: Sequence[MetadataWatch],
        witness: Witness,
        *,
        check_store: Callable[[], Awaitable[None]],
        is_replaced: Callable[[], bool],
    ) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._managed = managed
        self._native_watches = native_watches
        self._witness = witness
        self._check_store = check_store
        self._is_replaced = is_replaced
        self._tasks: list[asyncio.Task[None]] = []
        self._workers: Workers | None = None
        self._store_problems: list[str] = []
        self._is_store_stopped = False

    def heard(self, kind: str | None, body: dict[str, Any]) -> None:
        """Take an event of kopf: its key is queued, unless it is the echo of our own write."""
        metadata = body["metadata"]
        name = SecretName(metadata["namespace"], metadata["name"])
        gone = kind == "DELETED"
        self._witness.heard(name, int(metadata["resourceVersion"]), gone=gone)
        if gone:
            self._queue.put(name)
        elif not self._reconciler.is_echo(name, body):
            body["metadata"] = {k: v for k, v in metadata.items() if k != "managedFields"}
            self._queue.put(name, body, first="status" not in body)

    @asynccontextmanager
    async def running(
        self,
        kopf: KopfWatch,
        workers: Workers,
        others: Mapping[str, Callable[[], Awaitable[None]]],
    ) -> AsyncIterator[None]:
        """Run all tasks inside the `with`; what is cut off is taken up at the next start.

        `others` are tasks of the services, by their names.
        """
        self._workers = workers
        for name, run in others.items():
            self._start(name, run())
        for watch in [*self._native_watches, *self._managed.watches]:
            self._start("watch", watch.run())
        self._start("kopf", kopf.run())
        self._start("kopf's witness", self._supervise(kopf))
        self._start("workers", self._work(workers))
        self._start("store check", self._watch_store())
        try:
            yield
        finally:
            for task in reversed(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def is_dead(self) -> list[str]:
        """Say what only a restart of the process can mend; nothing: it lives."""
        problems = [f"the task {task.get_name()} ended" for task in self._tasks if task.done()]
        if self._workers is not None and self._workers.longest() > STUCK:
            problems.append("a reconcile is stuck")
        if self._witness.finds_deaf_for_good():
            problems.append("the watch of ManagedSecrets stays deaf")
        if self._is_replaced():
            problems.append("another operator has taken over")
        if self._is_store_stopped:
            problems.append("the store writes nothing more after a failed fsync")
        return problems

    def is_unready(self) -> list[str]:
        """Say what keeps the operator from its work; nothing: it is ready."""
        problems = self.is_dead()
        eyes = {"Secrets": self._native_watches, "ManagedSecrets": self._managed.watches}
        problems += [
            f"the {kind} of the cluster are not listed yet"
            for kind, watches in eyes.items()
            if not all(watch.listed.is_set() for watch in watches)
        ]
        return problems + self._store_problems

    async def listed(self) -> None:
        """Wait until all native Secrets and ManagedSecrets have been seen once."""
        for watch in [*self._native_watches, *self._managed.watches]:
            await watch.listed.wait()

    def _start(self, name: str, work: Any) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_tell_of_death)
        self._tasks.append(task)

    async def _work(self, workers: Workers) -> None:
        # Before the first list a Secret that was deleted meanwhile looks untouched.
        for watch in self._native_watches:
            await watch.listed.wait()
        await workers.run()

    async def _watch_store(self) -> None:
        while True:
            try:
                await self._check_store()
                self._store_problems = []
            except KeyturnError as error:
                self._store_problems = [error.message]
                self._is_store_stopped = isinstance(error, StoreStoppedError)
            await asyncio.sleep(STORE_CHECK)

    async def _supervise(self, kopf: KopfWatch) -> None:
        while True:
            await asyncio.sleep(1)
            late = self._witness.overdue()
            for name in late:
                self._queue.put(name)
            if late and self._witness.finds_deaf(alive_at=self._managed.alive_at()):
                logger.warning("kopf did not tell of %d changes; its watch begins anew", len(late))
                kopf.restart()


def _tell_of_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("the task %s died: %s", task.get_name(), describe(error))
