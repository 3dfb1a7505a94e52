"""The rights that the document gives to the admin are enough."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Target
from keyturn.rotators.postgresql.rotator import PostgreSQLRotator
from servers.certificates import Authority
from servers.postgresql import PostgreSQLServer
from servers.postgresql_releases import RELEASES, programs
from servers.postgresql_site import FIRST_WITH_ADMIN_OPTION, credential, make_password, order

DOCUMENT = Path(__file__).parents[4] / "docs" / "rotators-postgresql.md"


@pytest.fixture(scope="module", params=RELEASES)
def server(request: pytest.FixtureRequest, authority: Authority) -> Iterator[PostgreSQLServer]:
    certificate = authority.issue(f"document-{request.param}")
    with PostgreSQLServer(authority, certificate, programs(request.param)) as server:
        yield server


def statements(words: str) -> list[str]:
    """Return the statements of the first block of SQL after some words of the document."""
    after = DOCUMENT.read_text().split(words, 1)[1]
    block = re.search(r"```sql\n(.*?)```", after, re.DOTALL)
    assert block is not None
    return [line for line in block[1].splitlines() if line]


async def test_the_admin_of_the_document_rotates_two_users(server: PostgreSQLServer) -> None:
    is_newer = server.version >= FIRST_WITH_ADMIN_OPTION
    server.run(
        "CREATE ROLE orders LOGIN CREATEDB CONNECTION LIMIT 5",
        "ALTER ROLE orders SET app.tenant TO 'x'",
        *statements("\nPostgreSQL 16 and newer:" if is_newer else "\nPostgreSQL 14 and 15:"),
        *statements("need one line more"),
    )
    parameters = {"host": "localhost", "port": server.port}
    admin = credential(0, "keyturn", "choose-one").values
    target = Target(parameters, admin, server.authority.pem)
    first = credential(1, "orders", make_password())
    second = credential(2, "orders_clone", make_password())

    what = order(Strategy.ALTERNATING_USERS, "orders", second, first)
    async with PostgreSQLRotator().session(target, what) as session:
        await session.set(first)
        await session.set(second)
        assert await session.accepts(second)
        await session.retire(first, [second])
        assert not await session.accepts(first)
