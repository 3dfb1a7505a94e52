"""Two operators on one store and one PostgreSQL: whoever was overtaken does nothing any more."""

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from engine.assembled import Engine, World
from engine.gates import Gate, GatedAim, GatedJournal
from engine.harness import Case, Rotated, Victim
from engine.promises import all_is_in_step
from keyturn.domain.errors import LeadershipLostError, StoreInUseError
from keyturn.domain.rotation import Cause, Strategy
from keyturn.rotators.postgresql.rotator import PostgreSQLRotator
from keyturn.services.rotation.pending import Wanted
from keyturn.services.rotation.turn import Turn
from servers.certificates import Authority
from servers.postgresql import PostgreSQLServer
from servers.postgresql_site import PostgreSQLSite, username_of
from vaults import opened

ROTATOR = "postgresql"
ACTS = ("lock 1", "accepts 1", "accepts 2", "set 1", "accepts 3", "holdsLock 1", "promote 1")
PLACES = [f"{when}.{act}" for act in ACTS for when in ("before", "after")]
PAUSE = 0.02
STOPPED_SECONDS = 20.0
"""Longer than a lease lasts."""

CHANGE = re.compile(
    r'^\d+ (?P<by>\S+)@.*(ALTER|CREATE|DROP) ROLE "(?P<role>\w+)"(?P<what>.*)', re.MULTILINE
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQLServer]:
    authority = Authority.create(tmp_path_factory.mktemp("authority"))
    with PostgreSQLServer(authority, authority.issue("server")) as server:
        yield server


@dataclass
class Log:
    """What the database's log says of a user and its clone from now on."""

    server: PostgreSQLServer
    username: str
    began: int = 0

    def __post_init__(self) -> None:
        self.began = len(self.server.log())

    def changes(self) -> Sequence[tuple[str, bool]]:
        """List who changed the users, and whether a password was set by it."""
        users = (self.username, f"{self.username}_clone")
        return [
            (found["by"], "PASSWORD 'SCRAM" in found["what"])
            for found in CHANGE.finditer(self.server.log(), self.began)
            if found["role"] in users
        ]

    def passwords_set(self) -> int:
        return sum(is_set for _, is_set in self.changes())


@dataclass
class Operators:
    """Two operators that share a store, each with an administrator of its own in the database."""

    server: PostgreSQLServer
    rotated: Rotated
    admins: Sequence[str]
    engines: Sequence[Engine]
    gate: Gate

    @property
    def username(self) -> str:
        return self.rotated.case.username

    async def settle(self) -> None:
        """Let the second one do all that is to be done."""
        async with self.engines[1].working():
            await self.engines[1].settle(despite_trouble=False)

    def request(self) -> None:
        self.rotated.request()
        for engine in self.engines:
            engine.world.job["token"] = self.rotated.token

    async def perform(self, engine: Engine) -> None:
        secret = await engine.secret()
        wanted = Wanted(Cause.REQUEST, "the test", self.rotated.token)
        decided_on = (await engine.journal.journal(secret.id)).mark
        turn = Turn(engine.resource(), secret.id, wanted, decided_on=decided_on)
        await engine.performing.perform(turn)

    async def overtake(self, *, meanwhile: Callable[[], None] = lambda: None) -> Sequence[Any]:
        """Let the first one stand at the gate until the second one is through, or has to wait.

        Returns how the turn of each ended, None or an error.
        """
        first, second = self.engines
        await first.leadership.take()
        one = asyncio.create_task(self.perform(first))
        reached = asyncio.create_task(self.gate.reached.wait())
        await asyncio.wait([one, reached], return_when=asyncio.FIRST_COMPLETED)
        assert self.gate.reached.is_set()
        meanwhile()
        await second.leadership.take()
        other = asyncio.create_task(self.perform(second))
        while not self._is_waiting():
            done, _ = await asyncio.wait([other], timeout=PAUSE)
            if done:
                break
        self.gate.opened.set()
        return await asyncio.gather(one, other, return_exceptions=True)

    def _is_waiting(self) -> bool:
        return bool(self.server.query("SELECT 1 FROM pg_locks WHERE NOT granted"))

    async def logs_in(self) -> bool:
        """Log in with the current version."""
        secret = await self.engines[1].secret()
        assert secret.stages.current is not None
        with await self.engines[1].vault.versions.open(secret, secret.stages.current) as payload:
            login = (bytes(payload[key].reveal()).decode() for key in ("username", "password"))
            with self.server.log_in(*login) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)


@pytest.fixture
def place() -> str:
    return "before.set 1"


@pytest.fixture(params=[Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS])
async def operators(
    request: pytest.FixtureRequest, server: PostgreSQLServer, place: str, tmp_path: Path
) -> AsyncIterator[Operators]:
    sites = [PostgreSQLSite(server) for _ in range(2)]
    born = sites[0].user()
    sites[1].entrust(username_of(born))
    traits = PostgreSQLRotator().traits(sites[0].parameters())
    case = Case(ROTATOR, sites[0].target(), request.param, traits, {}).of(born)
    rotated = Rotated(cast("Any", None), case, "db", born)
    gates, engines = [Gate(place), Gate("")], []
    async with AsyncExitStack() as stack:
        vault = await stack.enter_async_context(opened(tmp_path))
        for site, gate in zip(sites, gates, strict=True):
            job = replace(rotated, case=replace(case, target=site.target())).job("settle")
            world, journal = World(job), cast("Any", GatedJournal(vault.store.rotations, gate))
            engines.append(Engine(vault, world, tmp_path, GatedAim(world, gate), journal))
        operators = Operators(server, rotated, [site.admin for site in sites], engines, gates[0])
        await operators.settle()
        # From now on the secret proves by a login that the user is its own.
        for engine in engines:
            engine.world.job["allowed"] = ()
        # The second version makes the clone, where there is one.
        operators.request()
        await operators.settle()
        if request.param is Strategy.ALTERNATING_USERS:
            sites[0].entrust(f"{operators.username}_clone")
        operators.request()
        yield operators


async def require_one_rotation(operators: Operators, log: Log) -> None:
    """It was rotated once: in the store, and in the database."""
    changed_by = [by for by, _ in log.changes()]
    second = operators.admins[1]
    if second in changed_by:
        assert operators.admins[0] not in changed_by[changed_by.index(second) :]
    assert log.passwords_set() == 1
    await operators.settle()
    secret = await operators.engines[1].secret()
    journal = await operators.engines[1].journal.journal(secret.id)
    assert {stage.value: number for stage, number in secret.stages.versions.items()} == {
        "Current": 3,
        "Previous": 2,
    }
    assert [rotation.outcome for rotation in journal.rotations] == ["Succeeded"] * 3
    assert log.passwords_set() == 1
    assert await operators.logs_in()


@pytest.mark.parametrize("place", PLACES)
async def test_one_that_stood_still_at_any_act_rotates_nothing_twice(
    operators: Operators, place: str
) -> None:
    log = Log(operators.server, operators.username)

    one, other = await operators.overtake()

    assert other is None
    assert one is None if place == "after.promote 1" else isinstance(one, LeadershipLostError)
    await require_one_rotation(operators, log)


async def test_one_whose_lock_was_lost_meanwhile_changes_nothing_any_more(
    operators: Operators,
) -> None:
    log = Log(operators.server, operators.username)

    def lose_the_lock() -> None:
        ended = operators.server.query(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = %s",
            [operators.admins[0]],
        )
        assert ended == [(True,)]

    one, other = await operators.overtake(meanwhile=lose_the_lock)

    assert other is None
    assert isinstance(one, LeadershipLostError)
    await require_one_rotation(operators, log)
    assert {by for by, _ in log.changes()} == {operators.admins[1]}


# A process that is stopped for real


def test_a_process_that_was_stopped_for_long_goes_on_where_it_stood(
    server: PostgreSQLServer, victim: Victim
) -> None:
    site = PostgreSQLSite(server)
    traits = PostgreSQLRotator().traits(site.parameters())
    case = Case(ROTATOR, site.target(), Strategy.SINGLE_USER, traits, {})
    rotated = victim.imported(case, site.user())
    rotated.settle()
    log = Log(server, rotated.case.username)
    rotated.request()

    victim.send(rotated.job("settle") | {"failpoint": "after.set:stop"})
    while not victim.is_stopped:
        time.sleep(PAUSE)
    with pytest.raises(StoreInUseError):
        asyncio.run(open_store(victim.folder))
    time.sleep(STOPPED_SECONDS)
    os.kill(victim.pid, signal.SIGCONT)

    assert victim.answer()["status"] == 0
    assert all_is_in_step(rotated).stages == {"Current": 2, "Previous": 1}
    assert log.passwords_set() == 1


async def open_store(folder: Path) -> None:
    async with opened(folder):
        pass
