"""Work that is finished although its task is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Do it to its end; a cancellation is taken up after it.

    For what must not be cut off between a target that has made a value and the store that keeps it.
    All that is waited for in it has a deadline of its own.
    """
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            # Asked for, so that a failure is not one that nobody looked at.
            task.exception()
        raise cancelled
    return task.result()
