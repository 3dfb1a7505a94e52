"""No password is in what the server writes or in what we say, on a real MariaDB server."""

from dataclasses import replace

import pytest

from canary import Canary, Leak
from keyturn.domain.errors import KeyturnError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order
from keyturn.rotators.mysql.rotator import MySQLRotator
from servers.mariadb_site import ADMIN, MariaDBSite


def with_canary(order: Order, canary: Canary) -> tuple[Order, Credential]:
    assert order.pending is not None
    password = SecretValue(canary.make_awkward())
    pending = replace(order.pending, values={**order.pending.values, "password": password})
    return replace(order, pending=pending), pending


def written_by_the_server(site: MariaDBSite, canary: Canary) -> list[Leak]:
    """Search its logs, with each statement that it was sent, and its tables of accounts."""
    assert "ALTER USER" in site.server.log()
    folder = site.server.folder
    return canary.scan_tree(folder, skip=[folder / "data" / "ib_logfile0"])


@pytest.mark.parametrize("plugin", ["mysql_native_password", "ed25519"])
@pytest.mark.parametrize("strategy", [Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS])
async def test_the_server_writes_no_password(
    site: MariaDBSite, rotator: MySQLRotator, canary: Canary, strategy: Strategy, plugin: str
) -> None:
    order = site.first_turn(strategy, await MariaDBSite(site.server, plugin).born(strategy))
    target = MariaDBSite(site.server).target()
    for version in range(3, 6):
        order, pending = with_canary(order, canary)
        assert order.current is not None
        async with rotator.session(target, order) as session:
            await session.set(pending)
            assert await session.accepts(pending)
            await session.retire(order.current, [pending])
        order = site.next_turn(order, version)

    assert written_by_the_server(site, canary) == []


async def test_a_user_that_sets_itself_writes_no_password(
    site: MariaDBSite, rotator: MySQLRotator, canary: Canary
) -> None:
    strategy = Strategy.SINGLE_USER
    for plugin in ("mysql_native_password", "ed25519"):
        born = await MariaDBSite(site.server, plugin).born(strategy)
        order, pending = with_canary(site.first_turn(strategy, born), canary)
        async with rotator.session(replace(site.target(), admin={}), order) as session:
            await session.set(pending)
            assert await session.accepts(pending)

    assert written_by_the_server(site, canary) == []


async def test_what_is_refused_puts_no_password_anywhere(
    site: MariaDBSite, rotator: MySQLRotator, canary: Canary, caplog: pytest.LogCaptureFixture
) -> None:
    strategy = Strategy.SINGLE_USER
    order, pending = with_canary(site.first_turn(strategy, await site.born(strategy)), canary)
    site.server.run(
        f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{ADMIN}'@'%'",
        f"GRANT SELECT ON mysql.* TO '{ADMIN}'@'%'",
    )

    async with rotator.session(site.target(), order) as session:
        with pytest.raises(KeyturnError) as refused:
            await session.set(pending)
        assert not await session.accepts(pending)

    error = refused.value
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert canary.scan_text(f"{error!r} {error.message} {caplog.text}") == []
    assert written_by_the_server(site, canary) == []
