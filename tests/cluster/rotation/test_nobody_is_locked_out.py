"""Consumers of a rotated login: open connections go on, and who reads the Secret gets in."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from cluster.operating import OperatorProcess, eventually
from cluster.rotation.postgresql import NAME, RotatedDatabase

CONNECTIONS = 24
PAUSE = 0.05


@pytest.fixture(autouse=True)
def operator(shared_operator: OperatorProcess) -> OperatorProcess:
    return shared_operator


class Consumers:
    """Threads that work on until they are stopped; what fails is counted."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.done = 0
        self.users: list[str] = []
        """As whom each of those that log in again and again did so last."""
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    @contextmanager
    def working(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(timeout=30)

    def hold(self, connection: psycopg.Connection[Any]) -> None:
        """Let an open connection run one transaction after the other, several statements each."""

        def work() -> None:
            with connection:
                while not self._stop.wait(PAUSE):
                    with connection.transaction():
                        connection.execute("INSERT INTO orders DEFAULT VALUES")
                        connection.execute("SELECT pg_sleep(0.02)")
                        connection.execute("SELECT count(*) FROM orders").fetchone()
                    self._count()

        self._add(work)

    def log_in_again_and_again(self, database: RotatedDatabase) -> None:
        """Read the projected Secret and log in with it, as a pod that starts does."""
        number = len(self.users)
        self.users.append("")

        def work() -> None:
            while not self._stop.wait(PAUSE):
                username, password = database.credential()
                with database.server.log_in(username, password) as connection:
                    connection.execute("SELECT count(*) FROM orders").fetchone()
                self.users[number] = username
                self._count()

        self._add(work)

    def _add(self, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - each is a consumer that was locked out
                self.errors.append(f"{type(error).__name__}: {error}")

        self._threads.append(threading.Thread(target=guarded, daemon=True))

    def _count(self) -> None:
        with self._lock:
            self.done += 1


def test_no_connection_breaks_and_no_login_fails_through_two_rotations(
    database: RotatedDatabase,
) -> None:
    database.server.run(
        "CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY)",
        f'GRANT ALL ON orders, orders_id_seq TO "{database.username}"',
    )
    database.apply("AlternatingUsers")
    database.cluster.wait_ready(NAME)
    consumers = Consumers()
    for _ in range(CONNECTIONS):
        consumers.hold(database.server.log_in(*database.credential()))
    for _ in range(4):
        consumers.log_in_again_and_again(database)

    with consumers.working():
        database.rotate("one")
        # What somebody read before the first is ended by the second.
        username, _ = database.credential()
        eventually(
            lambda: set(consumers.users) == {username} or bool(consumers.errors),
            what="all have logged in by the new value",
        )
        database.rotate("two")

    assert consumers.errors == []
    assert consumers.done > CONNECTIONS
