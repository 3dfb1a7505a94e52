"""kopf, supervised, before a server that lets nobody in."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web

from connections import connection_to
from keyturn.handlers.watching import KopfWatch
from keyturn.kube.connection import Connection
from listening import listening


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"kind": "Status", "code": 401}, status=401)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    # A log that keeps the exceptions keeps the tasks of kopf, too. These tell of themselves when
    # they are collected, which Python 3.11 cannot bear while it parses a module.
    logging.disable()
    async with listening(app) as port:
        yield connection_to(f"http://127.0.0.1:{port}", tmp_path)
    gc.collect()
    logging.disable(logging.NOTSET)


async def at_once() -> None:
    """Tell that the kind is served."""


async def test_kopf_is_started_again_whenever_it_ends(connection: Connection) -> None:
    watch = KopfWatch(connection, (), lambda _, __: None, at_once)
    running = asyncio.create_task(watch.run())

    async with asyncio.timeout(60):
        while watch.restarts < 2:  # noqa: ASYNC110 - it ends in a thread
            await asyncio.sleep(0.05)

    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await watch.close()


async def test_kopf_leaves_no_thread_behind(connection: Connection) -> None:
    watch = KopfWatch(connection, (), lambda _, __: None, at_once)
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(1)

    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await watch.close()

    assert watch._thread is not None
    assert not watch._thread.is_alive()


async def test_kopf_waits_until_its_kind_is_served(connection: Connection) -> None:
    served = asyncio.Event()

    async def when_served() -> None:
        await served.wait()

    watch = KopfWatch(connection, (), lambda _, __: None, when_served)
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(0.1)
    assert watch._thread is None

    served.set()

    async with asyncio.timeout(60):
        while watch.restarts < 1:  # noqa: ASYNC110 - it ends in a thread
            await asyncio.sleep(0.05)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await watch.close()
