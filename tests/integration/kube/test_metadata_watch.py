"""A watch of metadata, over real connections to a server that says what it should not."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from connections import connection_to
from keyturn.kube.client import KubeClient
from keyturn.kube.metadata_watch import MetadataWatch, Sighting
from listening import listening

PATH = "/api/v1/secrets"

Talk = Callable[[int, web.StreamResponse], Awaitable[None]]
"""What the server says in its nth watch, before it ends it."""


def an_object(name: str, version: int) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": name, "resourceVersion": str(version)}
    return {"metadata": metadata}


def a_line(kind: str, name: str, version: int) -> bytes:
    return json.dumps({"type": kind, "object": an_object(name, version)}).encode() + b"\n"


class Server:
    """Lists one object, and then lets `talk` speak."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.lists = 0
        self.watched: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            self.lists += 1
            metadata = {"resourceVersion": "10"}
            return web.json_response({"metadata": metadata, "items": [an_object("listed", 9)]})
        self.watched.append(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        await self._talk(len(self.watched), response)
        return response


class Eye:
    """What the watch told."""

    def __init__(self) -> None:
        self.listed: list[list[str]] = []
        self.changed: list[str] = []

    async def on_listed(self, found: list[Sighting], _: int) -> None:
        self.listed.append([sighting.name for sighting in found])

    def on_change(self, sighting: Sighting) -> None:
        self.changed.append(sighting.name)


@asynccontextmanager
async def watching(
    server: Server, eye: Eye, folder: Path, *, silence: float = 30.0
) -> AsyncIterator[MetadataWatch]:
    app = web.Application()
    app.router.add_get(PATH, server.answer)
    async with (
        listening(app, handler_cancellation=True) as port,
        KubeClient(connection_to(f"http://127.0.0.1:{port}", folder)) as kube,
    ):
        watch = MetadataWatch(
            kube, PATH, on_listed=eye.on_listed, on_change=eye.on_change, silence=silence
        )
        running = asyncio.create_task(watch.run())
        yield watch
        assert not running.done()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not is_so():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.01)


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_watch_that_ends_goes_on_where_it_was(tmp_path: Path) -> None:
    async def talk(number: int, response: web.StreamResponse) -> None:
        if number == 1:
            await response.write(a_line("ADDED", "first", 11))
            await response.write(a_line("BOOKMARK", "", 20))
        else:
            await response.write(a_line("ADDED", "second", 21))
            await forever()

    server, eye = Server(talk), Eye()

    async with watching(server, eye, tmp_path):
        await until(lambda: "second" in eye.changed)

    assert eye.changed == ["first", "second"]
    assert server.watched == ["10", "20"]
    assert server.lists == 1


async def test_a_watch_that_falls_silent_is_begun_anew(tmp_path: Path) -> None:
    async def talk(number: int, response: web.StreamResponse) -> None:
        if number == 2:
            await response.write(a_line("ADDED", "missed", 11))
        await forever()

    server, eye = Server(talk), Eye()

    async with watching(server, eye, tmp_path, silence=0.2):
        await until(lambda: eye.changed == ["missed"])


async def test_bookmarks_are_a_sign_of_life(tmp_path: Path) -> None:
    async def talk(number: int, response: web.StreamResponse) -> None:
        for version in range(11, 51):
            await response.write(a_line("BOOKMARK", "", version))
            await asyncio.sleep(0.1)
        await response.write(a_line("ADDED", "at last", 51))
        await forever()

    server, eye = Server(talk), Eye()

    async with watching(server, eye, tmp_path, silence=3.0):
        await until(lambda: eye.changed == ["at last"])

    assert server.watched == ["10"]


async def test_a_server_that_ends_every_watch_is_not_pressed(tmp_path: Path) -> None:
    async def talk(number: int, response: web.StreamResponse) -> None:
        """Say nothing."""

    server, eye = Server(talk), Eye()

    async with watching(server, eye, tmp_path):
        await asyncio.sleep(1.0)

    assert 1 <= len(server.watched) <= 5


async def test_a_line_of_an_unknown_shape_leads_to_a_new_list(tmp_path: Path) -> None:
    async def talk(number: int, response: web.StreamResponse) -> None:
        if number == 1:
            await response.write(b'{"type":"MODIFIED","object":{"metadata":null}}\n')
        await forever()

    server, eye = Server(talk), Eye()

    async with watching(server, eye, tmp_path):
        await until(lambda: len(eye.listed) == 2)


async def test_a_fault_of_whoever_is_told_does_not_close_the_eye(tmp_path: Path) -> None:
    class Clumsy(Eye):
        def on_change(self, sighting: Sighting) -> None:
            super().on_change(sighting)
            if len(self.changed) == 1:
                raise ZeroDivisionError

    async def talk(number: int, response: web.StreamResponse) -> None:
        await response.write(a_line("ADDED", f"in watch {number}", 10 + number))
        await forever()

    server, eye = Server(talk), Clumsy()

    async with watching(server, eye, tmp_path):
        await until(lambda: eye.changed == ["in watch 1", "in watch 2"])

    assert server.lists == 2
