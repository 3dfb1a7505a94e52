"""One session changes a credential at a time, and none after it has lost its lock."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql

from keyturn.domain.errors import TargetLockedError, TargetUnavailableError
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order
from keyturn.rotators.postgresql import connecting
from keyturn.rotators.postgresql.locking import key_of
from keyturn.rotators.postgresql.rotator import PostgreSQLRotator
from keyturn.rotators.postgresql.session import PostgreSQLSession
from servers.certificates import Authority
from servers.pgbouncer import pgbouncer
from servers.postgresql import PostgreSQLServer
from servers.postgresql_site import PostgreSQLSite, order, username_of


def begun(site: PostgreSQLSite) -> tuple[Credential, Credential, Order]:
    current = site.user()
    pending = site.renewed(current, 2)
    return current, pending, order(Strategy.SINGLE_USER, username_of(current), pending, current)


def backend_of(site: PostgreSQLSite, username: str) -> int:
    """Return the id of the backend that holds the lock of a user."""
    ((pid,),) = site.server.query(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
        " AND (classid::bigint << 32) | objid::bigint = %s",
        (key_of(username),),
    )
    return int(pid)


@contextmanager
def locked_row(site: PostgreSQLSite, username: str) -> Iterator[psycopg.Connection[Any]]:
    """Keep a role changed, and not yet committed, by somebody else."""
    with site.server.connect() as other:
        other.execute("BEGIN")
        other.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT 9").format(sql.Identifier(username)))
        yield other
        other.execute("ROLLBACK")


@asynccontextmanager
async def opened(site: PostgreSQLSite, what: Order, **changed: Any) -> AsyncIterator[Any]:
    async with PostgreSQLRotator().session(site.target(**changed), what) as session:
        yield session


async def until_it_waits(site: PostgreSQLSite, pid: int) -> None:
    waiting = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    async with asyncio.timeout(20):
        while not site.server.query(waiting, (pid,)):  # noqa: ASYNC110 (it is another process)
            await asyncio.sleep(0.01)


def cut(session: PostgreSQLSession) -> None:
    """Cut the connection as a killed process does, without a word."""
    with socket.socket(fileno=os.dup(session._connection.pgconn.socket)) as line:
        line.shutdown(socket.SHUT_RDWR)


async def test_a_statement_of_a_lost_session_holds_the_lock_until_it_is_over(
    site: PostgreSQLSite,
) -> None:
    current, pending, what = begun(site)
    later = site.renewed(current, 3)
    async with opened(site, what) as lost:
        pid = backend_of(site, username_of(current))
        with locked_row(site, username_of(current)):
            setting = asyncio.ensure_future(lost.set(pending))
            await until_it_waits(site, pid)
            cut(lost)
            with pytest.raises(TargetUnavailableError):
                await setting
            assert not await lost.holds_lock()

            # Its statement still waits in the server: nobody else may change this user now.
            with pytest.raises(TargetLockedError):
                async with opened(site, replace(what, pending=later), timeout=3.0):
                    pass
        async with opened(site, replace(what, pending=later)) as session:
            await session.set(later)
            assert await session.accepts(later)
            assert not site.server.query("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,))
            assert not await session.accepts(pending)


async def test_a_role_that_somebody_else_changes_is_waited_for_so_long_and_no_longer(
    site: PostgreSQLSite,
) -> None:
    current, pending, what = begun(site)
    async with opened(site, what, timeout=3.0) as session:
        with locked_row(site, username_of(current)):
            began = time.monotonic()
            with pytest.raises(TargetLockedError, match="55P03"):
                await session.set(pending)
            assert time.monotonic() - began < 15
        assert await session.holds_lock()
        assert await session.accepts(current)
        await session.set(pending)
        assert await session.accepts(pending)


async def test_who_lost_its_backend_does_not_hold_the_lock(site: PostgreSQLSite) -> None:
    current, pending, what = begun(site)
    async with opened(site, what) as session:
        assert await session.holds_lock()
        pid = backend_of(site, username_of(current))
        site.server.query("SELECT pg_terminate_backend(%s)", (pid,))

        assert not await session.holds_lock()
        with pytest.raises(TargetUnavailableError):
            await session.set(pending)
        assert await session.accepts(current)


async def test_an_operator_of_which_nothing_is_heard_does_not_keep_the_lock(
    site: PostgreSQLSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its node lost its power: nobody tells the server that the connection is gone."""
    monkeypatch.setattr(connecting, "_IDLE_LIMIT", 0.0)
    _, pending, what = begun(site)
    async with opened(site, what, timeout=1.0) as silent:
        async with opened(site, what, timeout=30.0) as session:
            await session.set(pending)
            assert await session.accepts(pending)

        assert not await silent.holds_lock()


async def test_who_gave_the_lock_back_does_not_hold_it(site: PostgreSQLSite) -> None:
    _, _, what = begun(site)
    async with opened(site, what) as session:
        await session._connection.execute("SELECT pg_advisory_unlock_all()")

        assert not await session.holds_lock()


async def test_a_server_that_stands_still_is_given_up(site: PostgreSQLSite) -> None:
    current, pending, what = begun(site)
    async with opened(site, what, timeout=3.0) as session:
        pid = backend_of(site, username_of(current))
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(TargetUnavailableError, match="in time"):
                await session.set(pending)
            assert time.monotonic() - began < 30
            assert not await session.holds_lock()
        finally:
            os.kill(pid, signal.SIGCONT)


async def test_two_users_are_rotated_at_once(site: PostgreSQLSite) -> None:
    async with opened(site, begun(site)[2]) as one, opened(site, begun(site)[2]) as other:
        assert await one.holds_lock()
        assert await other.holds_lock()


async def test_a_server_that_restarts_is_unavailable_and_then_goes_on(
    authority: Authority,
) -> None:
    with PostgreSQLServer(authority, authority.issue("restarted")) as server:
        site = PostgreSQLSite(server)
        _, pending, what = begun(site)
        async with opened(site, what) as session:
            server.stop()

            assert not await session.holds_lock()
            with pytest.raises(TargetUnavailableError):
                await session.set(pending)
            with pytest.raises(TargetUnavailableError):
                await session.accepts(pending)
        with pytest.raises(TargetUnavailableError):
            async with opened(site, what):
                pass

        server.start()
        async with opened(site, what) as session:
            await session.set(pending)
            assert await session.accepts(pending)


async def test_a_standby_is_no_place_for_a_lock(authority: Authority) -> None:
    with PostgreSQLServer(authority, authority.issue("standby")) as server:
        site = PostgreSQLSite(server)
        _, _, what = begun(site)
        server.stop()
        (server.folder / "data" / "standby.signal").touch()
        server.start()

        with pytest.raises(TargetUnavailableError):
            async with opened(site, what):
                pass


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_a_pooler_is_refused(authority: Authority, mode: str) -> None:
    with PostgreSQLServer(authority, authority.issue("pooled"), has_tls=False) as server:
        site = PostgreSQLSite(server)
        current, _, what = begun(site)
        pooler = pgbouncer(server, mode, {site.admin: site.admin_password})
        with pooler as port, pytest.raises(TargetUnavailableError, match="pooler"):
            async with opened(site, what, port=port):
                pass
        # No lock is left behind in the pooler's connection.
        async with opened(site, what) as session:
            assert await session.accepts(current)
