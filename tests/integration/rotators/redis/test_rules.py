"""The clone has the rules of its original, whatever they are and whatever it is called."""

import pytest

from keyturn.domain.errors import (
    TargetRefusedError,
)
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Target
from keyturn.testing.rotators import alternate, order_of
from servers.redis import RedisServer
from servers.redis_site import (
    RedisSite,
    begun,
    credential,
    opened,
    password_of,
    target_of,
    turn,
    username_of,
)


async def test_rules_are_the_same_after_each_turn(target: Target, site: RedisSite) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    base = order.base_username

    changes = (
        ("+config|resetstat",),
        ("~more:*",),
        ("(~third:* +get +getdel)",),
        ("-get", "-@write"),
        ("resetkeys", "~few:*"),
        ("resetchannels", "&one"),
        ("clearselectors",),
        ("skip-sanitize-payload",),
        ("sanitize-payload",),
    )
    for change in changes:
        assert order.current is not None
        site.server.ask("ACL", "SETUSER", username_of(order.current), *change)
        wanted = site.rules(username_of(order.current))
        order = await turn(target, site, Strategy.ALTERNATING_USERS, order)
        assert site.rules(f"{base}_clone") == wanted == site.rules(base)


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(("reset", "on"), id="nothing"),
        pytest.param(("~*", "&*", "+@all"), id="everything"),
        pytest.param(("%R~a:*", "%RW~b:*", "resetchannels", "+get"), id="few"),
        pytest.param(("skip-sanitize-payload", "+@all", "-@all", "+get"), id="no sanitizing"),
        pytest.param(("+select|1", "+config|get"), id="first arguments"),
        pytest.param(("~\xe4\u6f22:*", "&\u6f22"), id="other alphabets"),
        pytest.param(("~a(b):*", "(~c(d):* +get)"), id="parentheses"),
        pytest.param(("~it's", "~a\\*b", '~"x"'), id="quotes"),
        pytest.param(("(~it's %R~a\\*b +get)", '(~"x" &"y)'), id="quotes in selectors"),
        pytest.param(("(~* +@all)", "(&x -@all)", "(+@read -get)"), id="selectors only"),
    ],
)
async def test_all_kinds_of_rules_reach_the_clone(
    target: Target, site: RedisSite, rules: tuple[str, ...]
) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    assert order.current is not None
    assert order.pending is not None
    base = order.base_username
    site.server.ask("ACL", "SETUSER", base, "resetkeys", "resetchannels", "-@all", "clearselectors")
    site.make(base, password_of(order.current), *rules)

    for _ in range(2):
        async with opened(target, order) as session:
            await session.set(order.pending)

    assert site.rules(username_of(order.pending)) == site.rules(base)


async def test_the_databases_of_valkey_reach_the_clone(valkey_server: RedisServer) -> None:
    site, target = RedisSite(valkey_server), target_of(valkey_server)
    order = await begun(site, Strategy.ALTERNATING_USERS)
    base = order.base_username
    for databases in (("db=1,3",), ("alldbs", "(+get ~x db=2)"), ("resetdbs",)):
        site.server.ask("ACL", "SETUSER", base, *databases)
        assert order.pending is not None
        async with opened(target, order) as session:
            await session.set(order.pending)
        assert site.rules(f"{base}_clone") == site.rules(base)


async def test_a_hostile_user_name_is_nothing_but_a_name(target: Target, site: RedisSite) -> None:
    for name in ("on", "+@all", ">x", "(", "*", 'quo"te', "it's", "reset", "漢字"):
        current = credential(name, "first", 1)
        site.make(name, b"first")
        pending = alternate(credential(name, "second", 2), name, "_clone")
        async with opened(
            target, order_of(Strategy.ALTERNATING_USERS, name, pending, current)
        ) as session:
            await session.set(pending)
            assert await session.accepts(pending)
        assert site.rules(f"{name}_clone") == site.rules(name)


@pytest.mark.parametrize("name", ["a b", "a\0b", "a\r\nb"])
async def test_a_name_that_no_user_can_have_is_refused(
    target: Target, site: RedisSite, name: str
) -> None:
    current = await site.born(Strategy.ALTERNATING_USERS)
    pending = credential(name, "x", 2)
    order = order_of(Strategy.ALTERNATING_USERS, username_of(current), pending, current)

    async with opened(target, order) as session:
        assert not await session.accepts(pending)
        with pytest.raises(TargetRefusedError, match="ACL SETUSER"):
            await session.set(pending)
