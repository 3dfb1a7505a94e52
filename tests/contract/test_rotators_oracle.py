"""The contract on a real server, where KEYTURN_TEST_ORACLE names one; see `servers.given_sql`.

Without it nothing is collected here; what is said is tested in tests/unit/rotators/oracle.
"""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from keyturn.rotators.interface import Rotator, Target
from keyturn.rotators.logins import Login
from keyturn.rotators.oracle.address import Address
from keyturn.rotators.oracle.connection import Server, connected
from keyturn.rotators.oracle.names import User
from keyturn.rotators.oracle.rotator import OracleRotator
from keyturn.rotators.sql import tls_context
from keyturn.testing.rotators import RotatorContract, Site
from servers.given_sql import GivenSite, given, target

SAID = given("KEYTURN_TEST_ORACLE")

if SAID:

    class TestOracle(RotatorContract):
        @pytest.fixture
        def rotator(self) -> Rotator:
            return OracleRotator()

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
                server = Server(
                    address, tls_context(where.authority, has_tls=address.has_tls), where.timeout
                )
                async with connected(server, User.of(Login.of(where.admin))) as connection:
                    await connection.execute(statement)

            return GivenSite(
                run,
                (
                    'CREATE USER "{username}" IDENTIFIED BY "{password}"',
                    'GRANT CREATE SESSION TO "{username}"',
                ),
            )
