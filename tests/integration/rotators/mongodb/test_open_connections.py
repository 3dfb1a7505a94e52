"""Connections work through rotations and retirements."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Target
from servers.mongo_peer import MongoPeer
from servers.mongo_site import (
    BOTH,
    LEAVES_SOCKETS,
    MongoSite,
    begun,
    opened,
    password_of,
    turn,
    username_of,
)

pytestmark = LEAVES_SOCKETS


@BOTH
async def test_open_connections_work_through_two_rotations(
    target: Target, site: MongoSite, peer: MongoPeer, strategy: Strategy
) -> None:
    order = await begun(site, strategy)
    assert order.current is not None
    stopping = asyncio.Event()
    with ExitStack() as stack:
        login = username_of(order.current), password_of(order.current)
        clients = [stack.enter_context(site.client(*login)) for _ in range(25)]
        for client in clients:
            client["shop"]["things"].insert_one({"begun": True})
        logins = count_of_logins(peer)
        working = [asyncio.create_task(work(client, stopping)) for client in clients]
        await asyncio.sleep(0)

        for _ in range(2):
            before, order = order, await turn(target, site, order)
            if strategy is Strategy.ALTERNATING_USERS and before.previous is not None:
                async with opened(target, replace(order, pending=None)) as session:
                    kept = [each for each in (order.current, order.previous) if each]
                    await session.retire(before.previous, kept)
            await asyncio.sleep(0.2)
        stopping.set()
        done = await asyncio.gather(*working)

        assert min(done) >= 2
        # Keyturn's own are at most three in a rotation; none of the 25 is among them.
        assert count_of_logins(peer) - logins <= 3 * 2


def count_of_logins(peer: MongoPeer) -> int:
    return sum("saslContinue" in command for _, command in peer.received)


async def work(client: Any, stopping: asyncio.Event) -> int:
    done = 0
    while not stopping.is_set():
        client["shop"]["things"].insert_one({"n": done})
        assert client["shop"]["things"].find_one() is not None
        done += 1
        await asyncio.sleep(0.02)
    return done


async def test_a_retired_user_keeps_its_connections(target: Target, site: MongoSite) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    current = order.current
    assert current is not None
    order = await turn(target, site, order)
    with site.client(username_of(current), password_of(current)) as client:
        client["shop"]["things"].insert_one({"begun": True})
        assert order.current is not None
        async with opened(target, replace(order, pending=None)) as session:
            await session.retire(current, [order.current])
            assert not await session.accepts(current)

        assert client["shop"]["things"].find_one() is not None
