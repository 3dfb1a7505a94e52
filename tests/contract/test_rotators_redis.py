"""The Redis rotator on a real redis-server with TLS, and on a real valkey-server without."""

import asyncio
import hashlib
import itertools
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from keyturn.domain.errors import (
    InvalidParameterError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Rotator, Session, Target
from keyturn.rotators.redis.rotator import RedisRotator
from keyturn.testing.rotators import RotatorContract, Site, alternate, order_of
from servers import redis as servers
from servers.certificates import Authority
from servers.redis import RedisServer

RULES = (
    "~app:*",
    "%R~catalogue:*",
    "&orders.*",
    "+@all",
    "-@dangerous",
    "+info",
    "-config",
    "+config|get",
    "(~stock:* +get)",
    "(%W~journal:* &journal +set +publish)",
)
BOTH = pytest.mark.parametrize("strategy", [Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS])


def credential(username: str, password: str | bytes, version: int) -> Credential:
    text = password.encode() if isinstance(password, str) else password
    values = {"username": SecretValue(username.encode()), "password": SecretValue(text)}
    return Credential(version, values)


def password_of(one: Credential) -> bytes:
    return bytes(one.values["password"].reveal())


def username_of(one: Credential) -> str:
    return bytes(one.values["username"].reveal()).decode()


class RedisSite:
    """Makes users by the administrator's own connection."""

    numbers = itertools.count(1)

    def __init__(self, server: RedisServer) -> None:
        self.server = server

    async def born(self, strategy: Strategy) -> Credential:
        number = next(self.numbers)
        made = credential(f"orders{number}", f"first of {number}, éß", 1)
        self.make(username_of(made), password_of(made))
        return made

    def make(self, username: str, password: bytes, *rules: str) -> None:
        hashed = hashlib.sha256(password).hexdigest()
        self.server.ask("ACL", "SETUSER", username, "on", f"#{hashed}", *(rules or RULES))

    def renewed(self, credential_: Credential, version: int) -> Credential:
        return credential(username_of(credential_), f"value {next(self.numbers)} of it", version)

    def base_username(self, credential_: Credential) -> str:
        return username_of(credential_)

    def rules(self, username: str) -> dict[bytes, Any]:
        """Read the rules of a user as the server tells them, without its passwords."""
        reply = self.server.ask("ACL", "GETUSER", username)
        told = dict(zip(reply[::2], reply[1::2], strict=True))
        del told[b"passwords"]
        # A user without this flag is as one with it; only the other one makes a difference.
        told[b"flags"] = sorted(set(told[b"flags"]) - {b"sanitize-payload"})
        return told

    def may_log_in(self, one: Credential) -> bool:
        try:
            with self.server.client(username_of(one), password_of(one)) as client:
                return bool(client.execute_command("PING"))
        except redis.AuthenticationError:
            return False


def target_of(server: RedisServer, **parameters: Any) -> Target:
    admin = credential(servers.ADMIN, servers.ADMIN_PASSWORD, 0).values
    tls = {} if server.authority else {"tls": {"mode": "disable"}}
    written = {"host": "localhost", "port": server.port, **tls, **parameters}
    authority = server.authority.pem if server.authority else b""
    return Target(written, admin, authority, timeout=10.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("redis")


@pytest.fixture(scope="module")
def redis_server(folder: Path) -> Iterator[RedisServer]:
    authority = Authority.create(folder / "authority")
    with servers.running(folder / "redis", authority=authority) as server:
        yield server


@pytest.fixture(scope="module")
def valkey_server(folder: Path) -> Iterator[RedisServer]:
    binary = servers.valkey_binary(folder)
    with servers.running(folder / "valkey", binary=binary) as server:
        yield server


class ContractOfRedis(RotatorContract):
    @pytest.fixture
    def rotator(self) -> Rotator:
        return RedisRotator()

    @pytest.fixture
    def target(self, server: RedisServer) -> Target:
        return target_of(server)

    @pytest.fixture
    def unreachable(self, target: Target) -> Target:
        return replace(target, parameters={**target.parameters, "port": 1}, timeout=2.0)

    @pytest.fixture
    def site(self, server: RedisServer) -> Site:
        return RedisSite(server)


class TestRedis(ContractOfRedis):
    @pytest.fixture
    def server(self, redis_server: RedisServer) -> RedisServer:
        return redis_server


class TestValkey(ContractOfRedis):
    @pytest.fixture
    def server(self, valkey_server: RedisServer) -> RedisServer:
        return valkey_server


@pytest.fixture(params=["redis", "valkey"])
def server(request: pytest.FixtureRequest) -> RedisServer:
    found: RedisServer = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def site(server: RedisServer) -> RedisSite:
    return RedisSite(server)


@pytest.fixture
def target(server: RedisServer) -> Target:
    return target_of(server)


@asynccontextmanager
async def opened(target: Target, order: Order) -> AsyncIterator[Session]:
    async with RedisRotator().session(target, order) as session:
        yield session


async def turn(target: Target, site: RedisSite, strategy: Strategy, order: Order) -> Order:
    """Do a whole rotation, and make the order of the next."""
    assert order.pending is not None
    async with opened(target, order) as session:
        await session.set(order.pending)
        assert await session.accepts(order.pending)
    if order.previous is not None:
        kept = [order.pending, *([order.current] if order.current else [])]
        async with opened(target, replace(order, pending=None)) as session:
            await session.retire(order.previous, kept)
    following = site.renewed(order.pending, order.pending.version + 1)
    if strategy is Strategy.ALTERNATING_USERS:
        following = alternate(following, order.base_username, "_clone")
    return order_of(strategy, order.base_username, following, order.pending, order.current)


async def begun(site: RedisSite, strategy: Strategy) -> Order:
    current = await site.born(strategy)
    pending = site.renewed(current, 2)
    if strategy is Strategy.ALTERNATING_USERS:
        pending = alternate(pending, username_of(current), "_clone")
    return order_of(strategy, username_of(current), pending, current)


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


HOSTILE = [
    pytest.param("\"' >< # ! ~* +@all", id="looks like rules"),
    pytest.param(">plain", id="looks like a password modifier"),
    pytest.param("nopass", id="looks like nopass"),
    pytest.param(":/@\"'\\;%s{}$(x)`y`", id="symbols"),
    pytest.param("line\r\nACL SETUSER x on nopass\r\n", id="lines"),
    pytest.param("zero\0byte", id="zero byte"),
    pytest.param(b"\xff\xfe no text", id="no text"),
    pytest.param("x" * 4096, id="long"),
]


@BOTH
@pytest.mark.parametrize("password", HOSTILE)
async def test_a_hostile_password_is_nothing_but_a_password(
    target: Target, site: RedisSite, strategy: Strategy, password: str | bytes
) -> None:
    order = await begun(site, strategy)
    assert order.pending is not None
    pending = credential(username_of(order.pending), password, 2)

    async with opened(target, order) as session:
        await session.set(pending)
        assert await session.accepts(pending)
        assert not await session.accepts(site.renewed(pending, 3))

    assert site.may_log_in(pending)
    assert site.rules(username_of(pending)) == site.rules(order.base_username)


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


@BOTH
async def test_open_connections_work_through_two_rotations(
    target: Target, site: RedisSite, strategy: Strategy
) -> None:
    order = await begun(site, strategy)
    assert order.current is not None
    stopping = asyncio.Event()
    login = username_of(order.current), password_of(order.current)
    with ExitStack() as stack:
        clients = [stack.enter_context(site.server.client(*login)) for _ in range(24)]
        listener = stack.enter_context(site.server.client(*login)).pubsub()
        listener.subscribe("orders.new")
        ids = [client.client_id() for client in clients]
        working = [asyncio.create_task(work(client, stopping)) for client in clients]
        await asyncio.sleep(0)

        for _ in range(3):
            order = await turn(target, site, strategy, order)
            await asyncio.sleep(0.1)
        stopping.set()
        done = await asyncio.gather(*working)

        assert min(done) >= 3
        assert [client.client_id() for client in clients] == ids
        site.server.ask("PUBLISH", "orders.new", "still here")
        heard = [listener.get_message(timeout=5), listener.get_message(timeout=5)]
        assert heard[1] is not None
        assert heard[1]["data"] == b"still here"
        listener.close()


async def work(client: Any, stopping: asyncio.Event) -> int:
    done = 0
    while not stopping.is_set():
        client.set("app:counter", done)
        assert client.get("app:counter") is not None
        done += 1
        await asyncio.sleep(0.02)
    return done


async def test_acl_setuser_ends_connections_only_as_the_page_says(site: RedisSite) -> None:
    made = await site.born(Strategy.SINGLE_USER)
    name, password = username_of(made), password_of(made)
    with site.server.client(name, password) as client, site.server.client(name, password) as other:
        listener = other.pubsub()
        listener.subscribe("orders.new")
        assert listener.get_message(timeout=5) is not None
        for change in ("resetpass", "off", "-info", "resetkeys"):
            site.server.ask("ACL", "SETUSER", name, change)
            assert client.execute_command("PING")
            listener.ping()
            assert listener.get_message(timeout=5)["type"] == "pong"

        site.server.ask("ACL", "SETUSER", name, "resetchannels")
        with pytest.raises((redis.ConnectionError, redis.AuthenticationError)):
            _ask_a_listener(listener)
        assert client.execute_command("PING")

        site.server.ask("ACL", "DELUSER", name)
        with pytest.raises((redis.ConnectionError, redis.AuthenticationError)):
            client.execute_command("PING")
        listener.close()


def _ask_a_listener(listener: Any) -> None:
    listener.ping()
    listener.get_message(timeout=5)


async def test_readers_always_find_a_login_that_works(target: Target, site: RedisSite) -> None:
    for strategy in (Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS):
        order = await begun(site, strategy)
        for _ in range(4):
            assert order.pending is not None
            assert order.current is not None
            async with opened(target, order) as session:
                assert site.may_log_in(order.current)
                await session.set(order.pending)
                assert site.may_log_in(order.current)
                assert site.may_log_in(order.pending)
            order = await turn(target, site, strategy, order)


@BOTH
async def test_no_password_is_seen_by_the_server_but_in_a_login(
    target: Target, site: RedisSite, strategy: Strategy
) -> None:
    order = await begun(site, strategy)
    seen: list[bytes] = [password_of(each) for each in (order.pending, order.current) if each]
    with site.server.client() as client, client.monitor() as monitor:
        for _ in range(3):
            order = await turn(target, site, strategy, order)
            assert order.pending is not None
            seen.append(password_of(order.pending))
        site.server.ask("ECHO", "the end")
        lines = []
        for line in monitor.listen():
            lines.append(line["command"])
            if "the end" in line["command"]:
                break
    told = "\n".join(lines).encode()
    written = [
        told,
        repr(site.server.ask("SLOWLOG", "GET", "-1")).encode(),
        repr(site.server.ask("ACL", "LOG")).encode(),
        site.server.log,
        *(each.read_bytes() for each in site.server.folder.glob("users.acl")),
    ]

    # MONITOR and the slow log leave such commands out; nothing rests on that, as passwords go as
    # hashes but in AUTH.
    assert b"PING" in told
    for password in seen:
        for text in written:
            assert password not in text
            assert repr(password.decode())[1:-1].encode() not in text


async def test_users_outlive_a_crash_of_the_server(folder: Path, tmp_path: Path) -> None:
    for users_in, persist in (("aclFile", "aclFile"), ("config", "config")):
        with servers.running(tmp_path / users_in, users_in=users_in) as server:
            site, target = RedisSite(server), target_of(server, persist=persist)
            order = await begun(site, Strategy.ALTERNATING_USERS)
            assert order.pending is not None
            async with opened(target, order) as session:
                await session.set(order.pending)
            server.kill()
            server.start()
            assert site.may_log_in(order.pending)
            assert site.rules(username_of(order.pending)) == site.rules(order.base_username)

            async with opened(target, order) as session:
                await session.retire(order.pending, [])
            server.kill()
            server.start()
            assert not site.may_log_in(order.pending)


async def test_a_session_keeps_what_a_run_before_did_not_live_to_keep(tmp_path: Path) -> None:
    with servers.running(tmp_path / "server") as server:
        site, target = RedisSite(server), target_of(server)
        order = await begun(site, Strategy.SINGLE_USER)
        assert order.pending is not None
        # As if the operator had been killed between ACL SETUSER and ACL SAVE.
        site.make(username_of(order.pending), password_of(order.pending))
        async with opened(target, order) as session:
            assert await session.accepts(order.pending)
        server.kill()
        server.start()

        assert site.may_log_in(order.pending)


@pytest.mark.parametrize(
    ("users_in", "persist", "says"),
    [("config", "aclFile", "no ACL file"), ("nowhere", "config", "without a configuration file")],
)
async def test_a_server_that_would_forget_is_refused_before_a_change(
    tmp_path: Path, users_in: str, persist: str, says: str
) -> None:
    with servers.running(tmp_path / "server", users_in=users_in) as server:
        site, target = RedisSite(server), target_of(server, persist=persist)
        order = await begun(site, Strategy.SINGLE_USER)
        assert order.pending is not None

        with pytest.raises(TargetRefusedError, match=says):
            async with opened(target, order):
                pass

        async with opened(target_of(server, persist="none"), order) as session:
            await session.set(order.pending)
            assert await session.accepts(order.pending)


async def test_a_server_that_cannot_write_is_unavailable(tmp_path: Path) -> None:
    with servers.running(tmp_path / "server") as server:
        site, target = RedisSite(server), target_of(server)
        order = await begun(site, Strategy.SINGLE_USER)
        assert order.pending is not None
        async with opened(target, order) as session:
            # The server makes a new file beside the old one and renames it: this stops both.
            (server.folder / "users.acl").unlink()
            (server.folder / "users.acl").mkdir()
            with pytest.raises(TargetUnavailableError, match="cannot keep it"):
                await session.set(order.pending)
        with pytest.raises(TargetUnavailableError, match="cannot write"):
            async with opened(target, order):
                pass


@BOTH
async def test_a_user_that_takes_any_password_is_refused(
    target: Target, site: RedisSite, strategy: Strategy
) -> None:
    order = await begun(site, strategy)
    site.server.ask("ACL", "SETUSER", order.base_username, "nopass")

    with pytest.raises(TargetRefusedError, match="takes any password"):
        async with opened(target, order):
            pass


@BOTH
async def test_a_user_that_does_not_exist_is_not_made(
    target: Target, site: RedisSite, strategy: Strategy
) -> None:
    pending = credential(f"nobody{next(site.numbers)}", "x", 1)
    name = username_of(pending)

    async with opened(target, order_of(strategy, name, pending)) as session:
        with pytest.raises(TargetRefusedError, match="make it first"):
            await session.set(pending)

    assert site.server.ask("ACL", "GETUSER", name) is None


@BOTH
async def test_a_seed_is_set_for_a_user_that_exists(
    target: Target, site: RedisSite, strategy: Strategy
) -> None:
    known = await site.born(strategy)
    seed = site.renewed(known, 1)
    before = site.rules(username_of(known))

    async with opened(target, order_of(strategy, username_of(known), seed)) as session:
        await session.set(seed)
        assert await session.accepts(seed)

    assert site.rules(username_of(known)) == before


async def test_other_passwords_of_a_single_user_stay(target: Target, site: RedisSite) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    other = credential(order.base_username, "of a person", 0)
    site.make(order.base_username, password_of(other))

    for _ in range(3):
        order = await turn(target, site, Strategy.SINGLE_USER, order)

    assert site.may_log_in(other)


async def turn_without_retiring(target: Target, site: RedisSite, order: Order) -> Order:
    assert order.pending is not None
    async with opened(target, order) as session:
        await session.set(order.pending)
    following = site.renewed(order.pending, order.pending.version + 1)
    following = alternate(following, order.base_username, "_clone")
    return order_of(order.strategy, order.base_username, following, order.pending, order.current)


async def test_alternating_users_hold_no_password_of_two_rotations_ago(
    target: Target, site: RedisSite
) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    held = [order.current]
    for _ in range(5):
        held.append(order.pending)
        order = await turn_without_retiring(target, site, order)

    # The previous credential of the user that is set stays until it is retired.
    assert [site.may_log_in(each) for each in held if each] == [False] * 2 + [True] * 4


async def test_a_statement_that_arrives_late_takes_no_newer_password_away(
    target: Target, site: RedisSite
) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    late: list[list[str]] = []
    for _ in range(6):
        assert order.pending is not None
        before = site.server.ask("ACL", "GETUSER", username_of(order.pending))
        late.append(_statement(order, before))
        order = await turn_without_retiring(target, site, order)
    assert any(word.startswith("!") for statement in late for word in statement)

    refused = 0
    for statement in late:
        try:
            site.server.ask("ACL", "SETUSER", *statement)
        except redis.ResponseError:
            refused += 1

    assert refused
    for newest in (order.current, order.previous):
        assert newest is not None
        assert site.may_log_in(newest)


def _statement(order: Order, before: Any) -> list[str]:
    """Write the passwords' part of what `set` sends, from what the server told before it."""
    assert order.pending is not None
    versions = [each for each in (order.pending, order.current, order.previous) if each]
    sha = hashlib.sha256
    kept = {sha(password_of(each)).hexdigest() for each in versions}
    told = dict(zip(before[::2], before[1::2], strict=True)) if before else {b"passwords": []}
    stale = {each.decode() for each in told[b"passwords"]} - kept
    added = sha(password_of(order.pending)).hexdigest()
    return [username_of(order.pending), f"#{added}", *(f"!{each}" for each in sorted(stale))]


@pytest.mark.parametrize("lacks", ["-acl|setuser", "-acl|getuser", "-acl|save"])
async def test_an_admin_without_the_right_is_refused(redis_server: RedisServer, lacks: str) -> None:
    site = RedisSite(redis_server)
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.pending is not None
    name = f"half{next(site.numbers)}"
    site.make(name, b"half an admin", "~*", "+@all", lacks)
    admin = credential(name, "half an admin", 0).values

    with pytest.raises(TargetRefusedError, match="NOPERM"):
        async with opened(replace(target_of(redis_server), admin=admin), order) as session:
            await session.set(order.pending)

    assert not site.may_log_in(order.pending)


@BOTH
async def test_the_rights_that_the_page_names_are_enough(
    target: Target, site: RedisSite, strategy: Strategy
) -> None:
    page = Path(__file__).parents[2] / "docs" / "rotators-redis.md"
    (line,) = (line for line in page.read_text().splitlines() if "SETUSER keyturn on" in line)
    *_, password, everything, getting, setting, saving, pinging = line.split()
    name = f"little{next(site.numbers)}"
    site.server.ask(
        *("ACL", "SETUSER", name, "on", password, everything, getting, setting, saving, pinging)
    )
    admin = credential(name, password.removeprefix(">"), 0).values
    order = await begun(site, strategy)

    for _ in range(3):
        order = await turn(replace(target, admin=admin), site, strategy, order)


async def test_a_user_may_rotate_itself(target: Target, site: RedisSite) -> None:
    current = credential(f"self{next(site.numbers)}", "first", 1)
    site.make(username_of(current), b"first", "~*", "+@all")
    alone = replace(target, admin={})
    order = order_of(Strategy.SINGLE_USER, username_of(current), site.renewed(current, 2), current)

    for _ in range(3):
        order = await turn(alone, site, Strategy.SINGLE_USER, order)

    with pytest.raises(InvalidParameterError, match="adminRef"):
        async with opened(alone, replace(order, strategy=Strategy.ALTERNATING_USERS)):
            pass


async def test_nobody_gets_in_with_a_wrong_admin(target: Target, site: RedisSite) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    wrong = credential(servers.ADMIN, "wrong", 0).values

    with pytest.raises(TargetUnavailableError, match="lets nobody in"):
        async with opened(replace(target, admin=wrong), order):
            pass


async def test_a_certificate_of_another_authority_is_not_trusted(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    site = RedisSite(redis_server)
    order = await begun(site, Strategy.SINGLE_USER)
    strangers = Authority.create(tmp_path).pem
    for authority in (strangers, b""):
        logged = len(redis_server.ask("ACL", "LOG"))
        with pytest.raises(TargetUnavailableError, match="certificate"):
            async with opened(replace(target_of(redis_server), authority=authority), order):
                pass
        assert len(redis_server.ask("ACL", "LOG")) == logged


async def test_a_certificate_of_another_host_is_not_trusted(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "authority")
    hosts = ["elsewhere.example"]
    with servers.running(tmp_path / "server", authority=authority, hosts=hosts) as server:
        order = await begun(RedisSite(server), Strategy.SINGLE_USER)
        with pytest.raises(TargetUnavailableError, match="of another host"):
            async with opened(target_of(server), order):
                pass


async def test_plain_text_is_not_spoken_where_tls_is_wanted(valkey_server: RedisServer) -> None:
    site = RedisSite(valkey_server)
    order = await begun(site, Strategy.SINGLE_USER)
    wanting = target_of(valkey_server, tls={"mode": "verifyFull"})

    with pytest.raises(TargetUnavailableError):
        async with opened(wanting, order):
            pass


async def test_certificates_that_cannot_be_read_are_refused(redis_server: RedisServer) -> None:
    order = await begun(RedisSite(redis_server), Strategy.SINGLE_USER)

    with pytest.raises(InvalidParameterError, match="PEM"):
        async with opened(replace(target_of(redis_server), authority=b"no PEM"), order):
            pass


async def test_a_cut_connection_is_not_opened_again(target: Target, site: RedisSite) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.pending is not None
    with site.server.client() as person:
        async with opened(target, order) as session:
            for line in person.execute_command("CLIENT", "LIST", "TYPE", "normal").splitlines():
                fields = dict(field.partition(b"=")[::2] for field in line.split())
                if fields[b"user"] == servers.ADMIN.encode() and fields[b"cmd"] != b"client|list":
                    person.execute_command("CLIENT", "KILL", "ID", fields[b"id"])
            before = connections(person)
            for _ in range(3):
                with pytest.raises(TargetUnavailableError):
                    await session.set(order.pending)
            assert connections(person) == before

    assert not site.may_log_in(order.pending)


def connections(client: Any) -> int:
    """Count all connections that the server ever took."""
    told = client.execute_command("INFO", "stats")
    lines = told.decode().splitlines() if isinstance(told, bytes) else ()
    found = [line for line in lines if line.startswith("total_connections_received:")]
    return int(found[0].partition(":")[2]) if found else int(told["total_connections_received"])


async def test_retiring_ends_no_password_that_is_kept(target: Target, site: RedisSite) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    old = order.current
    assert old is not None
    # As after a rollback: two versions with the same values.
    again = replace(old, version=3)

    async with opened(target, replace(order, pending=None)) as session:
        await session.retire(old, [again])
        assert await session.accepts(again)
        elsewhere = credential("another", password_of(old), 4)
        await session.retire(old, [elsewhere])
        assert not await session.accepts(again)


async def test_a_server_that_hangs_is_unavailable_in_time(tmp_path: Path) -> None:
    with servers.running(tmp_path / "server") as server:
        site = RedisSite(server)
        order = await begun(site, Strategy.SINGLE_USER)
        assert order.pending is not None
        hasty = replace(target_of(server), timeout=1.0)
        async with opened(hasty, order) as session:
            server.process.send_signal(signal.SIGSTOP)
            async with asyncio.timeout(8):
                for act in (session.set, session.accepts):
                    with pytest.raises(TargetUnavailableError):
                        await act(order.pending)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({}, "host is missing"),
        ({"host": "a b"}, "host is not of the right form"),
        ({"host": "db", "port": 0}, "port must be"),
        ({"host": "db", "tls": {"mode": "prefer"}}, "mode is not of the right form"),
        ({"host": "db", "tls": "disable"}, "tls must be an object"),
        ({"host": "db", "persist": "disk"}, "persist is not of the right form"),
        ({"host": "db", "password": "x"}, "password is unknown"),
    ],
)
def test_parameters_that_cannot_work_are_refused(written: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidParameterError, match=says):
        RedisRotator().check(written)
