"""Two alternating users have the same privileges after each turn, on a real MariaDB server."""

import re
import threading
from collections.abc import Iterator
from dataclasses import replace

import pymysql
import pytest

from keyturn.domain.errors import TargetRefusedError, TargetUnavailableError
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Order, Target
from keyturn.rotators.mysql.rotator import MySQLRotator
from servers.mariadb_site import ADMIN, SUFFIX, MariaDBSite, text

ALTERNATING = Strategy.ALTERNATING_USERS

# A name that a cut at " TO " would break, and one with each quote.
DATABASE, OTHER = "`a TO b`", '`it\'s "a" ``name`` ON x`'
ROLES = "reading", "`odd TO role`"
WIDE = f"""
    GRANT PROCESS, BINLOG MONITOR, READ_ONLY ADMIN ON *.* TO {{}} WITH GRANT OPTION
    GRANT ALL PRIVILEGES ON {DATABASE}.* TO {{}}
    GRANT SELECT ON `app\\_one`.* TO {{}}
    GRANT SELECT, INSERT ON {OTHER}.* TO {{}} WITH GRANT OPTION
    GRANT SELECT (a, `b TO`), INSERT (a), UPDATE ON {DATABASE}.`t ON x` TO {{}} WITH GRANT OPTION
    GRANT REFERENCES ON {OTHER}.t TO {{}}
    GRANT EXECUTE ON PROCEDURE {DATABASE}.`p TO q` TO {{}} WITH GRANT OPTION
    GRANT EXECUTE, ALTER ROUTINE ON FUNCTION {DATABASE}.f TO {{}}
    GRANT PROXY ON 'x''y'@'%' TO {{}} WITH GRANT OPTION
    GRANT PROXY ON 'z'@'10.%' TO {{}}
    GRANT reading TO {{}} WITH ADMIN OPTION
    GRANT `odd TO role` TO {{}}
    SET DEFAULT ROLE `odd TO role` FOR {{}}
    ALTER USER {{}} REQUIRE ISSUER '/CN=it''s' AND SUBJECT '/CN=x' WITH MAX_USER_CONNECTIONS 7
"""  # noqa: S608


@pytest.fixture
def objects(site: MariaDBSite) -> Iterator[None]:
    site.server.run(
        f"CREATE OR REPLACE DATABASE {DATABASE}",
        f"CREATE OR REPLACE DATABASE {OTHER}",
        f"CREATE TABLE {DATABASE}.`t ON x` (a int, `b TO` int)",
        f"CREATE TABLE {OTHER}.t (a int PRIMARY KEY)",
        f"CREATE PROCEDURE {DATABASE}.`p TO q`() SELECT 1",
        f"CREATE FUNCTION {DATABASE}.f() RETURNS int RETURN 1",
        *(f"CREATE OR REPLACE ROLE {role}" for role in ROLES),
        *(f"GRANT {role} TO '{ADMIN}'@'%' WITH ADMIN OPTION" for role in ROLES),
    )
    yield
    site.server.run(
        f"DROP DATABASE {DATABASE}", f"DROP DATABASE {OTHER}", "DROP ROLE reading, `odd TO role`"
    )


def state(site: MariaDBSite, username: str) -> tuple[set[str], tuple[object, ...]]:
    """What the server says of an account, without its name and its password."""
    lines = site.server.query(f"SHOW GRANTS FOR {site.account(username)}")
    grants = {
        re.sub(" IDENTIFIED BY PASSWORD '[*0-9A-F]*'", "", line).replace(
            f"`{username}`@`%`", "<account>"
        )
        for (line,) in lines
    }
    (row,) = site.server.query(
        "SELECT plugin, ssl_type, ssl_cipher, x509_issuer, x509_subject, max_questions, "
        "max_updates, max_connections, max_user_connections, max_statement_time, default_role, "
        "Grant_priv FROM mysql.user WHERE User = %s AND Host = '%%'",
        username,
    )
    return grants, row


async def turned(rotator: MySQLRotator, target: Target, order: Order) -> None:
    assert order.pending is not None
    async with rotator.session(target, order) as session:
        await session.set(order.pending)


async def test_the_two_are_equal_after_each_turn_whatever_changed(
    site: MariaDBSite, rotator: MySQLRotator, objects: None
) -> None:
    current = await site.born(ALTERNATING)
    base = text(current, "username")
    changes = [
        WIDE.strip().splitlines(),
        # Everything of the current user is made narrower, or taken away.
        [
            "REVOKE BINLOG MONITOR ON *.* FROM {}",
            "REVOKE GRANT OPTION ON *.* FROM {}",
            f"REVOKE ALL PRIVILEGES ON {DATABASE}.* FROM {{}}",
            f"GRANT SELECT, SHOW VIEW ON {DATABASE}.* TO {{}}",
            f"REVOKE SELECT (a), UPDATE ON {DATABASE}.`t ON x` FROM {{}}",  # noqa: S608
            f"REVOKE GRANT OPTION ON PROCEDURE {DATABASE}.`p TO q` FROM {{}}",
            f"REVOKE EXECUTE ON FUNCTION {DATABASE}.f FROM {{}}",
            "REVOKE PROXY ON 'z'@'10.%' FROM {}",
            "REVOKE PROXY ON 'x''y'@'%' FROM {}",
            "GRANT PROXY ON 'x''y'@'%' TO {}",
            "REVOKE ADMIN OPTION FOR reading FROM {}",
            "SET DEFAULT ROLE reading FOR {}",
            "ALTER USER {} REQUIRE SSL WITH MAX_USER_CONNECTIONS 0 MAX_STATEMENT_TIME 2.5",
        ],
        # And wider again.
        [
            f"GRANT ALL PRIVILEGES ON {OTHER}.* TO {{}}",
            f"GRANT SELECT, DELETE ON {DATABASE}.`t ON x` TO {{}}",
            "SET DEFAULT ROLE NONE FOR {}",
            "ALTER USER {} REQUIRE X509",
        ],
        ["REVOKE ALL PRIVILEGES, GRANT OPTION FROM {}"],
        WIDE.strip().splitlines(),
    ]
    order = site.first_turn(ALTERNATING, current)
    for version, statements in enumerate(changes, start=3):
        assert order.current is not None
        account = site.account(text(order.current, "username"))
        site.server.run(*(statement.strip().format(account) for statement in statements))

        await turned(rotator, site.target(), order)

        assert state(site, base + SUFFIX) == state(site, base)
        order = site.next_turn(order, version)


@pytest.mark.parametrize("change", ["X509", "CIPHER 'ECDHE-RSA-AES128-SHA'"])
async def test_what_only_the_other_user_asks_for_hinders_no_turn(
    site: MariaDBSite, rotator: MySQLRotator, change: str
) -> None:
    current = await site.born(ALTERNATING)
    base = text(current, "username")
    await turned(rotator, site.target(), order := site.first_turn(ALTERNATING, current))
    await turned(rotator, site.target(), back := site.next_turn(order, 3))
    site.server.run(f"ALTER USER {site.account(base + SUFFIX)} REQUIRE {change}")
    following = site.next_turn(back, 4)
    assert following.pending is not None

    async with rotator.session(site.target(), following) as session:
        assert not await session.accepts(following.pending)
        await session.set(following.pending)
        assert await session.accepts(following.pending)

    assert state(site, base + SUFFIX) == state(site, base)


async def test_what_the_current_user_asks_for_hinders_the_turn_of_the_other(
    site: MariaDBSite, rotator: MySQLRotator
) -> None:
    current = await site.born(ALTERNATING)
    base = text(current, "username")
    await turned(rotator, site.target(), order := site.first_turn(ALTERNATING, current))
    await turned(rotator, site.target(), back := site.next_turn(order, 3))
    site.server.run(f"ALTER USER {site.account(base)} REQUIRE X509")
    following = site.next_turn(back, 4)
    assert following.pending is not None

    async with rotator.session(site.target(), following) as session:
        for _ in range(2):
            with pytest.raises(TargetUnavailableError, match="asks for"):
                await session.accepts(following.pending)
            await session.set(following.pending)


async def test_another_account_in_the_way_of_the_other_user_is_not_mended_by_its_turn(
    site: MariaDBSite, rotator: MySQLRotator
) -> None:
    order = site.first_turn(ALTERNATING, await site.born(ALTERNATING))
    assert order.pending is not None
    await turned(rotator, site.target(), order)
    other = site.renewed(order.pending, 9)
    barrier = f"'{order.base_username}{SUFFIX}'@'127.0.0.%'"
    site.server.run(f"CREATE USER {barrier} IDENTIFIED BY 'another'")
    following = replace(order, pending=other)

    async with rotator.session(site.target(), following) as session:
        with pytest.raises(TargetUnavailableError, match="from Keyturn's address"):
            await session.accepts(other)


async def test_all_privileges_are_given_as_such(
    site: MariaDBSite, rotator: MySQLRotator, objects: None
) -> None:
    current = await site.born(ALTERNATING)
    base = text(current, "username")
    site.server.run(f"GRANT ALL PRIVILEGES ON *.* TO {site.account(base)} WITH GRANT OPTION")

    await turned(rotator, site.target(), order := site.first_turn(ALTERNATING, current))
    assert state(site, base + SUFFIX) == state(site, base)

    back = site.next_turn(order, 3)
    site.server.run(f"REVOKE SUPER ON *.* FROM {site.account(base + SUFFIX)}")
    await turned(rotator, site.target(), back)
    assert state(site, base + SUFFIX) == state(site, base)
    assert ("SUPER",) not in site.server.query(
        "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = %s",
        f"'{base}'@'%'",
    )


async def test_a_privilege_outlives_its_table_and_is_left_behind(
    site: MariaDBSite, rotator: MySQLRotator, objects: None
) -> None:
    current = await site.born(ALTERNATING)
    base = text(current, "username")
    site.server.run(
        f"GRANT SELECT, INSERT (a) ON {OTHER}.t TO {site.account(base)}",
        f"GRANT SELECT ON {DATABASE}.* TO {site.account(base)}",
        f"DROP TABLE {OTHER}.t",
    )

    await turned(rotator, site.target(), site.first_turn(ALTERNATING, current))

    grants, _ = state(site, base + SUFFIX)
    assert f"GRANT SELECT ON {DATABASE}.* TO <account>" in grants
    assert not any("INSERT" in line for line in grants)


async def test_one_that_is_narrowed_keeps_what_stays_all_along(
    site: MariaDBSite, rotator: MySQLRotator, objects: None
) -> None:
    current = await site.born(ALTERNATING)
    base = text(current, "username")
    site.server.run(f"GRANT ALL PRIVILEGES ON {OTHER}.* TO {site.account(base)}")
    first = site.first_turn(ALTERNATING, current)
    await turned(rotator, site.target(), first)
    site.server.run(
        f"REVOKE ALL PRIVILEGES ON {OTHER}.* FROM {site.account(base + SUFFIX)}",
        f"GRANT SELECT ON {OTHER}.* TO {site.account(base + SUFFIX)}",
    )
    reader = site.server.log_in(base, text(current, "password"))
    ended, errors, reads = threading.Event(), [], 0

    query = f"SELECT * FROM {OTHER}.t"  # noqa: S608

    def read() -> None:
        nonlocal reads
        with reader.cursor() as cursor:
            while not ended.is_set():
                try:
                    cursor.execute(query)
                except pymysql.err.MySQLError as error:
                    errors.append(error.args)
                reads += 1

    thread = threading.Thread(target=read)
    thread.start()
    try:
        await turned(rotator, site.target(), site.next_turn(first, 3))
    finally:
        ended.set()
        thread.join()
        reader.close()

    assert reads
    assert errors == []
    assert state(site, base + SUFFIX) == state(site, base)


async def test_a_clone_that_could_not_be_completed_lets_nobody_in(
    site: MariaDBSite, rotator: MySQLRotator, objects: None
) -> None:
    current = await site.born(ALTERNATING)
    base = text(current, "username")
    site.server.run(f"GRANT SELECT ON {DATABASE}.* TO {site.account(base)}")
    site.server.run(
        f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{ADMIN}'@'%'",
        f"GRANT CREATE USER ON *.* TO '{ADMIN}'@'%'",
        f"GRANT SELECT ON mysql.* TO '{ADMIN}'@'%'",
    )
    order = site.first_turn(ALTERNATING, current)
    assert order.pending is not None

    async with rotator.session(site.target(), order) as session:
        with pytest.raises(TargetRefusedError):
            await session.set(order.pending)
        assert not await session.accepts(order.pending)

    site.server.run(f"GRANT SELECT ON {DATABASE}.* TO '{ADMIN}'@'%' WITH GRANT OPTION")
    async with rotator.session(site.target(), order) as session:
        await session.set(order.pending)
        assert await session.accepts(order.pending)
    assert state(site, base + SUFFIX) == state(site, base)


async def test_a_single_user_needs_an_administrator_who_may_little(
    site: MariaDBSite, rotator: MySQLRotator
) -> None:
    current = await site.born(Strategy.SINGLE_USER)
    site.server.run(
        f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{ADMIN}'@'%'",
        f"GRANT CREATE USER ON *.* TO '{ADMIN}'@'%'",
        f"GRANT SELECT ON mysql.* TO '{ADMIN}'@'%'",
    )
    order = site.first_turn(Strategy.SINGLE_USER, current)
    assert order.pending is not None

    async with rotator.session(site.target(), order) as session:
        await session.set(order.pending)
        assert await session.accepts(order.pending)


async def test_a_single_user_that_was_locked_stays_locked(
    site: MariaDBSite, rotator: MySQLRotator
) -> None:
    current = await site.born(Strategy.SINGLE_USER)
    site.server.run(f"ALTER USER {site.account(text(current, 'username'))} ACCOUNT LOCK")
    order = site.first_turn(Strategy.SINGLE_USER, current)
    assert order.pending is not None

    async with rotator.session(site.target(), order) as session:
        await session.set(order.pending)
        assert not await session.accepts(order.pending)


@pytest.mark.parametrize(
    "login",
    [
        "unix_socket",
        "mysql_native_password USING PASSWORD('x') OR unix_socket",
        "unix_socket OR ed25519 USING PASSWORD('x')",
    ],
)
@pytest.mark.parametrize("strategy", [Strategy.SINGLE_USER, ALTERNATING])
async def test_an_account_with_another_way_in_is_refused_and_not_changed(
    site: MariaDBSite, rotator: MySQLRotator, login: str, strategy: Strategy
) -> None:
    current = await site.born(strategy)
    username = text(current, "username")
    site.server.run(f"ALTER USER {site.account(username)} IDENTIFIED VIA {login}")
    before = site.server.query("SELECT * FROM mysql.global_priv")
    order = site.first_turn(strategy, current)
    assert order.pending is not None

    async with rotator.session(site.target(), order) as session:
        with pytest.raises(TargetRefusedError):
            await session.set(order.pending)

    assert site.server.query("SELECT * FROM mysql.global_priv") == before
