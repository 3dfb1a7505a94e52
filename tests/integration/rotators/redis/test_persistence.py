"""What a rotation changed outlives the server."""

from pathlib import Path

import pytest

from keyturn.domain.errors import (
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.rotation import Strategy
from servers import redis as servers
from servers.redis_site import (
    RedisSite,
    begun,
    opened,
    password_of,
    target_of,
    username_of,
)


async def test_users_outlive_a_crash_of_the_server(folder: Path, tmp_path: Path) -> None:
    for users_in, persist in (("aclFile", "aclFile"), ("config", "config")):
        with servers.running(tmp_path / users_in, users_in=users_in) as server:
            site, target = RedisSite(server), target_of(server, persist=persist)
            order = await begun(site, Strategy.ALTERNATING_USERS)
            assert order.pending is not None
            async with opened(target, order) as session:
                await session.set(order.pending)
            server.kill()
            server.start()
            assert site.may_log_in(order.pending)
            assert site.rules(username_of(order.pending)) == site.rules(order.base_username)

            async with opened(target, order) as session:
                await session.retire(order.pending, [])
            server.kill()
            server.start()
            assert not site.may_log_in(order.pending)


async def test_a_session_keeps_what_a_run_before_did_not_live_to_keep(tmp_path: Path) -> None:
    with servers.running(tmp_path / "server") as server:
        site, target = RedisSite(server), target_of(server)
        order = await begun(site, Strategy.SINGLE_USER)
        assert order.pending is not None
        # As if the operator had been killed between ACL SETUSER and ACL SAVE.
        site.make(username_of(order.pending), password_of(order.pending))
        async with opened(target, order) as session:
            assert await session.accepts(order.pending)
        server.kill()
        server.start()

        assert site.may_log_in(order.pending)


@pytest.mark.parametrize(
    ("users_in", "persist", "says"),
    [("config", "aclFile", "no ACL file"), ("nowhere", "config", "without a configuration file")],
)
async def test_a_server_that_would_forget_is_refused_before_a_change(
    tmp_path: Path, users_in: str, persist: str, says: str
) -> None:
    with servers.running(tmp_path / "server", users_in=users_in) as server:
        site, target = RedisSite(server), target_of(server, persist=persist)
        order = await begun(site, Strategy.SINGLE_USER)
        assert order.pending is not None

        with pytest.raises(TargetRefusedError, match=says):
            async with opened(target, order):
                pass

        async with opened(target_of(server, persist="none"), order) as session:
            await session.set(order.pending)
            assert await session.accepts(order.pending)


async def test_a_server_that_cannot_write_is_unavailable(tmp_path: Path) -> None:
    with servers.running(tmp_path / "server") as server:
        site, target = RedisSite(server), target_of(server)
        order = await begun(site, Strategy.SINGLE_USER)
        assert order.pending is not None
        async with opened(target, order) as session:
            # The server makes a new file beside the old one and renames it: this stops both.
            (server.folder / "users.acl").unlink()
            (server.folder / "users.acl").mkdir()
            with pytest.raises(TargetUnavailableError, match="cannot keep it"):
                await session.set(order.pending)
        with pytest.raises(TargetUnavailableError, match="cannot write"):
            async with opened(target, order):
                pass
