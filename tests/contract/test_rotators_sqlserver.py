"""The contract on a real server, where KEYTURN_TEST_SQLSERVER names one; see `servers.given_sql`.

Without it nothing is collected here; what is said is tested in tests/unit/rotators/sqlserver.
"""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from keyturn.rotators.interface import Rotator, Target
from keyturn.rotators.logins import Login
from keyturn.rotators.sqlserver.address import Address, tls_context
from keyturn.rotators.sqlserver.connection import Server, connected
from keyturn.rotators.sqlserver.rotator import SQLServerRotator
from keyturn.testing.rotators import RotatorContract, Site
from servers.given_sql import GivenSite, given, target

SAID = given("KEYTURN_TEST_SQLSERVER")

if SAID:

    class TestSQLServer(RotatorContract):
        @pytest.fixture
        def rotator(self) -> Rotator:
            return SQLServerRotator()

        @pytest.fixture
        def target(self) -> Target:
            return target(SAID)

        @pytest.fixture
        def unreachable(self, target: Target) -> Iterator[Target]:
            with socket.socket() as bound:
                bound.bind(("127.0.0.1", 0))
                where = {"host": "localhost", "port": bound.getsockname()[1]}
                yield replace(target, parameters={**target.parameters, **where}, timeout=1.0)

        @pytest.fixture
        def site(self, target: Target) -> Site:
            async def run(statement: str) -> None:
                where = target
                address = Address.read(where.parameters)
                server = Server(address, tls_context(address, where.authority), where.timeout)
                async with connected(server, Login.of(where.admin)) as connection:
                    await connection.execute(statement)

            return GivenSite(run, ("CREATE LOGIN [{username}] WITH PASSWORD = N'{password}'",))
