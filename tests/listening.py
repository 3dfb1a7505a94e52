"""Servers of tests that leave no connection behind, whatever their clients were about to do.

A connection that is accepted in the same turn of the loop in which its server closes, or with whose
TLS the server is not done then, is closed by nobody in Python 3.11. Its socket tells of itself when
it is collected, in some later test.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from aiohttp import web

T = TypeVar("T")
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]

_TURNS: Final = 3
"""In so many turns of the loop an accepted connection has begun, and an aborted one is closed."""


@asynccontextmanager
async def listening(
    application: web.Application,
    port: int = 0,
    *,
    ssl_context: ssl.SSLContext | None = None,
    handler_cancellation: bool = False,
) -> AsyncIterator[int]:
    """Serve HTTP on a port of loopback, a free one if none is given, and return it."""
    runner = web.AppRunner(
        application,
        access_log=None,
        shutdown_timeout=0.1,
        handler_cancellation=handler_cancellation,
    )
    await runner.setup()
    with socket.create_server(("127.0.0.1", port)) as listener:
        await web.SockSite(runner, listener, ssl_context=ssl_context).start()
        try:
            yield listener.getsockname()[1]
        finally:
            port = await _accept_no_more(listener)
            await runner.cleanup()
            await _hang_up(port)


@asynccontextmanager
async def talking(
    talk: Talk, port: int = 0, *, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Have each connection to a port of loopback led by `talk`; return the port as `listening`."""
    server = await asyncio.start_server(talk, "127.0.0.1", port, ssl=ssl_context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        port = await _accept_no_more(server.sockets[0])
        server.close()
        await _hang_up(port)


async def _accept_no_more(listener: Any) -> int:
    asyncio.get_running_loop().remove_reader(listener.fileno())
    await _turn()
    port: int = listener.getsockname()[1]
    return port


async def _hang_up(port: int | None = None) -> None:
    """Abort the connections of a port, or all; a server does so itself from Python 3.13 on."""
    known = asyncio.get_running_loop()._transports  # type: ignore[attr-defined]
    for transport in list(known.values()):
        if port is None or (transport.get_extra_info("sockname") or ("", 0))[1] == port:
            transport.abort()
    await _turn()


async def _turn() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


class LoopThread:
    """An event loop in a thread of its own, for tests that run none, for the length of a `with`."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.call(_end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the loop and return what came of it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    @contextmanager
    def holding(self, server: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Have a server run in the loop."""
        running = self.call(_entered(server))
        try:
            yield running
        finally:
            self.call(_left(server))


@contextmanager
def beside(server: AbstractAsyncContextManager[T], name: str) -> Iterator[T]:
    """Have a server run in a thread of its own."""
    with LoopThread(name) as loop, loop.holding(server) as running:
        yield running


async def _entered(server: AbstractAsyncContextManager[T]) -> T:
    return await server.__aenter__()


async def _left(server: AbstractAsyncContextManager[T]) -> None:
    await server.__aexit__(None, None, None)


async def _end() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await _hang_up()
