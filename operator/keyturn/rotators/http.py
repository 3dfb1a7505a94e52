"""HTTP calls to a target: https, no redirect, no proxy, bounded answers, checked addresses."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from keyturn.domain.errors import TargetUnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.addresses import check_url, objection
from keyturn.rotators.endpoint import trust

MAX_ANSWER = 64 * 1024
"""The longest body of an answer that is read, in bytes."""

# How long the connections are given to be closed, and how often it is looked at, in seconds.
_CLOSING, _GLANCE = 2.0, 0.005

# family, type, protocol, canonical name, socket address: as `socket.getaddrinfo` returns them.
_AddressInfo = tuple[int, int, int, str, tuple[object, ...]]


def _nothing(_: IPv4Address | IPv6Address) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a client may call.

    `plain` allows http beside https. `authority` are the certificates (PEM) that the server's
    must chain to; empty: those of the system. `timeout` is in seconds, for a whole call. `refuse`
    says why an address is not called although all else would allow it; empty if it may be.
    """

    allow_private: bool = False
    plain: bool = False
    authority: bytes = b""
    timeout: float = 10.0
    refuse: Callable[[IPv4Address | IPv6Address], str] = _nothing


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered; `media_type` is without its parameters, in lower case."""

    status: int
    media_type: str
    headers: Mapping[str, str]
    body: SecretValue


class HTTPClient:
    """Calls what `Reach` allows; an answer of any status is an answer, a redirect too."""

    def __init__(self, session: aiohttp.ClientSession, reach: Reach) -> None:
        self._session = session
        self._reach = reach

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: SecretValue | None = None,
    ) -> Answer:
        """Make one call, on a connection of its own.

        Raises:
            InvalidParameterError: no such URL may be called.
            TargetUnavailableError: no whole answer came; the call may have been acted on or not.
        """
        reach = self._reach
        check_url("the URL", url, plain=reach.plain, allow_private=reach.allow_private)
        # As it stands: a second reading could find another host in it than the check did.
        address = URL(url, encoded=True)
        content = body.reveal() if body is not None else None
        try:
            async with self._session.request(
                method, address, headers=headers, data=content, allow_redirects=False
            ) as response:
                return await _read(response, str(address.host))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _unavailable(str(address.host), error) from None


@asynccontextmanager
async def open_client(
    reach: Reach, resolver: AbstractResolver | None = None
) -> AsyncIterator[HTTPClient]:
    """Open a client; `resolver` is the system's unless one is given.

    Raises:
        InvalidParameterError: the certificates of `reach` cannot be read.
    """

    def open_socket(info: _AddressInfo) -> socket.socket:
        # The one place that every connection passes, after all names are resolved and right
        # before the kernel is asked for this very address: a name that answers differently the
        # next time, and a literal that never was a name, are checked like all others.
        family, kind, protocol, _, place = info
        address = ip_address(str(place[0]))
        why = objection(address, allow_private=reach.allow_private) or reach.refuse(address)
        if why:
            raise TargetUnavailableError(f"the address that the target's name stands for {why}")
        sockets.append(socket.socket(family, kind, protocol))
        return sockets[-1]

    sockets: list[socket.socket] = []

    connector = aiohttp.TCPConnector(
        ssl=trust(reach.authority),
        resolver=resolver,
        use_dns_cache=False,
        force_close=True,
        happy_eyeballs_delay=None,
        socket_factory=open_socket,
    )
    async with (
        _closed_in_the_end(sockets),
        aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=reach.timeout),
            # A small answer that unpacks to a large one is not unpacked at all.
            auto_decompress=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "keyturn"},
            trust_env=False,
        ) as session,
    ):
        yield HTTPClient(session, reach)


@asynccontextmanager
async def _closed_in_the_end(sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        # aiohttp leaves their end to the event loop, and does not wait for it.
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING):
                while any(each.fileno() >= 0 for each in sockets):  # noqa: ASYNC110
                    await asyncio.sleep(_GLANCE)


async def _read(response: aiohttp.ClientResponse, host: str) -> Answer:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise TargetUnavailableError(f"{host} answers with a packed body, which was not asked for")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise TargetUnavailableError(f"{host} answers with more than {MAX_ANSWER} bytes")
    return Answer(
        response.status, response.content_type.lower(), response.headers, SecretValue(body)
    )


def _unavailable(host: str, error: Exception) -> TargetUnavailableError:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return TargetUnavailableError(f"the certificate of {host} is not trusted")
        case aiohttp.ClientSSLError():
            return TargetUnavailableError(f"no TLS can be agreed on with {host}")
        case TimeoutError():
            return TargetUnavailableError(f"{host} does not answer in time")
        case aiohttp.ClientConnectorError():
            return TargetUnavailableError(f"{host} cannot be connected to")
        case _:
            return TargetUnavailableError(f"{host} gives no whole answer")
