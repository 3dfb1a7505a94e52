"""From where a user may log in, by its `authenticationRestrictions` and those of its roles.

https://www.mongodb.com/docs/manual/reference/command/createUser/#authentication-restrictions
"""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any


def admit(restrictions: Sequence[Any], address: str) -> bool:
    """Tell whether `clientSource` lets a client log in from an address.

    Of the user's own restrictions one has to be met, and of those of each role as well: a list of
    lists has to be met whole. `serverAddress` is not looked at, as a client does not know by which
    of its addresses the server sees itself reached.
    """
    return all(any(_holds(one, address) for one in each) for each in _alternatives(restrictions))


def _alternatives(restrictions: Sequence[Any]) -> Iterator[list[Mapping[str, Any]]]:
    own = [each for each in restrictions if isinstance(each, Mapping)]
    if own:
        yield own
    for each in restrictions:
        if isinstance(each, list):
            yield from _alternatives(each)


def _holds(restriction: Mapping[str, Any], address: str) -> bool:
    sources = restriction.get("clientSource")
    return sources is None or any(_is_in(str(source), address) for source in sources)


def _is_in(source: str, address: str) -> bool:
    try:
        return ip_address(address) in ip_network(source, strict=False)
    except ValueError:
        return False
