"""Which account the server takes a login for, and whether a password is all that one asks for.

A refused login does not tell: a wrong password, an account for other hosts and a certificate that
was not shown have one code. So the refusal of an account that Keyturn does not reach says nothing.
The rules are those of https://dev.mysql.com/doc/refman/8.4/en/connection-access.html, which are
MariaDB's, too.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Final, NamedTuple

_LITERAL: Final = 1000
"""Ranks before every pattern, whose first wildcard stands at its place in at most 255."""


class Name(NamedTuple):
    """The two parts of an account's name; the user is empty for whoever has no account."""

    user: str
    host: str


def account_of(accounts: Iterable[Name], places: Iterable[str]) -> Name | None:
    """Choose from the accounts of one user name, and the anonymous ones, as the server does.

    Args:
        accounts: Their names.
        places: The host names and addresses by which the server may know the client.
    """
    known = list(places)
    found = [name for name in accounts if any(covers(name.host, place) for place in known)]
    return max(found, key=_rank, default=None)


def covers(host: str, place: str) -> bool:
    """Tell whether the host part of an account is for a client that comes from `place`."""
    if "/" in host:
        return _is_in(host, place)
    wildcards = {"%": ".*", "_": "."}
    pattern = "".join(wildcards.get(sign, re.escape(sign)) for sign in host.casefold())
    return re.fullmatch(pattern, place.casefold()) is not None


def _is_in(network: str, place: str) -> bool:
    try:
        return ip_address(place) in ip_network(network, strict=False)
    except ValueError:
        return False


def _rank(name: Name) -> tuple[int, bool, bool]:
    wildcard = re.search("[%_]", name.host)
    return wildcard.start() if wildcard else _LITERAL, "/" not in name.host, bool(name.user)
