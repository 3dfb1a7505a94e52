"""kill -9 at every named place of a rotation on a real MariaDB: nothing is lost."""

from collections.abc import Iterator

import pytest

from engine.kills import FirstKillContract, KillContract, Stand
from keyturn.domain.rotation import Strategy
from keyturn.rotators.mysql.rotator import MySQLRotator
from servers.certificates import Authority
from servers.mariadb import MariaDBServer
from servers.mariadb_site import MariaDBSite

ROTATOR = "mysql"
TRAITS = MySQLRotator().traits({"host": "localhost"})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDBServer]:
    with MariaDBServer(Authority.create(tmp_path_factory.mktemp("authority"))) as server:
        yield server


@pytest.fixture(scope="class")
def stand(request: pytest.FixtureRequest, server: MariaDBServer) -> Stand:
    site = MariaDBSite(server)
    return Stand.of(request, site.target(), site)


class TestSingleUser(KillContract):
    strategy, traits = Strategy.SINGLE_USER, TRAITS


class TestAlternatingUsers(TestSingleUser):
    strategy = Strategy.ALTERNATING_USERS


class TestFirst(FirstKillContract):
    strategy, traits = Strategy.ALTERNATING_USERS, TRAITS
