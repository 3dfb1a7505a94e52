"""The two users that alternate have the same rights, whoever's turn it is, and later on, too."""

from typing import Any

import psycopg
import pytest
from psycopg import sql

from keyturn.domain.errors import TargetRefusedError
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Target
from keyturn.rotators.postgresql.rotator import PostgreSQLRotator
from servers.postgresql_site import (
    FIRST_WITH_ADMIN_OPTION,
    PostgreSQLSite,
    credential,
    make_password,
    order,
    password_of,
    username_of,
)

PROBES = (
    "SELECT current_user",
    "SELECT readable FROM shop.goods",
    "SELECT secret FROM shop.goods",
    "INSERT INTO shop.goods (readable) VALUES ('x')",
    "UPDATE shop.goods SET readable = 'y'",
    "DELETE FROM shop.goods",
    "SELECT nextval('shop.numbers') > 0",
    "SELECT setval('shop.numbers', 7)",
    "SELECT shop.answer()",
    "SELECT count(*) FROM shop.rows",
    "SELECT count(*) FROM shop.of_the_team",
    "SELECT count(*) FROM shop.later",
    "CREATE TABLE shop.mine (n int)",
    "CREATE SCHEMA another",
    "ALTER TABLE shop.owned ADD COLUMN m int",
    "CREATE ROLE somebody",
    "SET ROLE {team}",
    "SHOW search_path",
    "SHOW work_mem",
    "SHOW app.tenant",
    "SELECT rolcreatedb FROM pg_roles WHERE rolname = current_user",
)


def probe(connection: psycopg.Connection[Any], team: str) -> dict[str, Any]:
    """Try each statement, and undo it; tell what it gave, or the code of its refusal."""
    results: dict[str, Any] = {}
    for statement in PROBES:
        try:
            with connection.transaction(force_rollback=True):
                cursor = connection.execute(sql.SQL(statement).format(team=sql.Identifier(team)))
                results[statement] = cursor.fetchall() if cursor.description else "done"
        except psycopg.Error as error:
            results[statement] = error.sqlstate
    return results


class Shop:
    """A schema in which a user has some rights of each kind, and lacks others."""

    def __init__(self, site: PostgreSQLSite, options: str = "") -> None:
        self.site = site
        self.current = site.user(options)
        self.base = username_of(self.current)
        self.clone = f"{self.base}_clone"
        self.database = f"shop_{self.base}"
        self.team = f"team_{self.base}"
        self.version = 1
        # What an extension may bring asks for a right of its own.
        admin = sql.Identifier(site.admin)
        site.server.run(sql.SQL("GRANT SET ON PARAMETER app.tenant TO {}").format(admin))
        site.server.run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.database)))
        site.server.run(sql.SQL("CREATE ROLE {}").format(sql.Identifier(self.team)))
        self.run(
            "REVOKE CONNECT ON DATABASE {database} FROM public",
            "GRANT CONNECT ON DATABASE {database} TO {user}",
            "CREATE SCHEMA shop",
            "CREATE TABLE shop.goods (readable text, secret text)",
            "CREATE SEQUENCE shop.numbers",
            "CREATE FUNCTION shop.answer() RETURNS int LANGUAGE sql RETURN 42",
            "REVOKE ALL ON FUNCTION shop.answer() FROM public",
            "CREATE TABLE shop.rows (owner text)",
            "INSERT INTO shop.rows VALUES ('mine'), ('theirs')",
            "ALTER TABLE shop.rows ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY their_own ON shop.rows TO {user} USING (owner = 'mine')",
            "CREATE TABLE shop.of_the_team (n int)",
            "CREATE TABLE shop.owned (n int)",
            "ALTER TABLE shop.owned OWNER TO {user}",
            "GRANT USAGE, CREATE ON SCHEMA shop TO {user}",
            "GRANT SELECT (readable), INSERT (readable) ON shop.goods TO {user}",
            "GRANT USAGE ON SEQUENCE shop.numbers TO {user}",
            "GRANT EXECUTE ON FUNCTION shop.answer() TO {user}",
            "GRANT SELECT ON shop.rows TO {user}",
            "GRANT SELECT ON shop.of_the_team TO {team}",
            "GRANT {team} TO {user}",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO {user}",
            "CREATE TABLE shop.later (n int)",
            """ALTER ROLE {user} SET search_path TO "$user", 'shop', "a, ""b" """,
            "ALTER ROLE {user} SET work_mem TO '5MB'",
            "ALTER ROLE {user} IN DATABASE {database} SET work_mem TO '6MB'",
            "ALTER ROLE {user} SET app.tenant TO 'it''s 100% \\ {{}}'",
        )

    def run(self, *statements: str) -> None:
        names = {
            "user": sql.Identifier(self.base),
            "team": sql.Identifier(self.team),
            "database": sql.Identifier(self.database),
        }
        self.site.server.run(
            *(sql.SQL(statement).format(**names) for statement in statements),
            database=self.database,
        )

    async def turn(self, target: Target) -> Credential:
        """Rotate once; return the credential that is current then."""
        self.version += 1
        is_base = username_of(self.current) == self.base
        pending = credential(self.version, self.clone if is_base else self.base, make_password())
        what = order(Strategy.ALTERNATING_USERS, self.base, pending, self.current)
        async with PostgreSQLRotator().session(target, what) as session:
            await session.set(pending)
            assert await session.accepts(pending)
        self.current = pending
        return pending

    def log_in(self, who: Credential) -> psycopg.Connection[Any]:
        return self.site.server.log_in(username_of(who), password_of(who), self.database)


@pytest.mark.parametrize("options", ["", "NOINHERIT", "CREATEDB CREATEROLE"])
async def test_both_users_can_do_the_same_after_each_turn(
    site: PostgreSQLSite, options: str
) -> None:
    shop = Shop(site, options)
    target = site.target(database=shop.database)
    with shop.log_in(shop.current) as connection:
        expected = probe(connection, shop.team)
    # The probes tell something: some are allowed, some are not.
    assert expected["SELECT readable FROM shop.goods"] == []
    assert expected["SELECT secret FROM shop.goods"] == "42501"
    assert expected["SELECT count(*) FROM shop.rows"] == [(1,)]
    assert expected["SHOW work_mem"] == [("6MB",)]
    assert (expected["SELECT count(*) FROM shop.of_the_team"] == "42501") == (
        options == "NOINHERIT"
    )

    for _ in range(3):
        with shop.log_in(await shop.turn(target)) as connection:
            assert probe(connection, shop.team) == expected


async def test_what_is_granted_and_revoked_later_holds_for_the_clone_at_once(
    site: PostgreSQLSite,
) -> None:
    shop = Shop(site)
    await shop.turn(site.target(database=shop.database))
    with shop.log_in(shop.current) as connection:
        assert probe(connection, shop.team)["DELETE FROM shop.goods"] == "42501"

        shop.run("GRANT DELETE ON shop.goods TO {user}", "REVOKE ALL ON shop.later FROM {user}")

        assert probe(connection, shop.team)["DELETE FROM shop.goods"] == "done"
        assert probe(connection, shop.team)["SELECT count(*) FROM shop.later"] == "42501"


async def test_each_may_change_what_the_other_made(site: PostgreSQLSite) -> None:
    shop = Shop(site)
    with shop.log_in(shop.current) as connection:
        connection.execute("CREATE TABLE shop.by_base (n int)")

    clone = await shop.turn(site.target(database=shop.database))
    with shop.log_in(clone) as connection:
        # A pool of the application does this between two of its clients.
        connection.execute("DISCARD ALL")
        connection.execute("ALTER TABLE shop.by_base ADD COLUMN m int")
        connection.execute("CREATE TABLE shop.by_clone (n int)")
        connection.execute("CREATE FUNCTION shop.made() RETURNS int LANGUAGE sql RETURN 1")

    base = await shop.turn(site.target(database=shop.database))
    with shop.log_in(base) as connection:
        connection.execute("ALTER TABLE shop.by_clone ADD COLUMN m int")
        connection.execute("DROP FUNCTION shop.made()")
        connection.execute("DROP TABLE shop.by_clone, shop.by_base")


async def test_what_changed_on_the_base_is_copied_at_the_next_turn(site: PostgreSQLSite) -> None:
    shop = Shop(site)
    target = site.target(database=shop.database)
    await shop.turn(target)

    shop.run(
        "ALTER ROLE {user} CONNECTION LIMIT 7 VALID UNTIL '2099-01-01' CREATEROLE",
        "ALTER ROLE {user} RESET work_mem",
        "ALTER ROLE {user} SET app.tenant TO 'other'",
    )
    await shop.turn(target)

    columns = "rolconnlimit, rolvaliduntil, rolcreaterole, rolcreatedb, rolsuper, rolreplication"
    rows = site.server.query(
        f"SELECT {columns} FROM pg_roles WHERE rolname IN (%s, %s)",  # noqa: S608
        (shop.base, shop.clone),
    )
    assert rows[0] == rows[1]
    settings = {
        name: set(found or ())
        for name, found in site.server.query(
            "SELECT rolname, setconfig FROM pg_roles JOIN pg_db_role_setting ON setrole ="
            " pg_roles.oid WHERE setdatabase = 0 AND rolname IN (%s, %s)",
            (shop.base, shop.clone),
        )
    }
    assert settings[shop.clone] == settings[shop.base] | {f"role={shop.base}"}
    assert "app.tenant=other" in settings[shop.clone]


async def test_attributes_that_only_a_superuser_gives_come_with_one(site: PostgreSQLSite) -> None:
    shop = Shop(site, "REPLICATION BYPASSRLS")
    site.server.run(sql.SQL("ALTER ROLE {} SUPERUSER").format(sql.Identifier(site.admin)))

    await shop.turn(site.target(database=shop.database))

    assert site.server.query(
        "SELECT rolreplication, rolbypassrls, rolsuper FROM pg_roles WHERE rolname = %s",
        (shop.clone,),
    ) == [(True, True, False)]


async def test_an_attribute_that_the_admin_may_not_give_stops_no_rotation(
    site: PostgreSQLSite,
) -> None:
    shop = Shop(site, "BYPASSRLS")

    with shop.log_in(await shop.turn(site.target(database=shop.database))) as connection:
        # The clone acts as the base, and so has it all the same.
        assert connection.execute("SELECT count(*) FROM shop.rows").fetchall() == [(2,)]


async def test_a_setting_that_the_admin_may_not_give_is_refused(site: PostgreSQLSite) -> None:
    shop = Shop(site)
    shop.run("ALTER ROLE {user} SET session_replication_role TO replica")

    with pytest.raises(TargetRefusedError, match="session_replication_role"):
        await shop.turn(site.target(database=shop.database))


async def test_a_role_of_somebody_else_is_not_taken_for_the_clone(site: PostgreSQLSite) -> None:
    shop = Shop(site)
    site.make_role(shop.clone, "theirs", "CREATEDB")
    site.entrust(shop.clone)
    before = site.server.query("SELECT * FROM pg_authid WHERE rolname = %s", (shop.clone,))

    with pytest.raises(TargetRefusedError, match="no member"):
        await shop.turn(site.target(database=shop.database))

    assert site.server.query("SELECT * FROM pg_authid WHERE rolname = %s", (shop.clone,)) == before


async def test_an_admin_without_the_right_is_told_so(site: PostgreSQLSite) -> None:
    name, password = f"{site.admin}_app", make_password()
    site.make_role(name, password, "SUPERUSER")
    current = credential(1, name, password)
    pending = credential(2, f"{name}_clone", make_password())
    what = order(Strategy.ALTERNATING_USERS, name, pending, current)

    async with PostgreSQLRotator().session(site.target(), what) as session:
        with pytest.raises(TargetRefusedError, match="42501"):
            await session.set(pending)
        # All or nothing: the clone was not made either.
        assert not await session.accepts(pending)
    assert site.server.query("SELECT FROM pg_roles WHERE rolname = %s", (f"{name}_clone",)) == []


async def test_two_users_need_an_admin(site: PostgreSQLSite) -> None:
    current = site.user()
    pending = credential(2, f"{username_of(current)}_clone", make_password())
    what = order(Strategy.ALTERNATING_USERS, username_of(current), pending, current)

    async with PostgreSQLRotator().session(site.target(has_admin=False), what) as session:
        with pytest.raises(TargetRefusedError, match="adminRef"):
            await session.set(pending)
        with pytest.raises(TargetRefusedError, match="adminRef"):
            await session.retire(current, [pending])


async def test_a_membership_without_its_options_is_completed(site: PostgreSQLSite) -> None:
    shop = Shop(site)
    target = site.target(database=shop.database)
    await shop.turn(target)
    await shop.turn(target)
    names = {"base": sql.Identifier(shop.base), "clone": sql.Identifier(shop.clone)}
    names["admin"] = sql.Identifier(site.admin)
    if site.server.version >= FIRST_WITH_ADMIN_OPTION:
        weaken = "GRANT {base} TO {clone} WITH INHERIT FALSE, SET FALSE GRANTED BY {admin}"
    else:
        weaken = "ALTER ROLE {clone} NOINHERIT"
    site.server.run(sql.SQL(weaken).format(**names))

    with shop.log_in(await shop.turn(target)) as connection:
        assert connection.execute("SELECT current_user").fetchall() == [(shop.base,)]
