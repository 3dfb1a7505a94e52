"""Applications at work notice nothing of a rotation."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential
from keyturn.rotators.postgresql.rotator import PostgreSQLRotator
from servers.postgresql_site import (
    PostgreSQLSite,
    credential,
    make_password,
    order,
    password_of,
    username_of,
)

CONNECTIONS = 25
ROUNDS_AFTER = 5


class Application:
    """Keeps a connection with a transaction running in it at any time, and counts."""

    def __init__(self, site: PostgreSQLSite, who: Credential) -> None:
        self.site = site
        self.who = who
        self.done = 0
        self.failures: list[str] = []
        self._went_on = asyncio.Condition()

    async def work(self, number: int, stop: asyncio.Event) -> None:
        async with await log_in(self.site, self.who) as connection:
            for sequence in range(1_000_000):
                if stop.is_set():
                    return
                try:
                    async with connection.transaction():
                        await connection.execute(
                            "UPDATE work SET n = n + 1 WHERE id = %s", (number,)
                        )
                        await asyncio.sleep(0.01 * (sequence % 3))
                        await connection.execute("SELECT sum(n) FROM work")
                    self.done += 1
                except psycopg.Error as error:
                    self.failures.append(f"{number}: {error.sqlstate}")
                    return
                finally:
                    async with self._went_on:
                        self._went_on.notify_all()

    @asynccontextmanager
    async def at_work(self, numbers: range) -> AsyncIterator[None]:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for number in numbers:
                group.create_task(self.work(number, stop))
            await self.go_on()
            yield
            await self.go_on()
            stop.set()

    async def go_on(self) -> None:
        """Wait until some more transactions of these connections went through."""
        wanted = self.done + CONNECTIONS * ROUNDS_AFTER
        async with asyncio.timeout(60), self._went_on:
            await self._went_on.wait_for(lambda: self.done >= wanted or bool(self.failures))


async def log_in(site: PostgreSQLSite, who: Credential) -> psycopg.AsyncConnection:
    server = site.server
    return await psycopg.AsyncConnection.connect(
        host="127.0.0.1",
        port=server.port,
        user=username_of(who),
        password=password_of(who),
        dbname="postgres",
        sslmode="verify-full",
        sslrootcert=str(server.authority.folder / "ca.crt"),
        autocommit=True,
    )


async def rotate(site: PostgreSQLSite, base: str, current: Credential) -> Credential:
    other = f"{base}_clone" if username_of(current) == base else base
    pending = credential(current.version + 1, other, make_password())
    what = order(Strategy.ALTERNATING_USERS, base, pending, current)
    async with PostgreSQLRotator().session(site.target(), what) as session:
        await session.set(pending)
        assert await session.accepts(pending)
    return pending


async def test_25_connections_with_running_transactions_see_two_rotations_without_an_error(
    site: PostgreSQLSite,
) -> None:
    first = site.user()
    base = username_of(first)
    site.server.run(
        "DROP TABLE IF EXISTS work",
        "CREATE TABLE work (id int PRIMARY KEY, n int NOT NULL)",
        "INSERT INTO work SELECT i, 0 FROM generate_series(1, 100) AS i",
        f"GRANT SELECT, UPDATE ON work TO {base}",
    )
    old = Application(site, first)
    async with old.at_work(range(1, CONNECTIONS + 1)):
        second = await rotate(site, base, first)
        new = Application(site, second)
        async with new.at_work(range(CONNECTIONS + 1, CONNECTIONS + 6)):
            third = await rotate(site, base, second)
            # The one before stays valid until the rotation after.
            async with await log_in(site, second), await log_in(site, third):
                pass
            what = order(Strategy.ALTERNATING_USERS, base, None, third, second)
            async with PostgreSQLRotator().session(site.target(), what) as session:
                await session.retire(second, [third])
                assert not await session.accepts(second)

    assert old.failures == new.failures == []
    assert old.done > CONNECTIONS
    assert new.done > 0


async def test_the_admin_rotates_itself_and_survives_a_crash_between(site: PostgreSQLSite) -> None:
    current = credential(1, site.admin, site.admin_password)
    pending = credential(2, site.admin, make_password())
    what = order(Strategy.SINGLE_USER, site.admin, pending, current)
    old_admin = site.target()

    async with PostgreSQLRotator().session(old_admin, what) as session:
        await session.set(pending)
    # The operator was killed: the admin credential that it reads is still the old one.
    async with PostgreSQLRotator().session(old_admin, what) as session:
        assert await session.accepts(pending)
        assert not await session.accepts(current)
        await session.set(pending)
        assert await session.accepts(pending)


async def test_a_user_that_acts_as_another_role_changes_its_own_password(
    site: PostgreSQLSite,
) -> None:
    current, group = site.user(), site.user()
    name = username_of(current)
    site.server.run(
        f"GRANT {username_of(group)} TO {name}",
        f"ALTER ROLE {name} SET role TO {username_of(group)}",
    )
    pending = site.renewed(current, 2)
    what = order(Strategy.SINGLE_USER, name, pending, current)

    async with PostgreSQLRotator().session(site.target(has_admin=False), what) as session:
        await session.set(pending)
        assert await session.accepts(pending)
