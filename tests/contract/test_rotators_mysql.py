"""The MySQL rotator keeps the promises of the interface, on a real MariaDB server over TLS."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Rotator, Target
from keyturn.rotators.mysql.rotator import MySQLRotator
from keyturn.testing.rotators import RotatorContract, Site
from servers.certificates import Authority
from servers.mariadb import MariaDBServer
from servers.mariadb_site import MariaDBSite


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDBServer]:
    folder: Path = tmp_path_factory.mktemp("authority")
    with MariaDBServer(Authority.create(folder)) as running:
        yield running


class TestMariaDB(RotatorContract):
    @pytest.fixture
    def rotator(self) -> Rotator:
        return MySQLRotator()

    @pytest.fixture
    def site(self, server: MariaDBServer) -> Site:
        return MariaDBSite(server)

    @pytest.fixture
    def target(self, site: MariaDBSite) -> Target:
        return site.target()

    @pytest.fixture
    def unreachable(self, target: Target) -> Iterator[Target]:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            parameters = {**target.parameters, "port": bound.getsockname()[1]}
            yield replace(target, parameters=parameters, timeout=1.0)


class TestMariaDBWithEd25519(TestMariaDB):
    @pytest.fixture
    def site(self, server: MariaDBServer) -> Site:
        return MariaDBSite(server, "ed25519")


class TestMariaDBWithoutAdministrator(TestMariaDB):
    """Each user sets its own password; two that alternate need an administrator."""

    @pytest.fixture
    def strategy(self) -> Strategy:
        return Strategy.SINGLE_USER

    @pytest.fixture
    def target(self, site: MariaDBSite) -> Target:
        return replace(site.target(), admin={})


class TestMariaDBWithEd25519WithoutAdministrator(TestMariaDBWithoutAdministrator):
    @pytest.fixture
    def site(self, server: MariaDBServer) -> Site:
        return MariaDBSite(server, "ed25519")
