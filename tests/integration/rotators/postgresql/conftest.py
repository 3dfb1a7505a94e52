"""A server of each release, and what the tests know to do in it."""

from collections.abc import Iterator

import pytest

from servers.certificates import Authority
from servers.postgresql import PostgreSQLServer
from servers.postgresql_releases import RELEASES, programs
from servers.postgresql_site import PostgreSQLSite


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module", params=RELEASES)
def server(request: pytest.FixtureRequest, authority: Authority) -> Iterator[PostgreSQLServer]:
    certificate = authority.issue(f"server-{request.param}")
    with PostgreSQLServer(authority, certificate, programs(request.param)) as server:
        yield server


@pytest.fixture
def site(server: PostgreSQLServer) -> PostgreSQLSite:
    return PostgreSQLSite(server)
