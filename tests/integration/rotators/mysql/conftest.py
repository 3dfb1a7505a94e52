"""One MariaDB server for the tests of a module."""

from collections.abc import Iterator

import pytest

from keyturn.rotators.mysql.rotator import MySQLRotator
from servers.certificates import Authority
from servers.mariadb import MariaDBServer
from servers.mariadb_site import MariaDBSite


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDBServer]:
    with MariaDBServer(Authority.create(tmp_path_factory.mktemp("authority"))) as running:
        yield running


@pytest.fixture
def site(server: MariaDBServer) -> MariaDBSite:
    return MariaDBSite(server)


@pytest.fixture
def rotator() -> MySQLRotator:
    return MySQLRotator()
