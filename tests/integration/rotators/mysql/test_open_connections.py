"""Those who are connected notice nothing of two alternating rotations, on a real MariaDB server."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pymysql
from pymysql.connections import Connection

from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order
from keyturn.rotators.mysql.rotator import MySQLRotator
from servers.mariadb_site import MariaDBSite, text

CONNECTIONS, TURNS = 25, 2


class Client(threading.Thread):
    """Writes in transactions over one connection, which was opened before the rotations."""

    def __init__(self, number: int, connection: Connection, ended: threading.Event) -> None:
        super().__init__()
        self._number, self._connection, self._ended = number, connection, ended
        self.errors: list[object] = []
        self.commits = 0

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._transact()
            except pymysql.err.MySQLError as error:
                self.errors.append(error.args)
                return

    def _transact(self) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("UPDATE shop.orders SET n = n + 1 WHERE id = %s", (self._number,))
            cursor.execute("DO SLEEP(0.01)")
            cursor.execute("COMMIT")
        self.commits += 1


class Newcomer:
    """Logs in again and again with what is current, as one does who reads the Secret."""

    def __init__(self, site: MariaDBSite, current: Credential) -> None:
        self._site = site
        self.current = current
        self.errors: list[object] = []
        self.is_over = False
        self._tried = asyncio.Event()

    async def run(self) -> None:
        while not self.is_over:
            using = self.current
            username, password = text(using, "username"), text(using, "password")
            try:
                (await asyncio.to_thread(self._site.server.log_in, username, password)).close()
            except pymysql.err.MySQLError as error:
                self.errors.append(error.args)
            if using is self.current:
                self._tried.set()

    async def follows(self, current: Credential) -> None:
        """Let it use another credential from now on; return when it has done so."""
        self.current = current
        self._tried.clear()
        async with asyncio.timeout(60):
            await self._tried.wait()


def prepared(site: MariaDBSite, username: str) -> None:
    values = ", ".join(f"({number}, 0)" for number in range(CONNECTIONS))
    site.server.run(
        "CREATE OR REPLACE DATABASE shop",
        "CREATE TABLE shop.orders (id int PRIMARY KEY, n int NOT NULL)",
        f"INSERT INTO shop.orders VALUES {values}",  # noqa: S608
        f"GRANT ALL PRIVILEGES ON shop.* TO {site.account(username)}",
    )


async def all_go_on(connected: list[Client]) -> None:
    """Wait until each client has written some more, or has failed."""
    wanted = {client: client.commits + TURNS for client in connected}
    async with asyncio.timeout(60):
        while any(not each.errors and each.commits < least for each, least in wanted.items()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@contextmanager
def clients(site: MariaDBSite, current: Credential) -> Iterator[list[Client]]:
    """Let many write as the user of a credential."""
    username, password = text(current, "username"), text(current, "password")
    ended = threading.Event()
    with ExitStack() as opened:
        started = [
            Client(number, opened.enter_context(site.server.log_in(username, password)), ended)
            for number in range(CONNECTIONS)
        ]
        for client in started:
            client.start()
        try:
            yield started
        finally:
            ended.set()
            for client in started:
                client.join()


async def rotate(
    rotator: MySQLRotator, site: MariaDBSite, order: Order, newcomer: Newcomer
) -> None:
    """Do one rotation as the engine does, with an overlap that ends when the new one is used."""
    pending, current = order.pending, order.current
    assert pending is not None
    assert current is not None
    async with rotator.session(site.target(), order) as session:
        await session.set(pending)
        assert await session.accepts(pending)
    await newcomer.follows(pending)
    async with rotator.session(site.target(), order) as session:
        await session.retire(current, [pending])
        assert not await session.accepts(current)


async def test_open_connections_and_new_logins_see_no_error(
    site: MariaDBSite, rotator: MySQLRotator
) -> None:
    current = await site.born(Strategy.ALTERNATING_USERS)
    prepared(site, text(current, "username"))
    newcomer = Newcomer(site, current)
    with clients(site, current) as connected:
        logging_in = asyncio.create_task(newcomer.run())
        try:
            order = site.first_turn(Strategy.ALTERNATING_USERS, current)
            for version in range(3, 3 + TURNS):
                await rotate(rotator, site, order, newcomer)
                order = site.next_turn(order, version)
            await all_go_on(connected)
        finally:
            newcomer.is_over = True
            await logging_in

    assert [client.errors for client in connected if client.errors] == []
    assert newcomer.errors == []
    ((written,),) = site.server.query("SELECT SUM(n) FROM shop.orders")
    assert written == sum(client.commits for client in connected)
