"""A driver that blocks, used from asyncio: one thread for one connection, and a deadline."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from keyturn.domain.errors import TargetUnavailableError

Answer = TypeVar("Answer")


class BlockingConnection:
    """The one thread in which a connection of a blocking driver is used.

    A thread of its own, and not one of asyncio's, so that waiting for a lock in the target does
    not keep others from theirs. Who leaves while the driver is still busy (a deadline, a
    cancellation) aborts it: nothing goes on in the target that nobody waits for.
    """

    def __init__(self, name: str, abort: Callable[[], None]) -> None:
        """Take the function that ends a busy driver from another thread by cutting its socket."""
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._abort = abort

    async def call(self, act: Callable[[], Answer], *, seconds: float) -> Answer:
        """Run an act of the driver.

        Raises:
            TargetUnavailableError: it took longer; whether it was done is not known.
        """
        busy = asyncio.get_running_loop().run_in_executor(self._executor, act)
        # What an aborted driver raises is of no interest; asyncio would log it at its end.
        busy.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(busy)
        except TimeoutError:
            self._abort()
            raise TargetUnavailableError("the target did not answer in time") from None
        except asyncio.CancelledError:
            self._abort()
            raise

    def release(self) -> None:
        """Let the thread end when it has nothing more to do."""
        self._executor.shutdown(wait=False)
