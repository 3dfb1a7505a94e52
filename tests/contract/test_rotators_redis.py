"""The Redis rotator on a real redis-server with TLS, and on a real valkey-server without."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.rotators.interface import Rotator, Target
from keyturn.rotators.redis.rotator import RedisRotator
from keyturn.testing.rotators import RotatorContract, Site
from servers import redis as servers
from servers.certificates import Authority
from servers.redis import RedisServer
from servers.redis_site import (
    RedisSite,
    target_of,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("redis")


@pytest.fixture(scope="module")
def redis_server(folder: Path) -> Iterator[RedisServer]:
    authority = Authority.create(folder / "authority")
    with servers.running(folder / "redis", authority=authority) as server:
        yield server


@pytest.fixture(scope="module")
def valkey_server(folder: Path) -> Iterator[RedisServer]:
    binary = servers.valkey_binary(folder)
    with servers.running(folder / "valkey", binary=binary) as server:
        yield server


class ContractOfRedis(RotatorContract):
    @pytest.fixture
    def rotator(self) -> Rotator:
        return RedisRotator()

    @pytest.fixture
    def target(self, server: RedisServer) -> Target:
        return target_of(server)

    @pytest.fixture
    def unreachable(self, target: Target) -> Target:
        return replace(target, parameters={**target.parameters, "port": 1}, timeout=2.0)

    @pytest.fixture
    def site(self, server: RedisServer) -> Site:
        return RedisSite(server)


class TestRedis(ContractOfRedis):
    @pytest.fixture
    def server(self, redis_server: RedisServer) -> RedisServer:
        return redis_server


class TestValkey(ContractOfRedis):
    @pytest.fixture
    def server(self, valkey_server: RedisServer) -> RedisServer:
        return valkey_server
