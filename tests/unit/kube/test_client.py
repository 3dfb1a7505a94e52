import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.config.config_exception import ConfigException

from connections import connection_to
from keyturn.domain.errors import ClusterUnavailableError
from keyturn.kube.client import KubeClient, _parsed
from listening import talking

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def speaking_to(answer: Talk, tmp_path: Path) -> AsyncIterator[KubeClient]:
    """Open a client of a server whose every connection is led by `answer`."""
    async with (
        talking(answer) as port,
        KubeClient(connection_to(f"http://127.0.0.1:{port}", tmp_path)) as kube,
    ):
        yield kube


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[KubeClient]:
    async with KubeClient(connection_to("http://127.0.0.1:9", tmp_path)) as kube:
        yield kube


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ConfigException("the file is empty"), id="empty"),
        pytest.param(FileNotFoundError(), id="missing"),
    ],
)
async def test_a_token_that_cannot_be_read_just_now_is_waited_for(
    error: Exception, kube: KubeClient
) -> None:
    def read_anew(_: Any) -> Any:
        raise error

    setattr(kube._configuration, "refresh_api_key_hook", read_anew)  # noqa: B010 - its type is that of None

    with pytest.raises(ClusterUnavailableError, match="token cannot be read"):
        await kube.request("GET", "/api")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"metadata":', id="cut off"),
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(b"[]", id="no object"),
    ],
)
def test_an_answer_that_is_none_is_trouble_of_the_cluster(content: bytes) -> None:
    with pytest.raises(ClusterUnavailableError):
        _parsed(content)


async def test_watches_keep_no_request_from_going_out(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                body = b"" if b"watch=true" in asked else b"2\r\n{}\r\n0\r\n\r\n"
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        writer.close()

    async with (
        speaking_to(answer, tmp_path) as kube,
        AsyncExitStack() as watches,
    ):
        async with asyncio.timeout(20):
            for _ in range(150):
                stream = kube.stream("/api/v1/secrets?watch=true", accept="application/json")
                await watches.enter_async_context(stream)
            assert await kube.request("GET", "/api") == {}


async def test_a_watch_goes_on_while_the_credentials_are_renewed(tmp_path: Path) -> None:
    watchers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                if b"watch=true" in asked:
                    watchers.append(writer)
                    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                else:
                    writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async with (
        speaking_to(answer, tmp_path) as kube,
        kube.stream("/api/v1/secrets?watch=true", accept="application/json") as lines,
        asyncio.timeout(20),
    ):
        for _ in range(3):
            with pytest.raises(ClusterUnavailableError):
                await kube.request("GET", "/api")
        watchers[0].write(b"3\r\n{}\n\r\n")
        assert await lines.readline() == b"{}\n"


async def test_the_end_of_the_client_ends_a_watch_that_nobody_ended(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            await reader.read()
        ended.set()
        writer.close()

    async with asyncio.timeout(20):
        async with speaking_to(answer, tmp_path) as kube:
            watch = kube.stream("/api/v1/secrets?watch=true", accept="application/json")
            await watch.__aenter__()
        await ended.wait()
        await watch.__aexit__(None, None, None)
