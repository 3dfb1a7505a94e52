"""The lock, the probe and the accounts, on a real MariaDB server."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace

import pymysql
import pytest

from keyturn.domain.errors import (
    TargetLockedError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order
from keyturn.rotators.mysql.rotator import MySQLRotator
from keyturn.rotators.mysql.session import lock_name
from servers.mariadb_site import ADMIN, MariaDBSite, text, values
from servers.translation import translated

WAITING = "SELECT ID FROM information_schema.PROCESSLIST WHERE STATE = 'User lock'"
ALTERNATING, SINGLE = Strategy.ALTERNATING_USERS, Strategy.SINGLE_USER


async def begun(site: MariaDBSite, strategy: Strategy = SINGLE) -> tuple[Order, Credential]:
    order = site.first_turn(strategy, await site.born(strategy))
    assert order.pending is not None
    return order, order.pending


@pytest.fixture
def blocking(site: MariaDBSite) -> Iterator[None]:
    """Let the server block a user for one error; at the end it blocks nobody."""
    site.server.run("SET GLOBAL max_password_errors = 1")
    yield
    site.server.run("SET GLOBAL max_password_errors = 4294967295", "FLUSH PRIVILEGES")


def connections_of(site: MariaDBSite, username: str = ADMIN) -> list[int]:
    found = site.server.query(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = %s", username
    )
    return [number for (number,) in found]


class TestLock:
    async def test_who_lost_its_connection_holds_no_lock_and_changes_nothing(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        order, pending = await begun(site)
        assert order.current is not None

        async with rotator.session(site.target(), order) as session:
            (number,) = connections_of(site)
            site.server.run(f"KILL {number}")
            async with rotator.session(site.target(), order) as other:
                assert not await session.holds_lock()
                with pytest.raises(TargetUnavailableError):
                    await session.set(pending)
                assert await other.holds_lock()
                assert await other.accepts(order.current)

    async def test_a_lock_that_another_took_is_not_held(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        order, _ = await begun(site)

        async with rotator.session(site.target(), order) as session:
            driver = session._connection  # type: ignore[attr-defined]
            await driver.execute(f"DO RELEASE_LOCK('{lock_name(order.base_username, '%')}')")
            assert not await session.holds_lock()

    async def test_two_users_do_not_wait_for_each_other(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        (one, _), (other, _) = await begun(site), await begun(site)

        async with (
            rotator.session(site.target(), one) as first,
            rotator.session(site.target(), other) as second,
        ):
            assert await first.holds_lock()
            assert await second.holds_lock()

    async def test_both_users_of_a_pair_have_one_lock(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        order, _ = await begun(site, ALTERNATING)
        hasty = replace(site.target(), timeout=3.0)

        async with rotator.session(site.target(), order):
            with pytest.raises(TargetLockedError):
                await rotator.session(hasty, site.next_turn(order, 3)).__aenter__()

    async def test_who_is_cancelled_while_it_waits_leaves_no_connection(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        order, _ = await begun(site)
        patient = replace(site.target(), timeout=60.0)

        async with rotator.session(site.target(), order):
            waiting = asyncio.create_task(rotator.session(patient, order).__aenter__())
            await _until(lambda: bool(site.server.query(WAITING)))
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await _until(lambda: len(connections_of(site)) == 1)
            assert site.server.query(WAITING) == []

    async def test_the_server_has_its_own_deadlines(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        order, _ = await begun(site)

        async with rotator.session(site.target(), order) as session:
            connection = session._connection  # type: ignore[attr-defined]
            ((waits, runs, idles, mode),) = await connection.rows(
                "SELECT @@lock_wait_timeout, @@max_statement_time, @@wait_timeout, @@sql_mode"
            )

        assert (waits, float(runs), idles, mode) == (5, 6.0, 60, "NO_BACKSLASH_ESCAPES")


class TestProbe:
    async def test_one_probe_is_one_login(self, site: MariaDBSite, rotator: MySQLRotator) -> None:
        order, pending = await begun(site)
        username = text(pending, "username")

        async with rotator.session(site.target(), order) as session:
            before = site.server.log().count(f"Connect\t{username}@")
            assert not await session.accepts(pending)
            assert site.server.log().count(f"Connect\t{username}@") == before + 1

    @pytest.mark.parametrize("change", ["ACCOUNT LOCK", "PASSWORD EXPIRE"])
    async def test_an_account_that_lets_nobody_in_refuses(
        self, site: MariaDBSite, rotator: MySQLRotator, change: str
    ) -> None:
        order, _ = await begun(site)
        assert order.current is not None
        site.server.run(f"ALTER USER {site.account(order.base_username)} {change}")

        async with rotator.session(site.target(), order) as session:
            assert not await session.accepts(order.current)

    @pytest.mark.parametrize(
        "change", ["X509", "ISSUER '/CN=x'", "SUBJECT '/CN=x'", "CIPHER 'ECDHE-RSA-AES128-SHA'"]
    )
    async def test_an_account_that_asks_for_more_than_a_password_tells_nothing(
        self, site: MariaDBSite, rotator: MySQLRotator, change: str
    ) -> None:
        order, pending = await begun(site)
        assert order.current is not None
        site.server.run(f"ALTER USER {site.account(order.base_username)} REQUIRE {change}")

        async with rotator.session(site.target(), order) as session:
            for one in (order.current, pending):
                with pytest.raises(TargetUnavailableError, match="asks for"):
                    await session.accepts(one)

    async def test_an_account_that_asks_for_what_keyturn_has_refuses(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        order, pending = await begun(site)
        account = site.account(order.base_username)
        async with rotator.session(site.target(), order) as session:
            used = await session._connection.cipher()  # type: ignore[attr-defined]
            for change in ("SSL", f"CIPHER '{used}'"):
                site.server.run(f"ALTER USER {account} REQUIRE {change}")
                assert not await session.accepts(pending)

    @pytest.mark.parametrize("host", ["10.9.%", "192.0.2.0/255.255.255.0", "db.example"])
    async def test_an_account_for_other_hosts_tells_nothing(
        self, site: MariaDBSite, rotator: MySQLRotator, host: str
    ) -> None:
        username, password = f"user_{secrets.token_hex(4)}", secrets.token_urlsafe(24)
        site.server.run(f"CREATE USER '{username}'@'{host}' IDENTIFIED BY '{password}'")
        order = site.first_turn(SINGLE, Credential(1, values(username, password)))
        assert order.current is not None

        async with rotator.session(site.target(userHost=host), order) as session:
            with pytest.raises(TargetUnavailableError, match="from Keyturn's address"):
                await session.accepts(order.current)

    @pytest.mark.parametrize("host", ["127.0.0.%", "127.0.0.0/255.255.255.0", "local%"])
    async def test_the_account_that_the_server_chooses_refuses(
        self, site: MariaDBSite, rotator: MySQLRotator, host: str
    ) -> None:
        current = await site.born(SINGLE)
        username, password = site.base_username(current), secrets.token_urlsafe(24)
        site.server.run(f"CREATE USER '{username}'@'{host}' IDENTIFIED BY '{password}'")
        order = site.first_turn(SINGLE, current)

        async with rotator.session(site.target(userHost=host), order) as session:
            assert await session.accepts(Credential(1, values(username, password)))
            assert not await session.accepts(current)
        async with rotator.session(site.target(), order) as session:
            with pytest.raises(TargetUnavailableError, match="from Keyturn's address"):
                await session.accepts(current)

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.%"])
    async def test_an_account_for_the_address_before_it_is_translated_is_not_in_the_way(
        self, site: MariaDBSite, rotator: MySQLRotator, host: str
    ) -> None:
        order, pending = await begun(site)
        assert order.current is not None
        name = order.base_username
        site.server.run(f"CREATE USER '{name}'@'{host}' IDENTIFIED BY 'another'")
        async with (
            translated(site.server.port, "127.9.8.7") as port,
            rotator.session(site.target(port=port), order) as session,
        ):
            assert await session.accepts(order.current)
            assert not await session.accepts(pending)

    async def test_without_an_administrator_the_account_of_another_host_proves_nothing(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        username, password = f"user_{secrets.token_hex(4)}", secrets.token_urlsafe(24)
        site.server.run(f"CREATE USER '{username}'@'localhost' IDENTIFIED BY '{password}'")
        order = site.first_turn(SINGLE, Credential(1, values(username, password)))
        assert order.pending is not None

        async with rotator.session(replace(site.target(), admin={}), order) as session:
            with pytest.raises(TargetUnavailableError, match="userHost"):
                await session.accepts(order.pending)

    async def test_the_account_of_another_host_proves_nothing(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        password = secrets.token_urlsafe(24)
        username = f"user_{secrets.token_hex(4)}"
        site.server.run(f"CREATE USER '{username}'@'localhost' IDENTIFIED BY '{password}'")
        site.make(username, secrets.token_urlsafe(24))
        claimed = Credential(1, values(username, password))
        order = site.first_turn(SINGLE, claimed)

        async with rotator.session(site.target(), order) as session:
            with pytest.raises(TargetUnavailableError, match="userHost"):
                await session.accepts(claimed)
        async with rotator.session(site.target(userHost="LOCALHOST"), order) as session:
            assert await session.accepts(claimed)

    @pytest.mark.parametrize(
        "limit",
        [
            "ALTER USER {} WITH MAX_USER_CONNECTIONS 1",
            "ALTER USER {} WITH MAX_CONNECTIONS_PER_HOUR 1",
        ],
    )
    async def test_a_limit_of_the_user_tells_nothing(
        self, site: MariaDBSite, rotator: MySQLRotator, limit: str
    ) -> None:
        order, _ = await begun(site)
        assert order.current is not None
        site.server.run(limit.format(site.account(order.base_username)))
        kept = site.server.log_in(order.base_username, text(order.current, "password"))

        async with rotator.session(site.target(), order) as session:
            with kept, pytest.raises(TargetUnavailableError):
                await session.accepts(order.current)

    async def test_a_user_that_was_blocked_for_its_errors_tells_nothing(
        self, site: MariaDBSite, rotator: MySQLRotator, blocking: None
    ) -> None:
        order, pending = await begun(site)
        assert order.current is not None
        async with rotator.session(site.target(), order) as session:
            assert not await session.accepts(pending)
            with pytest.raises(TargetUnavailableError):
                await session.accepts(order.current)

    async def test_the_other_user_is_let_in_again_by_its_turn(
        self, site: MariaDBSite, rotator: MySQLRotator, blocking: None
    ) -> None:
        order, first = await begun(site, ALTERNATING)
        async with rotator.session(site.target(), order) as session:
            await session.set(first)
        pending = site.renewed(first, 3)
        async with rotator.session(site.target(), replace(order, pending=pending)) as session:
            assert not await session.accepts(site.renewed(first, 4))
            with pytest.raises(TargetUnavailableError):
                await session.accepts(first)
            assert not await session.accepts(pending)
            await session.set(pending)
            assert await session.accepts(pending)
            assert not await session.accepts(first)
            with pytest.raises(TargetUnavailableError):
                await session.accepts(pending)

    async def test_a_server_that_is_full_tells_nothing(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        order, _ = await begun(site)
        assert order.current is not None
        site.server.run("SET GLOBAL max_connections = 10")
        password = text(order.current, "password")
        async with rotator.session(site.target(), order) as session:
            with ExitStack() as opened:
                with suppress(pymysql.err.OperationalError):
                    while True:
                        opened.enter_context(site.server.log_in(order.base_username, password))
                with pytest.raises(TargetUnavailableError):
                    await session.accepts(order.current)
        site.server.run("SET GLOBAL max_connections = 151")

    async def test_an_administrator_that_is_refused_makes_the_target_unavailable(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        order, _ = await begun(site)
        stale = replace(site.target(), admin=values(ADMIN, "not this one"))

        with pytest.raises(TargetUnavailableError, match="administrator"):
            await rotator.session(stale, order).__aenter__()

    async def test_two_that_alternate_need_an_administrator(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        order, _ = await begun(site, ALTERNATING)

        with pytest.raises(TargetUnavailableError, match="adminRef"):
            await rotator.session(replace(site.target(), admin={}), order).__aenter__()


class TestAccounts:
    async def test_the_base_user_must_exist(self, site: MariaDBSite, rotator: MySQLRotator) -> None:
        nobody = Credential(1, values(f"nobody_{secrets.token_hex(4)}", "x" * 24))
        for strategy in (SINGLE, ALTERNATING):
            order = Order(
                secret_id=(first := site.first_turn(strategy, nobody)).secret_id,
                rotation_id=first.rotation_id,
                strategy=strategy,
                base_username=first.base_username,
                pending=nobody,
            )
            async with rotator.session(site.target(), order) as session:
                with pytest.raises(TargetRefusedError, match="no account"):
                    await session.set(nobody)

    async def test_the_first_turn_seeds_the_base_user_and_no_other(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        current = await site.born(ALTERNATING)
        seeded = site.renewed(current, 1)
        turn = site.first_turn(ALTERNATING, current)
        order = replace(turn, pending=seeded, current=None, previous=None)
        assert turn.pending is not None

        async with rotator.session(site.target(), order) as session:
            await session.set(seeded)
            assert await session.accepts(seeded)
            with pytest.raises(TargetRefusedError, match="there already"):
                await session.set(turn.pending)

    async def test_a_user_sets_itself_only(self, site: MariaDBSite, rotator: MySQLRotator) -> None:
        order, pending = await begun(site)
        other = await site.born(SINGLE)
        foreign = Credential(2, {**pending.values, "username": other.values["username"]})

        async with rotator.session(replace(site.target(), admin={}), order) as session:
            with pytest.raises(TargetRefusedError):
                await session.set(foreign)
            assert order.current is not None
            assert await session.accepts(order.current)
            assert await session.accepts(other)

    @pytest.mark.parametrize("password", [b"", b"nul\0byte"])
    async def test_a_password_that_cannot_be_one_is_refused(
        self, site: MariaDBSite, rotator: MySQLRotator, password: bytes
    ) -> None:
        order, pending = await begun(site)
        wrong = replace(pending, values={**pending.values, "password": SecretValue(password)})

        for target in (site.target(), replace(site.target(), admin={})):
            async with rotator.session(target, order) as session:
                with pytest.raises(TargetRefusedError, match="password"):
                    await session.set(wrong)

    async def test_every_byte_may_be_in_a_password(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        for plugin in ("mysql_native_password", "ed25519"):
            order, pending = await begun(MariaDBSite(site.server, plugin))
            every = SecretValue(bytes(range(1, 256)))
            awkward = replace(pending, values={**pending.values, "password": every})
            async with rotator.session(MariaDBSite(site.server).target(), order) as session:
                await session.set(awkward)
                assert await session.accepts(awkward)


async def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
