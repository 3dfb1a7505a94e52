"""kill -9 at every named place of a rotation on a real Redis: nothing is lost.

A user of Redis has both passwords side by side, so that the current one is accepted all along.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.kills import CancelledKillContract, FirstKillContract, KillContract, Stand
from keyturn.domain.rotation import Strategy
from keyturn.rotators.redis.rotator import RedisRotator
from servers import redis as servers
from servers.certificates import Authority
from servers.redis import RedisServer
from servers.redis_site import RedisSite, target_of

ROTATOR = "redis"
TRAITS = RedisRotator().traits({})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    folder: Path = tmp_path_factory.mktemp("redis")
    authority = Authority.create(folder / "authority")
    with servers.running(folder / "redis", authority=authority) as server:
        yield server


@pytest.fixture(scope="class")
def stand(request: pytest.FixtureRequest, server: RedisServer) -> Stand:
    return Stand.of(request, target_of(server), RedisSite(server))


class TestSingleUser(KillContract):
    strategy, traits = Strategy.SINGLE_USER, TRAITS


class TestFirst(FirstKillContract):
    strategy, traits = Strategy.SINGLE_USER, TRAITS


class TestCancelled(CancelledKillContract):
    strategy, traits = Strategy.SINGLE_USER, TRAITS


class TestWithoutOverlap(KillContract):
    """The previous password is taken away when the next rotation begins."""

    strategy, traits, overlap = Strategy.SINGLE_USER, TRAITS, None
