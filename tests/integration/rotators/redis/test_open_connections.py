"""Connections work through rotations, and new logins find a password that works."""

import asyncio
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Target
from servers.redis_site import (
    BOTH,
    RedisSite,
    begun,
    opened,
    password_of,
    turn,
    username_of,
)


@BOTH
async def test_open_connections_work_through_two_rotations(
    target: Target, site: RedisSite, strategy: Strategy
) -> None:
    order = await begun(site, strategy)
    assert order.current is not None
    stopping = asyncio.Event()
    login = username_of(order.current), password_of(order.current)
    with ExitStack() as stack:
        clients = [stack.enter_context(site.server.client(*login)) for _ in range(24)]
        listener = stack.enter_context(site.server.client(*login)).pubsub()
        listener.subscribe("orders.new")
        ids = [client.client_id() for client in clients]
        working = [asyncio.create_task(work(client, stopping)) for client in clients]
        await asyncio.sleep(0)

        for _ in range(3):
            order = await turn(target, site, strategy, order)
            await asyncio.sleep(0.1)
        stopping.set()
        done = await asyncio.gather(*working)

        assert min(done) >= 3
        assert [client.client_id() for client in clients] == ids
        site.server.ask("PUBLISH", "orders.new", "still here")
        heard = [listener.get_message(timeout=5), listener.get_message(timeout=5)]
        assert heard[1] is not None
        assert heard[1]["data"] == b"still here"
        listener.close()


async def work(client: Any, stopping: asyncio.Event) -> int:
    done = 0
    while not stopping.is_set():
        client.set("app:counter", done)
        assert client.get("app:counter") is not None
        done += 1
        await asyncio.sleep(0.02)
    return done


async def test_acl_setuser_ends_connections_only_as_the_page_says(site: RedisSite) -> None:
    made = await site.born(Strategy.SINGLE_USER)
    name, password = username_of(made), password_of(made)
    with site.server.client(name, password) as client, site.server.client(name, password) as other:
        listener = other.pubsub()
        listener.subscribe("orders.new")
        assert listener.get_message(timeout=5) is not None
        for change in ("resetpass", "off", "-info", "resetkeys"):
            site.server.ask("ACL", "SETUSER", name, change)
            assert client.execute_command("PING")
            listener.ping()
            assert listener.get_message(timeout=5)["type"] == "pong"

        site.server.ask("ACL", "SETUSER", name, "resetchannels")
        with pytest.raises((redis.ConnectionError, redis.AuthenticationError)):
            _ask_a_listener(listener)
        assert client.execute_command("PING")

        site.server.ask("ACL", "DELUSER", name)
        with pytest.raises((redis.ConnectionError, redis.AuthenticationError)):
            client.execute_command("PING")
        listener.close()


def _ask_a_listener(listener: Any) -> None:
    listener.ping()
    listener.get_message(timeout=5)


async def test_readers_always_find_a_login_that_works(target: Target, site: RedisSite) -> None:
    for strategy in (Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS):
        order = await begun(site, strategy)
        for _ in range(4):
            assert order.pending is not None
            assert order.current is not None
            async with opened(target, order) as session:
                assert site.may_log_in(order.current)
                await session.set(order.pending)
                assert site.may_log_in(order.current)
                assert site.may_log_in(order.pending)
            order = await turn(target, site, strategy, order)
