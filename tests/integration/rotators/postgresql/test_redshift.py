"""Redshift's dialect, on a PostgreSQL server that takes the same statements, but for one.

No test here says that a cluster of Redshift takes them: none could be run.
"""

from collections.abc import Iterator

import pytest

from canary import Canary
from keyturn.domain.errors import TargetRefusedError
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Target
from keyturn.rotators.postgresql.logins import Login
from keyturn.rotators.postgresql.rotator import PostgreSQLRotator
from servers.certificates import Authority
from servers.postgresql import PostgreSQLServer
from servers.postgresql_site import credential, order

RIGHTS = """
SELECT has_database_privilege(name, 'dev', 'CREATE'), has_schema_privilege(name, 'shop', 'USAGE'),
    has_schema_privilege(name, 'shop', 'CREATE'), has_table_privilege(name, table_, 'SELECT'),
    has_table_privilege(name, table_, 'INSERT'), has_table_privilege(name, table_, 'DELETE')
FROM (VALUES (%s, 'shop."the Goods"')) AS asked (name, table_)
"""


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[PostgreSQLServer]:
    access = ["hostssl all all all md5"]
    settings = {"password_encryption": "md5"}
    with PostgreSQLServer(
        authority, authority.issue("redshift"), access=access, settings=settings
    ) as server:
        server.run("CREATE ROLE master LOGIN SUPERUSER PASSWORD 'master'", "CREATE DATABASE dev")
        server.run("CREATE SCHEMA shop", 'CREATE TABLE shop."the Goods" (n int)', database="dev")
        yield server


@pytest.fixture
def target(server: PostgreSQLServer) -> Target:
    parameters = {
        "host": "localhost",
        "port": server.port,
        "database": "dev",
        "dialect": "Redshift",
    }
    master = credential(0, "master", "master").values
    return Target(parameters, master, server.authority.pem, 10.0)


def made(server: PostgreSQLServer, canary: Canary, name: str) -> Credential:
    who = credential(1, name, canary.make().decode())
    server.run(f"CREATE ROLE {name} LOGIN PASSWORD '{Login.read(who.values).md5()}'")
    return who


async def test_one_user(server: PostgreSQLServer, target: Target, canary: Canary) -> None:
    current = made(server, canary, "single")
    pending = credential(2, "single", canary.make_awkward(40).decode())
    what = order(Strategy.SINGLE_USER, "single", pending, current)

    async with PostgreSQLRotator().session(target, what) as session:
        assert await session.accepts(current)
        assert not await session.accepts(pending)
        await session.set(pending)
        assert await session.accepts(pending)
        assert await session.holds_lock()
        await session.retire(current, [pending])
        assert await session.accepts(pending)
    assert "pg_advisory_lock" not in server.log()


async def test_two_users_get_the_rights_of_each_other(
    server: PostgreSQLServer, target: Target, canary: Canary
) -> None:
    base = made(server, canary, "alternating")
    clone = credential(2, "alternating_clone", canary.make().decode())
    server.run(
        "GRANT CREATE ON DATABASE dev TO alternating",
        "GRANT USAGE ON SCHEMA shop TO alternating",
        'GRANT SELECT ON shop."the Goods" TO alternating',
        database="dev",
    )
    what = order(Strategy.ALTERNATING_USERS, "alternating", clone, base)
    async with PostgreSQLRotator().session(target, what) as session:
        await session.set(clone)
        await session.set(clone)
        assert await session.accepts(clone)
        assert await session.accepts(base)
    expected = server.query(RIGHTS, ("alternating",), database="dev")
    assert expected == [(True, True, False, True, False, False)]
    assert server.query(RIGHTS, ("alternating_clone",), database="dev") == expected

    # What was granted to one of them meanwhile reaches the other.
    server.run('GRANT INSERT ON shop."the Goods" TO alternating_clone', database="dev")
    server.run('GRANT DELETE ON shop."the Goods" TO alternating', database="dev")
    back = credential(3, "alternating", canary.make().decode())
    what = order(Strategy.ALTERNATING_USERS, "alternating", back, clone, base)
    async with PostgreSQLRotator().session(target, what) as session:
        await session.set(back)
        assert await session.accepts(back)
        assert not await session.accepts(base)
        with pytest.raises(TargetRefusedError):  # The one statement that PostgreSQL lacks.
            await session.retire(clone, [back])
        await session.retire(base, [back])
    for name in ("alternating", "alternating_clone"):
        assert server.query(RIGHTS, (name,), database="dev") == [
            (True, True, False, True, True, True)
        ]

    said = server.log()
    assert 'CREATE USER "alternating_clone" PASSWORD \'md5' in said
    assert 'ALTER USER "alternating" PASSWORD \'md5' in said
    assert 'ALTER USER "alternating_clone" PASSWORD DISABLE' in said
    assert 'GRANT SELECT ON TABLE "shop"."the Goods" TO "alternating_clone"' in said
    assert canary.scan_bytes(said.encode()) == []
