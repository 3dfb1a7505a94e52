"""Calls to real servers on loopback: what is trusted, how much is read, and where none may go."""

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from keyturn.domain.errors import InvalidParameterError, TargetUnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.http import MAX_ANSWER, Answer, Reach, open_client
from listening import talking
from servers.certificates import Authority

JSON = b"Content-Type: Application/JSON; charset=utf-8"
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + JSON + b"\r\n\r\n{}"


@dataclass
class Server:
    """A server that answers each call with the same bytes, and counts who came."""

    answer: bytes = FINE
    delay: float = 0.0
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    def url(self, host: str = "localhost") -> str:
        return f"https://{host}:{self.port}/token"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0] or b"0")
            self.requests.append(head + await reader.readexactly(length))
            await asyncio.sleep(self.delay)
            writer.write(self.answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Names(AbstractResolver):
    """A resolver whose answers change: each is some addresses, the last one stays."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        addresses = (self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]).split()
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def listening(server: Server, context: ssl.SSLContext | None) -> AsyncIterator[None]:
    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        await server.serve(reader, writer)

    async with talking(count, server.port, ssl_context=context) as server.port:
        yield


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path)


def context_of(authority: Authority, *hosts: str) -> ssl.SSLContext:
    pair = authority.issue("server", hosts or ("localhost", "127.0.0.1", "auth.example.com"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


@pytest.fixture
async def server(authority: Authority) -> AsyncIterator[Server]:
    server = Server()
    async with listening(server, context_of(authority)):
        yield server


@pytest.fixture
def reach(authority: Authority) -> Reach:
    return Reach(allow_private=True, authority=authority.pem, timeout=5.0)


async def call(reach: Reach, url: str, resolver: AbstractResolver | None = None) -> Answer:
    async with open_client(reach, resolver) as client:
        return await client.send("POST", url, body=SecretValue(b"a=b"))


async def test_an_answer_is_read(server: Server, reach: Reach) -> None:
    answer = await call(reach, server.url())

    assert (answer.status, answer.media_type) == (200, "application/json")
    assert bytes(answer.body.reveal()) == b"{}"
    assert server.requests[0].endswith(b"\r\n\r\na=b")
    assert b"accept-encoding: identity" in server.requests[0].lower()


# Trust


async def test_a_certificate_of_another_authority_is_not_trusted(
    server: Server, reach: Reach, tmp_path: Path
) -> None:
    other = Authority.create(tmp_path, "other")

    for authority in (other.pem, b""):
        with pytest.raises(TargetUnavailableError, match="not trusted"):
            await call(Reach(allow_private=True, authority=authority), server.url())
    assert server.requests == []


async def test_a_certificate_of_another_host_is_not_trusted(
    authority: Authority, reach: Reach
) -> None:
    server = Server()
    async with listening(server, context_of(authority, "other.example")):
        with pytest.raises(TargetUnavailableError, match="not trusted"):
            await call(reach, server.url())
    assert server.requests == []


async def test_certificates_that_cannot_be_read_are_named() -> None:
    for written in (b"no PEM", b"\xff"):
        with pytest.raises(InvalidParameterError, match="PEM"):
            await call(Reach(authority=written), "https://auth.example.com/")


async def test_http_needs_leave(authority: Authority) -> None:
    server = Server()
    async with listening(server, None):
        url = server.url().replace("https", "http")
        with pytest.raises(InvalidParameterError):
            await call(Reach(allow_private=True), url)
        assert server.connections == 0
        assert (await call(Reach(allow_private=True, plain=True), url)).status == 200


# Where none may go


@pytest.mark.parametrize(
    "answers",
    [
        ("127.0.0.1",),
        ("::ffff:127.0.0.1",),
        ("127.0.0.1 203.0.113.1",),
        ("::1", "127.0.0.1"),
        ("0.0.0.0",),  # noqa: S104
        ("64:ff9b::7f00:1",),
        ("169.254.169.254",),
    ],
    ids=" then ".join,
)
async def test_a_name_that_leads_inside_is_not_connected_to(
    server: Server, authority: Authority, answers: tuple[str, ...]
) -> None:
    reach = Reach(authority=authority.pem, timeout=5.0)
    resolver = Names(*answers)

    for _ in range(2):
        with pytest.raises(TargetUnavailableError, match="address"):
            await call(reach, server.url("auth.example.com"), resolver)
    assert server.connections == 0


async def test_a_name_that_changes_its_mind_is_asked_once_for_each_connection(
    server: Server, reach: Reach
) -> None:
    # The second answer is one that is never called: a check of the first one says nothing of it.
    resolver = Names("127.0.0.1", "0.0.0.0")  # noqa: S104
    async with open_client(reach, resolver) as client:
        assert (await client.send("GET", server.url("auth.example.com"))).status == 200
        assert resolver.asked == 1
        with pytest.raises(TargetUnavailableError, match="never called"):
            await client.send("GET", server.url("auth.example.com"))
    assert server.connections == 1


async def test_a_real_name_of_loopback_is_not_connected_to(
    server: Server, authority: Authority
) -> None:
    with pytest.raises(TargetUnavailableError, match="private address"):
        await call(Reach(authority=authority.pem), server.url())
    assert server.connections == 0


async def test_a_literal_is_checked_like_a_name(server: Server, authority: Authority) -> None:
    with pytest.raises(InvalidParameterError, match="private address"):
        await call(Reach(authority=authority.pem), server.url("127.0.0.1"))
    assert server.connections == 0


async def test_a_redirect_is_an_answer_and_is_not_followed(
    server: Server, reach: Reach, authority: Authority
) -> None:
    inside = Server()
    async with listening(inside, None):
        place = f"http://127.0.0.1:{inside.port}/".encode()
        for status in (b"301", b"302", b"303", b"307", b"308"):
            server.answer = (
                b"HTTP/1.1 " + status + b" Moved\r\nLocation: " + place + b"\r\n"
                b"Content-Length: 0\r\n\r\n"
            )
            assert (await call(reach, server.url())).status == int(status)
    assert inside.connections == 0


async def test_a_proxy_of_the_environment_is_not_used(
    server: Server, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Server()
    async with listening(proxy, None):
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await call(reach, server.url())).status == 200
    assert proxy.connections == 0


# How much is read, and how long


def answer_of(body: bytes, *headers: bytes) -> bytes:
    length = str(len(body)).encode()
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: " + length, *headers, b"", body])


async def test_the_body_is_bounded(server: Server, reach: Reach) -> None:
    server.answer = answer_of(bytes(MAX_ANSWER))
    assert len((await call(reach, server.url())).body) == MAX_ANSWER

    server.answer = answer_of(bytes(MAX_ANSWER + 1))
    with pytest.raises(TargetUnavailableError, match="more than"):
        await call(reach, server.url())


async def test_a_small_body_that_unpacks_to_a_large_one_is_not_unpacked(
    server: Server, reach: Reach
) -> None:
    server.answer = answer_of(gzip.compress(bytes(10_000_000)), b"Content-Encoding: gzip")
    assert len(server.answer) < MAX_ANSWER

    with pytest.raises(TargetUnavailableError, match="packed"):
        await call(reach, server.url())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["nothing", "cut short", "another protocol", "a huge header", "a broken chunk"],
)
async def test_what_is_no_whole_answer_says_nothing(
    server: Server, reach: Reach, answer: bytes
) -> None:
    server.answer = answer

    with pytest.raises(TargetUnavailableError):
        await call(reach, server.url())


async def test_a_silent_server_is_given_up(server: Server, authority: Authority) -> None:
    server.delay = 30.0

    with pytest.raises(TargetUnavailableError, match="in time"):
        await call(Reach(allow_private=True, authority=authority.pem, timeout=0.3), server.url())


async def test_a_closed_port_is_unavailable(reach: Reach) -> None:
    with pytest.raises(TargetUnavailableError, match="cannot be connected to"):
        await call(reach, "https://127.0.0.1:1/")
