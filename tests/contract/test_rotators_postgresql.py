"""The PostgreSQL rotator keeps what every rotator promises, on two releases of the server."""

from collections.abc import Iterator

import pytest

from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Rotator, Target
from keyturn.rotators.postgresql.rotator import PostgreSQLRotator
from keyturn.testing.rotators import RotatorContract
from servers.certificates import Authority
from servers.postgresql import PostgreSQLServer
from servers.postgresql_releases import RELEASES, programs
from servers.postgresql_site import PostgreSQLSite


@pytest.fixture(scope="module", params=RELEASES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgreSQLServer]:
    authority = Authority.create(tmp_path_factory.mktemp("authority"))
    with PostgreSQLServer(authority, authority.issue("server"), programs(request.param)) as server:
        yield server


class TestWithAnAdmin(RotatorContract):
    @pytest.fixture
    def rotator(self) -> Rotator:
        return PostgreSQLRotator()

    @pytest.fixture
    def site(self, server: PostgreSQLServer) -> PostgreSQLSite:
        return PostgreSQLSite(server)

    @pytest.fixture
    def target(self, site: PostgreSQLSite) -> Target:
        return site.target()

    @pytest.fixture
    def unreachable(self, site: PostgreSQLSite) -> Target:
        return site.target(port=1)


class TestWithoutAnAdmin(TestWithAnAdmin):
    @pytest.fixture
    def target(self, site: PostgreSQLSite) -> Target:
        return site.target(has_admin=False)

    @pytest.fixture
    def strategy(self, rotator: Rotator, target: Target) -> Strategy:
        # Two users that alternate need somebody who makes the second one.
        return Strategy.SINGLE_USER
