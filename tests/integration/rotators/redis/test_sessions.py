"""Who may open a session with which server, and what a session does when it breaks."""

import asyncio
import signal
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
from keyturn.rotators.redis.rotator import RedisRotator
from keyturn.testing.rotators import order_of
from servers import redis as servers
from servers.certificates import Authority
from servers.redis import RedisServer
from servers.redis_site import (
    BOTH,
    RedisSite,
    begun,
    credential,
    opened,
    target_of,
    turn,
    username_of,
)


@pytest.mark.parametrize("lacks", ["-acl|setuser", "-acl|getuser", "-acl|save"])
async def test_an_admin_without_the_right_is_refused(redis_server: RedisServer, lacks: str) -> None:
    site = RedisSite(redis_server)
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.pending is not None
    name = f"half{next(site.numbers)}"
    site.make(name, b"half an admin", "~*", "+@all", lacks)
    admin = credential(name, "half an admin", 0).values

    with pytest.raises(TargetRefusedError, match="NOPERM"):
        async with opened(replace(target_of(redis_server), admin=admin), order) as session:
            await session.set(order.pending)

    assert not site.may_log_in(order.pending)


@BOTH
async def test_the_rights_that_the_page_names_are_enough(
    target: Target, site: RedisSite, strategy: Strategy
) -> None:
    page = Path(__file__).parents[4] / "docs" / "rotators-redis.md"
    (line,) = (line for line in page.read_text().splitlines() if "SETUSER keyturn on" in line)
    *_, password, everything, getting, setting, saving, pinging = line.split()
    name = f"little{next(site.numbers)}"
    site.server.ask(
        *("ACL", "SETUSER", name, "on", password, everything, getting, setting, saving, pinging)
    )
    admin = credential(name, password.removeprefix(">"), 0).values
    order = await begun(site, strategy)

    for _ in range(3):
        order = await turn(replace(target, admin=admin), site, strategy, order)


async def test_a_user_may_rotate_itself(target: Target, site: RedisSite) -> None:
    current = credential(f"self{next(site.numbers)}", "first", 1)
    site.make(username_of(current), b"first", "~*", "+@all")
    alone = replace(target, admin={})
    order = order_of(Strategy.SINGLE_USER, username_of(current), site.renewed(current, 2), current)

    for _ in range(3):
        order = await turn(alone, site, Strategy.SINGLE_USER, order)

    with pytest.raises(InvalidParameterError, match="adminRef"):
        async with opened(alone, replace(order, strategy=Strategy.ALTERNATING_USERS)):
            pass


async def test_nobody_gets_in_with_a_wrong_admin(target: Target, site: RedisSite) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    wrong = credential(servers.ADMIN, "wrong", 0).values

    with pytest.raises(TargetUnavailableError, match="lets nobody in"):
        async with opened(replace(target, admin=wrong), order):
            pass


async def test_a_certificate_of_another_authority_is_not_trusted(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    site = RedisSite(redis_server)
    order = await begun(site, Strategy.SINGLE_USER)
    strangers = Authority.create(tmp_path).pem
    for authority in (strangers, b""):
        logged = len(redis_server.ask("ACL", "LOG"))
        with pytest.raises(TargetUnavailableError, match="certificate"):
            async with opened(replace(target_of(redis_server), authority=authority), order):
                pass
        assert len(redis_server.ask("ACL", "LOG")) == logged


async def test_a_certificate_of_another_host_is_not_trusted(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "authority")
    hosts = ["elsewhere.example"]
    with servers.running(tmp_path / "server", authority=authority, hosts=hosts) as server:
        order = await begun(RedisSite(server), Strategy.SINGLE_USER)
        with pytest.raises(TargetUnavailableError, match="of another host"):
            async with opened(target_of(server), order):
                pass


async def test_plain_text_is_not_spoken_where_tls_is_wanted(valkey_server: RedisServer) -> None:
    site = RedisSite(valkey_server)
    order = await begun(site, Strategy.SINGLE_USER)
    wanting = replace(target_of(valkey_server, tls={"mode": "verifyFull"}), timeout=3.0)

    with pytest.raises(TargetUnavailableError):
        async with opened(wanting, order):
            pass


async def test_certificates_that_cannot_be_read_are_refused(redis_server: RedisServer) -> None:
    order = await begun(RedisSite(redis_server), Strategy.SINGLE_USER)

    with pytest.raises(InvalidParameterError, match="PEM"):
        async with opened(replace(target_of(redis_server), authority=b"no PEM"), order):
            pass


async def test_a_cut_connection_is_not_opened_again(target: Target, site: RedisSite) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.pending is not None
    with site.server.client() as person:
        async with opened(target, order) as session:
            for line in person.execute_command("CLIENT", "LIST", "TYPE", "normal").splitlines():
                fields = dict(field.partition(b"=")[::2] for field in line.split())
                if fields[b"user"] == servers.ADMIN.encode() and fields[b"cmd"] != b"client|list":
                    person.execute_command("CLIENT", "KILL", "ID", fields[b"id"])
            before = connections(person)
            for _ in range(3):
                with pytest.raises(TargetUnavailableError):
                    await session.set(order.pending)
            assert connections(person) == before

    assert not site.may_log_in(order.pending)


def connections(client: Any) -> int:
    """Count all connections that the server ever took."""
    told = client.execute_command("INFO", "stats")
    lines = told.decode().splitlines() if isinstance(told, bytes) else ()
    found = [line for line in lines if line.startswith("total_connections_received:")]
    return int(found[0].partition(":")[2]) if found else int(told["total_connections_received"])


async def test_a_server_that_hangs_is_unavailable_in_time(tmp_path: Path) -> None:
    with servers.running(tmp_path / "server") as server:
        site = RedisSite(server)
        order = await begun(site, Strategy.SINGLE_USER)
        assert order.pending is not None
        hasty = replace(target_of(server), timeout=3.0)
        async with opened(hasty, order) as session:
            server.process.send_signal(signal.SIGSTOP)
            async with asyncio.timeout(30):
                for act in (session.set, session.accepts):
                    with pytest.raises(TargetUnavailableError):
                        await act(order.pending)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({}, "host is missing"),
        ({"host": "a b"}, "host is not of the right form"),
        ({"host": "db", "port": 0}, "port must be"),
        ({"host": "db", "tls": {"mode": "prefer"}}, "mode is not of the right form"),
        ({"host": "db", "tls": "disable"}, "tls must be an object"),
        ({"host": "db", "persist": "disk"}, "persist is not of the right form"),
        ({"host": "db", "password": "x"}, "password is unknown"),
    ],
)
def test_parameters_that_cannot_work_are_refused(written: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidParameterError, match=says):
        RedisRotator().check(written)
