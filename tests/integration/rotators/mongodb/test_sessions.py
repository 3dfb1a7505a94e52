"""Who may open a session, and with which server."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keyturn.domain.errors import (
    InvalidParameterError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Target
from keyturn.rotators.mongodb.rotator import MongoDBRotator
from keyturn.testing.rotators import order_of
from servers import mongo_peer
from servers.certificates import Authority
from servers.mongo_peer import MongoPeer
from servers.mongo_site import (
    LEAVES_SOCKETS,
    MongoSite,
    begun,
    credential,
    opened,
    site_on,
    turn,
)

pytestmark = LEAVES_SOCKETS


async def test_a_user_may_rotate_itself(target: Target, site: MongoSite) -> None:
    name = f"self{next(site.numbers)}"
    site.make(name, "first", roles=["changeOwnPasswordCustomDataRole"])
    current = credential(name, "first", 1)
    order = order_of(Strategy.SINGLE_USER, name, site.renewed(current, 2), current)
    alone = replace(target, admin={})

    for _ in range(3):
        order = await turn(alone, site, order)
    # After a crash the pending credential may be the one that works.
    assert order.pending is not None
    assert order.current is not None
    swapped = replace(order, pending=order.current, current=order.pending)
    async with opened(alone, swapped) as session:
        assert await session.accepts(order.current)

    with pytest.raises(InvalidParameterError, match="adminRef"):
        async with opened(alone, replace(order, strategy=Strategy.ALTERNATING_USERS)):
            pass


async def test_a_user_without_the_right_is_refused(target: Target, site: MongoSite) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.pending is not None

    async with opened(replace(target, admin={}), order) as session:
        with pytest.raises(TargetRefusedError, match=r"updateUser \(code 13\)"):
            await session.set(order.pending)

    assert order.current is not None
    assert site.may_log_in(order.current)


async def test_nobody_gets_in_with_a_wrong_admin(target: Target, site: MongoSite) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    wrong = credential(mongo_peer.ROOT, "wrong", 0).values

    with pytest.raises(TargetUnavailableError, match="lets nobody in"):
        async with opened(replace(target, admin=wrong), order):
            pass


async def test_a_certificate_of_another_authority_is_not_trusted(
    target: Target, site: MongoSite, peer: MongoPeer, tmp_path: Path
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    strangers = Authority.create(tmp_path).pem
    for authority in (strangers, b""):
        peer.received.clear()
        untrusting = replace(target, authority=authority, timeout=3.0)
        with pytest.raises(TargetUnavailableError, match="certificate"):
            async with opened(untrusting, order):
                pass
        assert peer.received == []


async def test_a_certificate_of_another_host_is_not_trusted(
    authority: Authority, folder: Path
) -> None:
    with mongo_peer.running(authority.issue("other", ["elsewhere.example"])) as peer:
        target = replace(site_on(peer, authority, folder).target(), timeout=3.0)
        pending = credential("x", "y", 1)
        with pytest.raises(TargetUnavailableError, match="of another host"):
            async with opened(target, order_of(Strategy.SINGLE_USER, "x", pending)):
                pass
        assert peer.received == []


async def test_certificates_that_cannot_be_read_are_refused(
    target: Target, site: MongoSite
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)

    with pytest.raises(InvalidParameterError, match="PEM"):
        async with opened(replace(target, authority=b"no PEM"), order):
            pass


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({}, "host is missing"),
        ({"host": "mongodb://db"}, "host is not of the right form"),
        ({"host": "db", "port": 65536}, "port must be"),
        ({"host": "db", "tls": {"mode": "prefer"}}, "mode is not of the right form"),
        ({"host": "db", "authSource": "$external"}, "authSource is not of the right form"),
        ({"host": "db", "replicaSet": "a b"}, "replicaSet is not of the right form"),
        ({"host": "db", "dialect": "cosmosdb"}, "dialect is not of the right form"),
        ({"host": "db", "uri": "x"}, "uri is unknown"),
    ],
)
def test_parameters_that_cannot_work_are_refused(written: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidParameterError, match=says):
        MongoDBRotator().check(written)
