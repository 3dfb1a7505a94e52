"""kill -9 at every named place of a rotation on a real PostgreSQL: nothing is lost."""

from collections.abc import Iterator

import pytest

from engine.harness import Rotated
from engine.kills import (
    CancelledKillContract,
    FirstKillContract,
    KillContract,
    Stand,
    kill_at_random,
)
from keyturn.domain.rotation import Strategy
from keyturn.rotators.postgresql.rotator import PostgreSQLRotator
from servers.certificates import Authority
from servers.postgresql import PostgreSQLServer
from servers.postgresql_site import PostgreSQLSite

ROTATOR = "postgresql"
TRAITS = PostgreSQLRotator().traits({"host": "localhost"})
AT_RANDOM = 20
"""The number of kills at random places, for each kill at each place."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQLServer]:
    authority = Authority.create(tmp_path_factory.mktemp("authority"))
    with PostgreSQLServer(authority, authority.issue("server")) as server:
        yield server


@pytest.fixture(scope="class")
def stand(request: pytest.FixtureRequest, server: PostgreSQLServer) -> Stand:
    site = PostgreSQLSite(server)
    return Stand.of(request, site.target(), site)


class TestSingleUser(KillContract):
    strategy, traits = Strategy.SINGLE_USER, TRAITS

    def test_kills_in_a_row_at_random_places_lose_nothing(
        self, rotated: Rotated, kills: int
    ) -> None:
        kill_at_random(rotated, self.listed(), kills * AT_RANDOM)


class TestAlternatingUsers(TestSingleUser):
    strategy = Strategy.ALTERNATING_USERS


class TestFirst(FirstKillContract):
    strategy, traits = Strategy.SINGLE_USER, TRAITS


class TestFirstOfAlternatingUsers(TestFirst):
    strategy = Strategy.ALTERNATING_USERS


class TestCancelled(CancelledKillContract):
    strategy, traits = Strategy.SINGLE_USER, TRAITS


class TestCancelledAlternatingUsers(TestCancelled):
    strategy = Strategy.ALTERNATING_USERS
