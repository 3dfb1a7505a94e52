"""A real proxy before the real apiserver, whose faults are switched on and off while it runs.

It ends the TLS of its client with a certificate of its own and verifies the apiserver's, so that
what is behind it is the apiserver and what is before it knows nothing of it.
"""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp import web

from keyturn_controlplane import kubeconfig
from keyturn_controlplane.certificates import Authority
from listening import LoopThread, listening

_HOP_BY_HOP: Final = frozenset({"connection", "host", "keep-alive", "transfer-encoding"})
_LINGER_NOT: Final = struct.pack("ii", 1, 0)
_LARGEST: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Requests:
    """A class of requests: which verbs, on which part of a path, sent by whom."""

    verbs: frozenset[str]
    path: str = ""
    sender: str = ""

    def holds(self, request: web.Request) -> bool:
        return (
            verb_of(request) in self.verbs
            and self.path in request.path
            and self.sender in ("", sender_of(request))
        )


def requests(*verbs: str, path: str = "", sender: str = "") -> Requests:
    """Name a class of requests. Verbs: `watch`, `read` (of one or a list), `write`."""
    return Requests(frozenset(verbs or ("watch", "read", "write")), path, sender)


def verb_of(request: web.Request) -> str:
    if request.method != "GET":
        return "write"
    return "watch" if request.query.get("watch") == "true" else "read"


def sender_of(request: web.Request) -> str:
    """Tell `kopf` from `keyturn`, whose own watches share the process with it."""
    return "kopf" if "kopf" in request.headers.get("User-Agent", "") else "keyturn"


Forward = Callable[[], Awaitable[web.StreamResponse]]


class Fault:
    """What befalls a request. As it stands: nothing."""

    async def befall(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        return await forward()

    async def befall_stream(self, request: web.Request, response: web.StreamResponse) -> None:
        """Befall a watch that is under way; it ends when this returns."""
        await response.write_eof()


@dataclass(frozen=True)
class Answers(Fault):
    """An error instead of what was asked for; a watch under way just ends."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None

    async def befall(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        await request.read()
        body = _status(self.status) if self.body is None else self.body
        headers = {"Content-Type": "application/json", **self.headers}
        return web.Response(status=self.status, headers=headers, body=body)


@dataclass(frozen=True)
class Says(Fault):
    """Bytes in the middle of a watch, and its end: at once, for each watch that comes."""

    text: bytes

    async def befall(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        response = await _begin(request)
        await self.befall_stream(request, response)
        return response

    async def befall_stream(self, request: web.Request, response: web.StreamResponse) -> None:
        await response.write(self.text)
        await response.write_eof()


class Resets(Fault):
    """The connection is reset before the apiserver hears of it."""

    async def befall(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        await request.read()
        _reset(request)
        return web.Response()

    async def befall_stream(self, request: web.Request, response: web.StreamResponse) -> None:
        _reset(request)


class LosesReply(Fault):
    """The apiserver does what was asked, and nobody learns of it."""

    async def befall(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        await forward()
        _reset(request)
        return web.Response()


@dataclass(frozen=True)
class Delays(Fault):
    """Everything takes longer; a watch under way goes on."""

    seconds: float

    async def befall(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        await asyncio.sleep(self.seconds)
        return await forward()


class FallsSilent(Fault):
    """The connection stays up, and nothing comes any more: healed or not."""

    async def befall(self, request: web.Request, forward: Forward) -> web.StreamResponse:
        response = await _begin(request)
        await self.befall_stream(request, response)
        return response

    async def befall_stream(self, request: web.Request, response: web.StreamResponse) -> None:
        await asyncio.Event().wait()  # Until its client gives up, which cancels this.


NO_LEADER: Final = Says(
    b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure"'
    b',"message":"etcdserver: no leader","code":500}}\n'
)
GONE: Final = Says(
    b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure"'
    b',"message":"too old resource version","reason":"Expired","code":410}}\n'
)
CUT_OFF: Final = Says(b'{"type":"MODIFIED","object":{"apiVersion":"keyturn.dev/v1alp')
NO_JSON: Final = Says(b"<html>502 Bad Gateway</html>\n")
NO_OBJECT: Final = Says(b'{"type":"MODIFIED","object":{}}\n')


class FaultyProxy:
    """The proxy, in a thread of its own, for the length of a `with`."""

    def __init__(self, upstream: str, upstream_ca: Path, folder: Path) -> None:
        self._upstream = upstream
        self._upstream_ca = upstream_ca
        self._folder = folder
        self._authority = Authority.create(folder / "proxy", "keyturn-proxy-ca", datetime.now(UTC))
        self._loop = LoopThread("proxy")
        self._faults: list[tuple[Requests, Fault]] = []
        self._switched = asyncio.Event()
        self.befallen = 0
        """How many requests and watches a fault has befallen so far."""
        self.url = ""

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(self._loop)
            undo.enter_context(self._loop.holding(self._serving()))
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._undo.close()

    def kubeconfig(self, token: str) -> Path:
        """Write a kubeconfig that leads through the proxy; a later call replaces the token."""
        path = self._folder / "through-the-proxy"
        return kubeconfig.write_for_token(path, self.url, self._authority.file, token)

    @contextmanager
    def failing(self, of: Requests, fault: Fault) -> Iterator[None]:
        """Let a fault befall a class of requests, the watches under way too, until the end."""
        entry = (of, fault)
        self._loop.call(self._switch(lambda: self._faults.append(entry)))
        try:
            yield
        finally:
            self._loop.call(self._switch(lambda: self._faults.remove(entry)))

    async def _switch(self, change: Callable[[], None]) -> None:
        change()
        self._switched.set()
        self._switched = asyncio.Event()

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        trust = ssl.create_default_context(cafile=str(self._upstream_ca))
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            read_bufsize=2**20,
        )
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{path:.*}", self._handle)
        pair = self._authority.issue("proxy", "keyturn-proxy")
        identity = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        identity.load_cert_chain(pair.certificate, pair.key)
        async with (
            session as self._session,
            listening(app, ssl_context=identity, handler_cancellation=True) as port,
        ):
            self.url = f"https://127.0.0.1:{port}"
            yield

    def _fault_of(self, request: web.Request) -> Fault | None:
        return next((fault for of, fault in self._faults if of.holds(request)), None)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        fault = self._fault_of(request)
        if fault is None:
            return await self._forward(request)
        self.befallen += 1
        return await fault.befall(request, lambda: self._forward(request))

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        url = f"{self._upstream}{request.raw_path}"
        body = await request.read()
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body or None
            ) as answer:
                if verb_of(request) == "watch" and answer.status == web.HTTPOk.status_code:
                    return await self._stream(request, answer)
                return web.Response(
                    status=answer.status, headers=_kept(answer), body=await answer.read()
                )
        except (aiohttp.ClientError, OSError):
            _reset(request)
            return web.Response()

    async def _stream(
        self, request: web.Request, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        response = await _begin(request, _kept(answer))
        while True:
            reading = asyncio.ensure_future(answer.content.readany())
            switching = asyncio.ensure_future(self._switched.wait())
            try:
                await asyncio.wait({reading, switching}, return_when=asyncio.FIRST_COMPLETED)
                fault = self._fault_of(request)
                if fault is not None and not isinstance(fault, Delays):
                    self.befallen += 1
                    await fault.befall_stream(request, response)
                    return response
                if reading.done() and not await self._pass_on(await reading, response):
                    return response
            finally:
                reading.cancel()
                switching.cancel()
                await asyncio.gather(reading, switching, return_exceptions=True)

    async def _pass_on(self, chunk: bytes, response: web.StreamResponse) -> bool:
        if chunk:
            await response.write(chunk)
        else:
            await response.write_eof()
        return bool(chunk)


async def _begin(request: web.Request, headers: dict[str, str] | None = None) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers or {"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    return response


def _kept(answer: aiohttp.ClientResponse) -> dict[str, str]:
    dropped = _HOP_BY_HOP | {"content-length"}
    return {k: v for k, v in answer.headers.items() if k.lower() not in dropped}


def _reset(request: web.Request) -> None:
    """End the connection by RST, as a process or a network that fails does."""
    transport = request.transport
    if transport is None:
        return
    with suppress(OSError):
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()


def _status(code: int) -> bytes:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return json.dumps({**status, "message": "a fault", "code": code}).encode()
