"""Names of any characters: only the user that is named is changed, on a real MariaDB server."""

import secrets

import pytest

from keyturn.domain.errors import KeyturnError, TargetRefusedError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Target
from keyturn.rotators.mysql.rotator import MySQLRotator
from servers.mariadb_site import SUFFIX, MariaDBSite, text

HOSTILE = [
    "o'; DROP USER 'root'@'localhost'; -- x",
    "o' IDENTIFIED BY 'x",
    "@'",
    "'@",
    "a'@'b",
    "a@b",
    "%",
    "%s",
    "%(x)s",
    "{0}",
    "back\\slash",
    "quote\\'",
    '"double"',
    "`back``tick`",
    "a TO `b`@`%`",
    "a ON *.* TO b",
    "a IDENTIFIED VIA ed25519",
    "a WITH GRANT OPTION",
    "/* comment */ -- #",
    " space at the start",
    "żółć",
    "鍵鍵鍵",
    "a" * 74,
]
ALPHABET = "ab'\"`\\%_@; -#/*(){}$.,TOé鍵"
GENERATED = 30


def rows(site: MariaDBSite) -> dict[tuple[str, str], str]:
    found = site.server.query("SELECT Host, User, Priv FROM mysql.global_priv")
    return {(host, user): priv for host, user, priv in found}


async def turned(
    rotator: MySQLRotator, site: MariaDBSite, target: Target, strategy: Strategy, username: str
) -> None:
    """Make a user and turn it twice, and look whom that touched."""
    order = site.first_turn(strategy, site.make(username, secrets.token_urlsafe(24)))
    site.literally(f"GRANT SELECT ON plain.* TO {site.account(username)}")
    for version in (3, 4):
        before = rows(site)
        assert order.pending is not None
        pending = text(order.pending, "username")
        async with rotator.session(target, order) as session:
            await session.set(order.pending)
            assert await session.accepts(order.pending)
            assert await session.holds_lock()
        after = rows(site)
        touched = {key for key in after.keys() | before.keys() if after.get(key) != before.get(key)}
        assert touched == {("%", pending)}
        order = site.next_turn(order, version)


@pytest.mark.parametrize("username", HOSTILE)
@pytest.mark.parametrize("strategy", [Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS])
async def test_a_hostile_name_is_a_name(
    site: MariaDBSite, rotator: MySQLRotator, strategy: Strategy, username: str
) -> None:
    for name in (username, username + SUFFIX):
        site.drop(name)

    await turned(rotator, site, site.target(), strategy, username)


async def test_names_of_random_characters_are_names(
    site: MariaDBSite, rotator: MySQLRotator
) -> None:
    for number in range(GENERATED):
        drawn = "".join(secrets.choice(ALPHABET) for _ in range(secrets.randbelow(30) + 1))
        await turned(rotator, site, site.target(), Strategy.ALTERNATING_USERS, f"{number}{drawn}.")


@pytest.mark.parametrize(
    "mode", ["", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ORACLE,PIPES_AS_CONCAT"]
)
async def test_the_mode_of_the_server_makes_no_difference(
    site: MariaDBSite, rotator: MySQLRotator, mode: str
) -> None:
    (before,) = site.server.query("SELECT @@GLOBAL.sql_mode")[0]
    site.server.run(f"SET GLOBAL sql_mode = '{mode}', GLOBAL sql_quote_show_create = 0")
    try:
        for ending in ("", "\\'\"` TO x"):
            username = f"m{secrets.token_hex(4)}{ending}"
            await turned(rotator, site, site.target(), Strategy.ALTERNATING_USERS, username)
            clone = site.account(username + SUFFIX)
            assert any("plain" in line for (line,) in site.literally(f"SHOW GRANTS FOR {clone}"))
    finally:
        site.server.run(f"SET GLOBAL sql_mode = '{before}', GLOBAL sql_quote_show_create = 1")


@pytest.mark.parametrize("username", ["", "a\0b", "a\nb", "\x1b[31m", "a ", "'a'", "'"])
async def test_what_is_no_name_is_refused_before_anything_is_sent(
    site: MariaDBSite, rotator: MySQLRotator, username: str
) -> None:
    current = await site.born(Strategy.SINGLE_USER)
    order = site.first_turn(Strategy.SINGLE_USER, current)
    assert order.pending is not None
    # Whom the server would take it for.
    site.drop("a")
    site.make("a", secrets.token_urlsafe(24))
    pending = Credential(2, {**order.pending.values, "username": SecretValue(username.encode())})
    before = rows(site)

    async with rotator.session(site.target(), order) as session:
        with pytest.raises(TargetRefusedError):
            await session.set(pending)

    assert rows(site) == before


async def test_a_name_that_is_too_long_is_refused_by_the_server(
    site: MariaDBSite, rotator: MySQLRotator
) -> None:
    current = site.make("b" * 125, secrets.token_urlsafe(24))
    order = site.first_turn(Strategy.ALTERNATING_USERS, current)
    assert order.pending is not None

    async with rotator.session(site.target(), order) as session:
        with pytest.raises(KeyturnError):
            await session.set(order.pending)
        assert await session.accepts(current)
