"""The HTTP call of a reload: to a pod or a Service, and to nobody else.

The address is the choice of whoever may write a ManagedSecret, and the operator is where it could
reach what others cannot: the cloud's metadata, the apiserver, its own ports. So each address is
checked right before it is connected to; see `keyturn.rotators.http`.
"""

import asyncio
import socket
from collections.abc import Collection, Sequence
from contextlib import suppress
from http import HTTPStatus
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from urllib.parse import urlsplit

from keyturn.domain.consumers_spec import POD_IP, Reload
from keyturn.domain.errors import InvalidParameterError, TargetUnavailableError
from keyturn.rotators.http import Reach, open_client

TIMEOUT = 10.0
"""Seconds of a whole call."""

_SOME_PORT = 9


class ReloadCalls:
    """Makes the calls.

    `apiserver` is the URL of the apiserver, which is never called. What is in one of the `allowed`
    networks may be, although it is the operator's own or the apiserver's.
    """

    def __init__(self, apiserver: str, allowed: Sequence[IPv4Network | IPv6Network]) -> None:
        self._apiserver = urlsplit(apiserver).hostname or ""
        self._allowed = allowed

    async def call(self, reload: Reload, pod_ip: str) -> str:
        """Call; return why it failed, in our own words, empty if it did not."""
        closed = await _addresses_of(self._apiserver)

        def refuse(address: IPv4Address | IPv6Address) -> str:
            return self._objection(address, closed)

        reach = Reach(allow_private=True, plain=True, timeout=TIMEOUT, refuse=refuse)
        url = reload.url.replace(POD_IP, f"[{pod_ip}]" if ":" in pod_ip else pod_ip)
        try:
            async with open_client(reach) as client:
                answer = await client.send(reload.method, url)
        except (InvalidParameterError, TargetUnavailableError) as error:
            return error.message
        with answer.body:
            is_done = HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
        return "" if is_done else f"the answer is {answer.status}, not 200 to 299"

    def _objection(
        self,
        address: IPv4Address | IPv6Address,
        closed: Collection[IPv4Address | IPv6Address],
    ) -> str:
        reached = getattr(address, "ipv4_mapped", None) or address
        if any(reached in network for network in self._allowed):
            return ""
        if reached.is_loopback or _is_own(reached):
            return "is the operator's own; where that is meant, set KEYTURN_RELOAD_ALLOW"
        if reached in closed:
            return "is the apiserver's; where that is meant, set KEYTURN_RELOAD_ALLOW"
        return ""


async def _addresses_of(host: str) -> frozenset[IPv4Address | IPv6Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset(ip_address(str(place[0]).partition("%")[0]) for *_, place in found)


def _is_own(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address is one of this machine or pod.

    A datagram socket that is connected sends nothing, and names the address that it would send
    from: to an own one that is the same.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((str(address), _SOME_PORT))
        return ip_address(probe.getsockname()[0].partition("%")[0]) == address
    return False
