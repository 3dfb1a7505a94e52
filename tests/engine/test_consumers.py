"""Consumers beside a real PostgreSQL and a real Redis: nobody who runs is locked out.

PostgreSQL has two users that take turns, Redis two passwords of one user side by side.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, cast
from uuid import uuid4

import pytest

from engine.assembled import Engine, GivenAim, World, now
from engine.harness import Case, Rotated
from fleet import Fleet, Login
from keyturn.bootstrap.vault import Vault
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Target, Traits
from keyturn.rotators.postgresql.rotator import PostgreSQLRotator
from keyturn.rotators.redis.rotator import RedisRotator
from keyturn.services.consumers.gates import SETTLED
from keyturn.store.journal import Journal
from servers import redis as redis_servers
from servers.certificates import Authority
from servers.postgresql import PostgreSQLServer
from servers.postgresql_site import PostgreSQLSite
from servers.redis_site import RedisSite, target_of
from vaults import opened

ROTATION = {"overlap": {"until": "ConsumersMoved", "max": "1d"}}
CONSUMERS = {"action": "Restart", "onFailure": "Rollback"}
LOOKS = timedelta(seconds=30)
DEADLINE = timedelta(minutes=10)


class Place(NamedTuple):
    """A real target, and how credentials are rotated there."""

    rotator: str
    target: Target
    strategy: Strategy
    traits: Traits
    site: Any


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    authority = Authority.create(tmp_path_factory.mktemp("authority"))
    with PostgreSQLServer(authority, authority.issue("server")) as server:
        site, strategy = PostgreSQLSite(server), Strategy.ALTERNATING_USERS
        traits = PostgreSQLRotator().traits(site.parameters())
        yield Place("postgresql", site.target(), strategy, traits, site)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("redis")
    authority = Authority.create(folder / "authority")
    with redis_servers.running(folder / "redis", authority=authority) as server:
        site, strategy = RedisSite(server), Strategy.SINGLE_USER
        yield Place("redis", target_of(server), strategy, RedisRotator().traits({}), site)


@dataclass
class Shop:
    """An operator, its target, and the Deployments that log in there."""

    place: Place
    vault: Vault
    world: World
    folder: Path
    fleet: Fleet = field(default_factory=Fleet)
    passed: timedelta = timedelta(0)

    def now(self) -> datetime:
        return now() + self.passed

    async def settle(self) -> Journal:
        """Let an operator begin anew, and do all that is due."""
        aiming = GivenAim(self.world)
        engine = Engine(self.vault, self.world, self.folder, aiming)
        async with engine.working():
            await engine.settle(despite_trouble=False)
            return await engine.journal.journal((await engine.secret()).id)

    async def later(self, passed: timedelta) -> Journal:
        self.passed += passed
        return await self.settle()

    async def rotate(self, token: str) -> Journal:
        self.world.job["token"] = token
        await self.settle()
        return await self.later(SETTLED)

    async def accepts(self, *logins: Login) -> list[bool]:
        """Ask the target, by logins, whether it takes each."""
        rotator = GivenAim(self.world)
        engine = Engine(self.vault, self.world, self.folder, rotator)
        credentials = [_credential(login) for login in logins]
        order = Order(uuid4(), uuid4(), self.place.strategy, logins[0].username, *credentials[:1])
        async with engine.aim() as aim, aim.rotator.session(aim.target, order) as session:
            return [await session.accepts(each) for each in credentials]

    async def locked_out(self) -> list[str]:
        pods = list(self.fleet.held)
        accepted = await self.accepts(*self.fleet.held.values())
        return [pod for pod, is_in in zip(pods, accepted, strict=True) if not is_in]


def _credential(login: Login) -> Credential:
    values = {name: SecretValue(text.encode()) for name, text in login._asdict().items()}
    return Credential(1, values)


@pytest.fixture(params=["postgresql", "redis"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    place: Place = request.getfixturevalue(request.param)
    born = await _born(place)
    case = Case(place.rotator, place.target, place.strategy, place.traits, ROTATION).of(born)
    job = Rotated(cast("Any", None), case, "db", born).job("settle")
    job["spec"]["consumers"] = CONSUMERS
    async with opened(tmp_path) as vault:
        shop = Shop(place, vault, World(job), tmp_path)
        shop.world.fleet, shop.world.clock = shop.fleet, shop.now
        await shop.settle()
        shop.passed += timedelta(hours=1)
        for name in ("web", "api"):
            shop.fleet.deploy(name, shop.now())
        yield shop


async def _born(place: Place) -> Credential:
    born: Credential = await place.site.born(place.strategy)
    return born


async def test_the_previous_credential_ends_when_the_last_pod_has_moved(shop: Shop) -> None:
    before = shop.fleet.held["web-0"]
    await shop.rotate("one")
    await shop.later(timedelta(hours=20))
    assert await shop.locked_out() == []

    # One moves; another rotation is asked for and has to wait; the other one moves.
    shop.fleet.restart("web", shop.now())
    journal = await shop.rotate("two")
    assert [each.cause.value for each in journal.rotations] == ["Request", "Initial"]
    assert await shop.locked_out() == []
    assert await shop.accepts(before) == [True]
    shop.fleet.restart("api", shop.now())
    # They are watched until their time is over.
    await shop.later(LOOKS)
    journal = await shop.later(DEADLINE)

    assert [each.cause.value for each in journal.rotations] == ["Request", "Request", "Initial"]
    assert await shop.locked_out() == []
    assert await shop.accepts(before) == [False]


async def test_a_failed_rollout_goes_back_without_a_failed_login(shop: Shop) -> None:
    before = shop.fleet.held["web-0"]
    await shop.rotate("one")
    new = shop.fleet.shown
    assert new is not None
    shop.fleet.restart("api", shop.now())
    shop.fleet.restart("web", shop.now(), is_healthy=False)
    await shop.settle()

    journal = await shop.later(DEADLINE)

    assert [each.cause.value for each in journal.rotations] == ["Health", "Request", "Initial"]
    assert str(journal.frozen and journal.frozen.workload) == "Deployment/web"
    assert shop.fleet.shown == before
    assert await shop.accepts(before, new) == [True, True]
    assert await shop.locked_out() == []

    # All move back, and only then the one that failed ends.
    shop.passed += timedelta(minutes=1)
    for name in ("api", "web"):
        shop.fleet.restart(name, shop.now())
    await shop.later(LOOKS)
    await shop.later(DEADLINE)

    assert await shop.accepts(before, new) == [True, False]
    assert await shop.locked_out() == []
