"""Which addresses a rotator may call by HTTP.

An administrator writes one URL, and the server that answers may name others (RFC 8414). Neither
may lead to what only the operator can reach: the cloud's metadata service, its own loopback, the
cluster's network. Names are no help, as a name may answer with any address at any time: the
address itself is checked when it is connected to (`keyturn.rotators.http`).

The networks are those of the IANA special-purpose address registries (RFC 6890, RFC 8190), kept
here since the list in `ipaddress` differs by the release of Python.
"""

import json
import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network

from keyturn.domain.errors import InvalidParameterError

MAX_URL = 2048
"""The longest URL that is taken, in characters."""

_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>/[!-~]*)?"
)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
# What a resolver of the C library may read as a number: 2130706433, 0x7f000001, 0177.1.
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_MAX_NAME = 253
_MAX_PORT = 65535

# Nothing that is rotated is here, whoever allows what: "this host", link-local with the metadata
# services, those of Azure, Alibaba, Oracle, AWS and Google elsewhere, multicast, reserved, and
# the old ways to hide an IPv4 address in one of IPv6.
_NEVER = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "168.63.129.16/32",
        "100.100.100.200/32",
        "192.0.0.192/32",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "fd00:ec2::254/128",
        "fd20:ce::254/128",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
    )
)
_PRIVATE = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "::/8",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
    )
)
# RFC 4291 and RFC 6052: the IPv4 address in the last 32 bits is the one that is reached.
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")


def check_url(name: str, written: object, *, plain: bool, allow_private: bool) -> str:
    """Return a URL that may be called; `plain` allows http beside https. Pure: no name is resolved.

    One reading only is possible of what is let through: no user, no fragment, no escape or letter
    outside ASCII in the host, no number that is an address in disguise.

    Raises:
        InvalidParameterError: it is none; the message names the parameter `name`.
    """
    found = _URL.fullmatch(written) if isinstance(written, str) else None
    if found is None or len(found[0]) > MAX_URL or "#" in found[0] or "\\" in found[0]:
        raise _refused(name, written, "is no plain URL; write https://host[:port]/path")
    if found["scheme"] != "https" and not (plain and found["scheme"] == "http"):
        raise _refused(name, written, "must begin with https://")
    if found["port"] is not None and int(found["port"]) > _MAX_PORT:
        raise _refused(name, written, "has no port from 1 to 65535")
    host = found["host"]
    if why := _objection_to_host(host, allow_private=allow_private):
        raise _refused(name, written, why)
    return found[0]


def objection(address: IPv4Address | IPv6Address, *, allow_private: bool) -> str:
    """Say why an address may not be connected to; empty if it may.

    >>> objection(IPv6Address("::ffff:169.254.169.254"), allow_private=True)
    'is an address that is never called (link-local, metadata, multicast or reserved)'
    """
    reached = _reached(address)
    if any(reached in network for network in _NEVER):
        return "is an address that is never called (link-local, metadata, multicast or reserved)"
    if not allow_private and any(reached in network for network in _PRIVATE):
        return "is a private address; where that is meant, write allowPrivateAddresses: true"
    return ""


def _reached(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv6Address) and (address in _MAPPED or address in _NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _objection_to_host(host: str, *, allow_private: bool) -> str:
    is_ipv6 = host.startswith("[")
    if is_ipv6 or _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            # IPv4Address takes four decimal numbers without leading zeros, and nothing else.
            address = IPv6Address(host[1:-1]) if is_ipv6 else IPv4Address(host)
        except ValueError:
            return "has a host that is neither a name nor a plain IP address"
        return objection(address, allow_private=allow_private)
    labels = host.split(".")
    if len(host) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        return "has a host that is no DNS name; write one of letters outside ASCII as xn--…"
    return ""


def _refused(name: str, written: object, why: str) -> InvalidParameterError:
    shown = json.dumps(written, default=str)[:300]
    return InvalidParameterError(f"{name} is {shown}, which {why}")
