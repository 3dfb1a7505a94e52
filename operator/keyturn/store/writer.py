"""One thread that owns the connection, and commits for everybody who waits.

An fsync costs the same for one change as for a hundred. So the thread takes all that waits, runs
it in one transaction, commits once, and answers all of it in one call to the event loop. Should a
piece fail after it has changed something, all of it runs again, each piece in a savepoint of its
own.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar

import apsw
from apsw import Connection

from keyturn.domain.errors import StoreUnavailableError
from keyturn.store import faults
from keyturn.store.connection import abandon, connect
from keyturn.store.disk import Disk

P = ParamSpec("P")
T = TypeVar("T")

MAX_BATCH = 256
"""So many pieces of work share a commit at most; more would make the first one wait."""


class _Job:
    """A piece of work and, once it has run, its outcome."""

    __slots__ = ("error", "future", "result", "work", "writes")

    def __init__(
        self, work: Callable[[Connection], Any], future: asyncio.Future[Any], *, writes: bool
    ) -> None:
        self.work = work
        self.future = future
        self.writes = writes
        self.result: Any = None
        self.error: Exception | None = None

    def answer(self) -> None:
        """Runs on the event loop; a caller that was cancelled is not there any more."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Writer:
    """Runs functions over the connection on its own thread, in the order they were handed in."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._closing = False
        self._closed = asyncio.Event()
        # A daemon: an interpreter that ends without close() must not wait for it for ever. What
        # was acknowledged is on the disk.
        self._thread = threading.Thread(target=self._main, name="keyturn-store", daemon=True)

    async def open(self) -> None:
        """Start the thread and wait until it has opened the connection.

        Raises:
            KeyturnError: what `connect` raised; the thread has ended.
        """
        opened = self.read(lambda _connection: None)
        self._thread.start()
        try:
            await opened
        except BaseException:
            self._stop()
            raise

    def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Hand in a function that changes nothing.

        Raises:
            StoreUnavailableError: the store is closed.
        """
        return self._hand_in(lambda connection: work(connection, *args, **kwargs), writes=False)

    def write(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Hand in a function that changes something; its future is done when that is durable.

        Raises:
            StoreUnavailableError: the store is closed.
        """
        return self._hand_in(lambda connection: work(connection, *args, **kwargs), writes=True)

    async def close(self) -> None:
        """Do all that was handed in, then close the file. A second call waits for the first."""
        self._stop()
        await self._closed.wait()

    def _hand_in(self, work: Callable[[Connection], T], *, writes: bool) -> asyncio.Future[T]:
        if self._closing:
            raise StoreUnavailableError(f"the store {self._path} is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Job(work, future, writes=writes))
        return future

    def _stop(self) -> None:
        if not self._closing:
            self._closing = True
            self._queue.put(None)

    # What follows runs on the thread.

    def _main(self) -> None:
        try:
            session = _Session(self._path, self._disk)
        except Exception as error:  # noqa: BLE001 - it is handed to open(), which raises it
            self._refuse(error)
        else:
            self._serve(session)
            session.close()
        self._tell(self._closed.set)

    def _refuse(self, error: Exception) -> None:
        opener = self._queue.get()
        if opener is not None:
            opener.error = error
            self._tell(opener.answer)

    def _serve(self, session: "_Session") -> None:
        while (first := self._queue.get()) is not None:
            batch: list[_Job] = [first]
            # Only close() hands in None, and nothing follows it.
            waiting = [self._queue.get() for _ in range(min(self._queue.qsize(), MAX_BATCH - 1))]
            batch += [job for job in waiting if job is not None]
            session.run(batch)
            self._tell(_answer_all, batch)
            session.checkpoint_if_long()
            if len(batch) <= len(waiting):
                return

    def _tell(self, callback: Callable[..., object], *args: object) -> None:
        # A loop that is closed has nobody left who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)


def _answer_all(batch: Sequence[_Job]) -> None:
    for job in batch:
        job.answer()


class _Session:
    """The open connection and how a batch runs on it."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._connection = connect(path, disk)
        self._path = path
        self._checkpoint_pages = disk.checkpoint_pages
        self._poisoned = False
        self._wal_pages = 0
        self._connection.set_wal_hook(self._measure)

    def run(self, batch: Sequence[_Job]) -> None:
        """Run the batch and note each outcome; all its writes are durable, or none."""
        writes = [job for job in batch if job.writes]
        if not writes or self._poisoned:
            self._settle_without_commit(batch)
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            if not self._run_clean(batch):
                self._connection.execute("ROLLBACK")
                self._connection.execute("BEGIN IMMEDIATE")
                for job in batch:
                    self._step(job)
            self._connection.execute("COMMIT")
        except apsw.Error as error:
            self._undo(batch, error)

    def checkpoint_if_long(self) -> None:
        """Copy the WAL into the file, after the callers have their answers."""
        if self._wal_pages >= self._checkpoint_pages and not self._poisoned:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)

    def close(self) -> None:
        """Copy the WAL into the file and close it; when that fails, the WAL keeps it all."""
        if not self._poisoned and self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE):
            self._connection.close(force=True)
        else:
            abandon(self._connection)

    def _run_clean(self, batch: Sequence[_Job]) -> bool:
        """Run the batch without savepoints; tell whether no failed piece left a change behind.

        Pieces check first and write then, so that a failed one has hardly ever changed something;
        savepoints for all would be a third of the statements.

        Raises:
            apsw.Error: the disk failed, and with it the whole transaction.
        """
        for job in batch:
            before = self._connection.total_changes()
            self._perform(job)
            if job.error is not None and self._connection.total_changes() != before:
                return False
        return True

    def _step(self, job: _Job) -> None:
        """Run one piece of work; an error of its own undoes it alone.

        Raises:
            apsw.Error: the disk failed, and with it the whole transaction.
        """
        if not job.writes:
            self._perform(job)
            return
        self._connection.execute("SAVEPOINT job")
        self._perform(job)
        if job.error is not None:
            self._connection.execute("ROLLBACK TO job")
        self._connection.execute("RELEASE job")

    def _perform(self, job: _Job) -> None:
        job.error = None
        try:
            job.result = job.work(self._connection)
        except apsw.ConstraintError as error:
            job.error = self._translate(error)
        except apsw.Error:
            raise
        except Exception as error:  # noqa: BLE001 - it is handed to the caller, who raises it
            job.error = error

    def _undo(self, batch: Sequence[_Job], error: apsw.Error) -> None:
        number = self._connection.system_errno
        self._poisoned = self._poisoned or faults.is_failed_sync(error)
        if self._connection.in_transaction:
            with suppress(apsw.Error):
                self._connection.execute("ROLLBACK")
        for job in batch:
            if job.writes:
                job.error = faults.translate(error, self._path, system_errno=number)
        self._settle_without_commit([job for job in batch if not job.writes])

    def _settle_without_commit(self, batch: Sequence[_Job]) -> None:
        """Answer reads; refuse writes, because the disk has failed."""
        for job in batch:
            if job.writes:
                job.error = faults.failed_sync(self._path)
                continue
            try:
                self._perform(job)
            except apsw.Error as error:
                job.error = self._translate(error)

    def _checkpoint(self, mode: int) -> bool:
        try:
            self._connection.wal_checkpoint(mode=mode)
        except apsw.Error as error:
            # The WAL still holds everything; only a failed fsync must never be tried again.
            self._poisoned = faults.is_failed_sync(error)
            return False
        self._wal_pages = 0
        return True

    def _measure(self, _connection: Connection, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _translate(self, error: apsw.Error) -> Exception:
        return faults.translate(error, self._path, system_errno=self._connection.system_errno)
