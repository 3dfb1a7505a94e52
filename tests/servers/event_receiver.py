"""A receiver of events: real HTTPS, and whatever an endpoint can do to its callers."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from listening import beside, listening
from servers.certificates import LOOPBACK, Authority

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Call:
    """A call as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: asyncio.Transport


@dataclass
class Receiver:
    """Keeps every call, and answers as the test says."""

    scheme: str
    port: int = 0
    calls: list[Call] = field(default_factory=list)
    answer: Answer | None = None

    def url(self, path: str = "/events") -> str:
        return f"{self.scheme}://localhost:{self.port}{path}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        assert isinstance(request.transport, asyncio.Transport)
        self.calls.append(Call(request.path, dict(request.headers), body, request.transport))
        return await self.answer(request) if self.answer else web.Response(status=202)


@asynccontextmanager
async def receiving(
    authority: Authority | None, port: int = 0, hosts: Sequence[str] = LOOPBACK
) -> AsyncIterator[Receiver]:
    """Receive on a free port of loopback, by TLS if there is an authority for it."""
    receiver, context = Receiver("https" if authority else "http"), None
    if authority is not None:
        pair = authority.issue("receiver", hosts)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
    application = web.Application()
    application.router.add_post("/{path:.*}", receiver.handle)
    async with listening(application, port, ssl_context=context) as receiver.port:
        yield receiver


@contextmanager
def receiving_beside(authority: Authority) -> Iterator[Receiver]:
    """Receive in a thread, for tests that run no event loop."""
    with beside(receiving(authority), "event receiver") as receiver:
        yield receiver


def status(code: int, **headers: str) -> Answer:
    """Answer with a status."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers=headers)

    return answer


async def hang(_: web.Request) -> web.StreamResponse:
    """Do not answer at all."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError


async def die(request: web.Request) -> web.StreamResponse:
    """Take the call, and cut the connection."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def never_end(request: web.Request) -> web.StreamResponse:
    """Say that all is well, and then send a body that has no end."""
    response = web.StreamResponse(status=200)
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65536)


async def begin_only(request: web.Request) -> web.StreamResponse:
    """Say that all is well, and then send nothing of the body that was announced."""
    response = web.StreamResponse(status=200, headers={"Content-Length": "10"})
    await response.prepare(request)
    await asyncio.get_running_loop().create_future()
    raise AssertionError
