"""A Redis and a Valkey server, on each of which the tests run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn.rotators.interface import Target
from servers import redis as servers
from servers.certificates import Authority
from servers.redis import RedisServer
from servers.redis_site import (
    RedisSite,
    target_of,
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("redis")


@pytest.fixture(scope="session")
def redis_server(folder: Path) -> Iterator[RedisServer]:
    authority = Authority.create(folder / "authority")
    with servers.running(folder / "redis", authority=authority) as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server(folder: Path) -> Iterator[RedisServer]:
    binary = servers.valkey_binary(folder)
    with servers.running(folder / "valkey", binary=binary) as server:
        yield server


@pytest.fixture(params=["redis", "valkey"])
def server(request: pytest.FixtureRequest) -> RedisServer:
    found: RedisServer = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def site(server: RedisServer) -> RedisSite:
    return RedisSite(server)


@pytest.fixture
def target(server: RedisServer) -> Target:
    return target_of(server)
