"""The MongoDB rotator, on FerretDB and on the peer of servers.mongo_peer.

FerretDB is a real server, but has no roles; what it lacks is tested on the peer, which is our own.
"""

import asyncio
import gc
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import OperationFailure

from keyturn.domain.errors import (
    InvalidParameterError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Rotator, Session, Target
from keyturn.rotators.mongodb.rotator import MongoDBRotator
from keyturn.testing.rotators import RotatorContract, Site, alternate, order_of
from servers import ferretdb, mongo_peer
from servers.certificates import Authority
from servers.ferretdb import FerretDB
from servers.mongo_peer import AUTHENTICATION_FAILED, Fault, MongoPeer

pytestmark = [
    # PyMongo leaves the socket of a connection to the collector that is given up while it is being
    # made, as when a client is closed that reaches nobody.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

BOTH = pytest.mark.parametrize("strategy", [Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS])
PARTS = {
    "roles": [{"role": "readWrite", "db": "shop"}, {"role": "read", "db": "stock"}],
    "customData": {"team": "shop", "nested": {"n": 1}},
    "authenticationRestrictions": [{"clientSource": ["127.0.0.1"]}],
}


def credential(username: str, password: str | bytes, version: int) -> Credential:
    text = password.encode() if isinstance(password, str) else password
    values = {"username": SecretValue(username.encode()), "password": SecretValue(text)}
    return Credential(version, values)


def password_of(one: Credential) -> str:
    return bytes(one.values["password"].reveal()).decode()


def username_of(one: Credential) -> str:
    return bytes(one.values["username"].reveal()).decode()


@dataclass
class MongoSite:
    """Makes users by the administrator's own connection, in the database `source`."""

    port: int
    authority: Authority | None
    folder: Path
    root: str
    root_password: str
    parts: dict[str, Any]
    source: str = "admin"
    mechanism: str = "SCRAM-SHA-256"

    numbers = itertools.count(1)

    def client(self, username: str = "", password: str = "", source: str = "") -> Any:
        tls: dict[str, Any] = {}
        if self.authority is not None:
            (self.folder / "trusted.crt").write_bytes(self.authority.pem)
            tls = {"tls": True, "tlsCAFile": str(self.folder / "trusted.crt")}
        return pymongo.MongoClient(
            "localhost",
            self.port,
            username=username or self.root,
            password=password or self.root_password,
            authSource=source or (self.source if username else "admin"),
            authMechanism=self.mechanism,
            directConnection=True,
            maxPoolSize=1,
            retryReads=False,
            retryWrites=False,
            **tls,
        )

    def ask(self, *command: Any, **fields: Any) -> Any:
        with self.client() as client:
            return client[self.source].command(*command, **fields)

    async def born(self, strategy: Strategy) -> Credential:
        made = credential(f"orders{next(self.numbers)}", "first, éß", 1)
        self.make(username_of(made), password_of(made))
        return made

    def make(self, username: str, password: str, **parts: Any) -> None:
        # FerretDB wants roles to be said, and none.
        self.ask("createUser", username, pwd=password, **{"roles": [], **self.parts, **parts})

    def renewed(self, credential_: Credential, version: int) -> Credential:
        return credential(username_of(credential_), f"value {next(self.numbers)} of it", version)

    def base_username(self, credential_: Credential) -> str:
        return username_of(credential_)

    def told(self, username: str) -> dict[str, Any]:
        """Tell what a user is, but for its name and its id."""
        whom = {"user": username, "db": self.source}
        (told,) = self.ask("usersInfo", whom)["users"]
        (more,) = self.ask("usersInfo", whom, showAuthenticationRestrictions=True)["users"]
        fields = ("roles", "customData", "mechanisms", "authenticationRestrictions")
        return {name: {**told, **more}.get(name) for name in fields}

    def may_log_in(self, one: Credential) -> bool:
        try:
            with self.client(username_of(one), password_of(one)) as client:
                return bool(client[self.source].command("ping")["ok"])
        except OperationFailure as error:
            if error.code != AUTHENTICATION_FAILED:
                raise
            return False

    def target(self, **parameters: Any) -> Target:
        tls = {} if self.authority else {"tls": {"mode": "disable"}}
        written = {"host": "localhost", "port": self.port, **tls, **parameters}
        if self.source != "admin":
            written["authSource"] = self.source
        admin = credential(self.root, self.root_password, 0).values
        authority = self.authority.pem if self.authority else b""
        return Target(written, admin, authority, timeout=10.0)


@pytest.fixture(scope="module", autouse=True)
def _no_socket_is_left_to_other_tests() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mongodb")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority.create(folder / "authority")


@pytest.fixture(scope="module")
def ferret(folder: Path, authority: Authority) -> Iterator[FerretDB]:
    with ferretdb.running(folder / "ferretdb", authority) as server:
        yield server


@pytest.fixture(scope="module")
def common_peer(authority: Authority) -> Iterator[MongoPeer]:
    with mongo_peer.running(authority.issue("peer")) as peer:
        yield peer


@pytest.fixture(scope="module")
def documentdb(authority: Authority) -> Iterator[MongoPeer]:
    with mongo_peer.running(authority.issue("documentdb"), knows_sha256=False) as peer:
        yield peer


@pytest.fixture(scope="module")
def plain() -> Iterator[MongoPeer]:
    with mongo_peer.running() as peer:
        yield peer


@pytest.fixture(scope="module")
def member(authority: Authority) -> Iterator[MongoPeer]:
    with mongo_peer.running(authority.issue("member"), replica_set="rs0") as peer:
        yield peer


@pytest.fixture
def peer(authority: Authority) -> Iterator[MongoPeer]:
    with mongo_peer.running(authority.issue("own-peer")) as peer:
        yield peer


def site_on(peer: MongoPeer, authority: Authority | None, folder: Path) -> MongoSite:
    root = mongo_peer.ROOT, mongo_peer.ROOT_PASSWORD
    return MongoSite(peer.port, authority, folder, *root, PARTS, source="shop")


class ContractOfMongoDB(RotatorContract):
    @pytest.fixture
    def rotator(self) -> Rotator:
        return MongoDBRotator()

    @pytest.fixture
    def target(self, site: MongoSite) -> Target:
        return site.target()

    @pytest.fixture
    def unreachable(self, target: Target) -> Target:
        return replace(target, parameters={**target.parameters, "port": 1}, timeout=1.0)


class TestFerretDB(ContractOfMongoDB):
    @pytest.fixture
    def site(self, ferret: FerretDB, authority: Authority, folder: Path) -> Site:
        root = ferretdb.ROOT, ferretdb.ROOT_PASSWORD
        return MongoSite(ferret.port, authority, folder, *root, {"mechanisms": ["SCRAM-SHA-256"]})


class TestPeer(ContractOfMongoDB):
    @pytest.fixture
    def site(self, common_peer: MongoPeer, authority: Authority, folder: Path) -> Site:
        return site_on(common_peer, authority, folder)


class TestDocumentDB(ContractOfMongoDB):
    """A peer that knows no more than DocumentDB does."""

    @pytest.fixture
    def site(self, documentdb: MongoPeer, authority: Authority, folder: Path) -> Site:
        site = site_on(documentdb, authority, folder)
        roles = {"roles": PARTS["roles"]}
        return replace(site, parts=roles, mechanism="SCRAM-SHA-1", source="admin")

    @pytest.fixture
    def target(self, site: MongoSite) -> Target:
        return site.target(dialect="documentdb")


class TestPeerWithoutTLS(ContractOfMongoDB):
    @pytest.fixture
    def site(self, plain: MongoPeer, folder: Path) -> Site:
        return site_on(plain, None, folder)


class TestReplicaSet(ContractOfMongoDB):
    @pytest.fixture
    def site(self, member: MongoPeer, authority: Authority, folder: Path) -> Site:
        return site_on(member, authority, folder)

    @pytest.fixture
    def target(self, site: MongoSite) -> Target:
        return site.target(replicaSet="rs0")


@pytest.fixture
def site(peer: MongoPeer, authority: Authority, folder: Path) -> MongoSite:
    return site_on(peer, authority, folder)


@pytest.fixture
def target(site: MongoSite) -> Target:
    return site.target()


@asynccontextmanager
async def opened(target: Target, order: Order) -> AsyncIterator[Session]:
    async with MongoDBRotator().session(target, order) as session:
        yield session


async def begun(site: MongoSite, strategy: Strategy) -> Order:
    current = await site.born(strategy)
    pending = site.renewed(current, 2)
    if strategy is Strategy.ALTERNATING_USERS:
        pending = alternate(pending, username_of(current), "_clone")
    return order_of(strategy, username_of(current), pending, current)


async def turn(target: Target, site: MongoSite, order: Order) -> Order:
    """Do a whole rotation, and make the order of the next."""
    assert order.pending is not None
    async with opened(target, order) as session:
        await session.set(order.pending)
        assert await session.accepts(order.pending)
    following = site.renewed(order.pending, order.pending.version + 1)
    if order.strategy is Strategy.ALTERNATING_USERS:
        following = alternate(following, order.base_username, "_clone")
    return order_of(order.strategy, order.base_username, following, order.pending, order.current)


async def test_the_clone_is_as_the_original_after_each_turn(
    target: Target, site: MongoSite
) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    base = order.base_username
    changes: list[dict[str, Any]] = [
        {"roles": [{"role": "dbAdmin", "db": "shop"}]},
        {"customData": {}},
        {"authenticationRestrictions": []},
        {"roles": [], "customData": {"other": [1, 2]}},
        {"authenticationRestrictions": [{"serverAddress": ["127.0.0.1"]}]},
    ]

    for change in [{}, *changes]:
        assert order.current is not None
        if change:
            site.ask("updateUser", username_of(order.current), **change)
        wanted = site.told(username_of(order.current))
        order = await turn(target, site, order)
        assert site.told(f"{base}_clone") == wanted == site.told(base)


@pytest.mark.parametrize("mechanisms", [["SCRAM-SHA-256"], ["SCRAM-SHA-1", "SCRAM-SHA-256"]])
@BOTH
async def test_mechanisms_stay_as_they_are(
    target: Target, site: MongoSite, strategy: Strategy, mechanisms: list[str]
) -> None:
    name = f"m{next(site.numbers)}"
    site.make(name, "first", mechanisms=mechanisms)
    current = credential(name, "first", 1)
    pending = site.renewed(current, 2)
    if strategy is Strategy.ALTERNATING_USERS:
        pending = alternate(pending, name, "_clone")

    await turn(target, site, order_of(strategy, name, pending, current))

    assert site.told(username_of(pending))["mechanisms"] == mechanisms


@BOTH
async def test_a_user_without_our_mechanism_is_refused(
    target: Target, site: MongoSite, strategy: Strategy
) -> None:
    order = await begun(site, strategy)
    site.ask("updateUser", order.base_username, pwd="x", mechanisms=["SCRAM-SHA-1"])

    assert order.pending is not None
    async with opened(target, order) as session:
        with pytest.raises(TargetRefusedError, match="SCRAM-SHA-256"):
            await session.set(order.pending)


async def test_setting_a_single_user_changes_its_password_alone(
    target: Target, site: MongoSite
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    before = site.told(order.base_username)

    for _ in range(3):
        order = await turn(target, site, order)

    assert site.told(order.base_username) == before


@BOTH
async def test_open_connections_work_through_two_rotations(
    target: Target, site: MongoSite, peer: MongoPeer, strategy: Strategy
) -> None:
    order = await begun(site, strategy)
    assert order.current is not None
    stopping = asyncio.Event()
    with ExitStack() as stack:
        login = username_of(order.current), password_of(order.current)
        clients = [stack.enter_context(site.client(*login)) for _ in range(25)]
        for client in clients:
            client["shop"]["things"].insert_one({"begun": True})
        logins = count_of_logins(peer)
        working = [asyncio.create_task(work(client, stopping)) for client in clients]
        await asyncio.sleep(0)

        for _ in range(2):
            before, order = order, await turn(target, site, order)
            if strategy is Strategy.ALTERNATING_USERS and before.previous is not None:
                async with opened(target, replace(order, pending=None)) as session:
                    kept = [each for each in (order.current, order.previous) if each]
                    await session.retire(before.previous, kept)
            await asyncio.sleep(0.2)
        stopping.set()
        done = await asyncio.gather(*working)

        assert min(done) >= 2
        # Keyturn's own are at most three in a rotation; none of the 25 is among them.
        assert count_of_logins(peer) - logins <= 3 * 2


def count_of_logins(peer: MongoPeer) -> int:
    return sum("saslContinue" in command for _, command in peer.received)


async def work(client: Any, stopping: asyncio.Event) -> int:
    done = 0
    while not stopping.is_set():
        client["shop"]["things"].insert_one({"n": done})
        assert client["shop"]["things"].find_one() is not None
        done += 1
        await asyncio.sleep(0.02)
    return done


@BOTH
async def test_a_user_that_does_not_exist_is_not_made(
    target: Target, site: MongoSite, strategy: Strategy
) -> None:
    pending = credential("nobody", "x", 1)

    async with opened(target, order_of(strategy, "nobody", pending)) as session:
        with pytest.raises(TargetRefusedError, match="make it first"):
            await session.set(pending)

    assert site.ask("usersInfo", "nobody")["users"] == []


@BOTH
async def test_a_seed_is_set_for_a_user_that_exists(
    target: Target, site: MongoSite, strategy: Strategy
) -> None:
    known = await site.born(strategy)
    seed, before = site.renewed(known, 1), site.told(username_of(known))

    async with opened(target, order_of(strategy, username_of(known), seed)) as session:
        await session.set(seed)
        assert await session.accepts(seed)

    assert site.told(username_of(known)) == before


HOSTILE = [
    pytest.param(":/@\"'\\;%s{}$(x)`y`", id="symbols"),
    pytest.param("a=b,c=2C", id="the separators of SCRAM"),
    pytest.param('{"$gt": ""}', id="looks like an operator"),
    pytest.param("I\u00adX \u2168 é", id="what SASLprep changes"),
    pytest.param("x" * 1000, id="long"),
]


@BOTH
@pytest.mark.parametrize("password", HOSTILE)
async def test_a_hostile_password_is_nothing_but_a_password(
    target: Target, site: MongoSite, strategy: Strategy, password: str
) -> None:
    order = await begun(site, strategy)
    assert order.pending is not None
    pending = credential(username_of(order.pending), password, 2)

    async with opened(target, order) as session:
        await session.set(pending)
        assert await session.accepts(pending)
        assert not await session.accepts(site.renewed(pending, 3))

    assert site.may_log_in(pending)


@pytest.mark.parametrize("password", [b"\xff\xfe no text", "line\nline", "zero\0byte"])
async def test_a_password_that_no_user_can_have_is_refused(
    target: Target, site: MongoSite, password: str | bytes
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    pending = credential(order.base_username, password, 2)

    async with opened(target, order) as session:
        assert not await session.accepts(pending)
        with pytest.raises(TargetRefusedError, match="characters"):
            await session.set(pending)

    assert order.current is not None
    assert site.may_log_in(order.current)


async def test_a_hostile_user_name_is_nothing_but_a_name(target: Target, site: MongoSite) -> None:
    for name in ("a=b,c", "$where", "x y", 'quo"te', "a.b", "漢字", "n=x,r=y"):
        site.make(name, "first")
        pending = alternate(credential(name, "second", 2), name, "_clone")
        order = order_of(Strategy.ALTERNATING_USERS, name, pending, credential(name, "first", 1))
        await turn(target, site, order)
        assert site.told(f"{name}_clone") == site.told(name)


async def test_a_retired_user_keeps_its_connections(target: Target, site: MongoSite) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    current = order.current
    assert current is not None
    order = await turn(target, site, order)
    with site.client(username_of(current), password_of(current)) as client:
        client["shop"]["things"].insert_one({"begun": True})
        assert order.current is not None
        async with opened(target, replace(order, pending=None)) as session:
            await session.retire(current, [order.current])
            assert not await session.accepts(current)

        assert client["shop"]["things"].find_one() is not None


async def test_retiring_leaves_a_newer_password_alone(target: Target, site: MongoSite) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    old = order.current
    assert old is not None
    newer = credential(username_of(old), "newer", 3)
    site.ask("updateUser", username_of(old), pwd="newer", mechanisms=["SCRAM-SHA-256"])

    async with opened(target, order) as session:
        await session.retire(old, [])
    assert site.may_log_in(newer)

    same = credential(username_of(old), "newer", 4)
    async with opened(target, order) as session:
        await session.retire(same, [newer])
    assert site.may_log_in(newer)


async def test_an_undone_pending_credential_is_ended(target: Target, site: MongoSite) -> None:
    order = await turn(target, site, await begun(site, Strategy.ALTERNATING_USERS))
    order = await turn(target, site, order)
    assert order.pending is not None
    async with opened(target, order) as session:
        await session.set(order.pending)
        # The previous one is of the same user; its password was replaced by the pending one.
        kept = [each for each in (order.current, order.previous) if each]
        await session.retire(order.pending, kept)
        assert not await session.accepts(order.pending)
        assert order.current is not None
        assert await session.accepts(order.current)


async def test_a_user_may_rotate_itself(target: Target, site: MongoSite) -> None:
    name = f"self{next(site.numbers)}"
    site.make(name, "first", roles=["changeOwnPasswordCustomDataRole"])
    current = credential(name, "first", 1)
    order = order_of(Strategy.SINGLE_USER, name, site.renewed(current, 2), current)
    alone = replace(target, admin={})

    for _ in range(3):
        order = await turn(alone, site, order)
    # After a crash the pending credential may be the one that works.
    assert order.pending is not None
    assert order.current is not None
    swapped = replace(order, pending=order.current, current=order.pending)
    async with opened(alone, swapped) as session:
        assert await session.accepts(order.current)

    with pytest.raises(InvalidParameterError, match="adminRef"):
        async with opened(alone, replace(order, strategy=Strategy.ALTERNATING_USERS)):
            pass


async def test_a_user_without_the_right_is_refused(target: Target, site: MongoSite) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.pending is not None

    async with opened(replace(target, admin={}), order) as session:
        with pytest.raises(TargetRefusedError, match=r"updateUser \(code 13\)"):
            await session.set(order.pending)

    assert order.current is not None
    assert site.may_log_in(order.current)


async def test_nobody_gets_in_with_a_wrong_admin(target: Target, site: MongoSite) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    wrong = credential(mongo_peer.ROOT, "wrong", 0).values

    with pytest.raises(TargetUnavailableError, match="lets nobody in"):
        async with opened(replace(target, admin=wrong), order):
            pass


async def test_a_certificate_of_another_authority_is_not_trusted(
    target: Target, site: MongoSite, peer: MongoPeer, tmp_path: Path
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    strangers = Authority.create(tmp_path).pem
    for authority in (strangers, b""):
        peer.received.clear()
        untrusting = replace(target, authority=authority, timeout=1.0)
        with pytest.raises(TargetUnavailableError, match="certificate"):
            async with opened(untrusting, order):
                pass
        assert peer.received == []


async def test_a_certificate_of_another_host_is_not_trusted(
    authority: Authority, folder: Path
) -> None:
    with mongo_peer.running(authority.issue("other", ["elsewhere.example"])) as peer:
        target = replace(site_on(peer, authority, folder).target(), timeout=1.0)
        pending = credential("x", "y", 1)
        with pytest.raises(TargetUnavailableError, match="of another host"):
            async with opened(target, order_of(Strategy.SINGLE_USER, "x", pending)):
                pass
        assert peer.received == []


async def test_certificates_that_cannot_be_read_are_refused(
    target: Target, site: MongoSite
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)

    with pytest.raises(InvalidParameterError, match="PEM"):
        async with opened(replace(target, authority=b"no PEM"), order):
            pass


FAULTS: list[Any] = [
    pytest.param(lambda: Fault("updateUser", hang=True), id="hangs before"),
    pytest.param(lambda: Fault("updateUser", hang=True, done=True), id="hangs after"),
    pytest.param(lambda: Fault("updateUser", cut=True), id="cut before"),
    pytest.param(lambda: Fault("updateUser", cut=True, done=True), id="cut after"),
    pytest.param(lambda: Fault("updateUser", code=10107), id="not primary"),
    pytest.param(lambda: Fault("updateUser", code=50), id="out of time"),
    pytest.param(lambda: Fault("updateUser", code=11600), id="shutting down"),
    pytest.param(lambda: Fault("updateUser", code=8), id="an unknown error"),
    pytest.param(lambda: Fault("updateUser", write_concern_error=True), id="no majority"),
    pytest.param(lambda: Fault("usersInfo", cut=True), id="cut while reading"),
]


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_cannot_be_told_is_unavailable_and_not_sent_again(
    target: Target, site: MongoSite, peer: MongoPeer, fault: Callable[[], Fault]
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.pending is not None
    assert order.current is not None
    made = fault()
    async with opened(replace(target, timeout=1.0), order) as session:
        peer.received.clear()
        peer.faults.append(made)
        with pytest.raises(TargetUnavailableError):
            await session.set(order.pending)
    assert sum(made.command in command for _, command in peer.received) == 1

    # One of both is accepted, and the same once more ends well.
    assert site.may_log_in(order.pending) != site.may_log_in(order.current)
    async with opened(target, order) as session:
        await session.set(order.pending)
        assert await session.accepts(order.pending)


@pytest.mark.parametrize("code", [2, 11, 13, 31, 59])
async def test_a_refusal_is_a_refusal(
    target: Target, site: MongoSite, peer: MongoPeer, code: int
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.pending is not None
    async with opened(target, order) as session:
        peer.faults.append(Fault("updateUser", code=code))
        with pytest.raises(TargetRefusedError, match=rf"\(code {code}\)"):
            await session.set(order.pending)
        assert not await session.accepts(order.pending)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda: Fault("saslContinue", cut=True), id="cut"),
        pytest.param(lambda: Fault("saslContinue", hang=True), id="hangs"),
        pytest.param(lambda: Fault("saslContinue", code=11600), id="shutting down"),
        pytest.param(lambda: Fault("saslContinue", code=334), id="no such mechanism"),
        pytest.param(lambda: Fault("ping", cut=True), id="cut after the login"),
        pytest.param(lambda: Fault("ping", code=13435), id="fails after the login"),
    ],
)
async def test_a_login_that_was_not_answered_is_no_refusal(
    target: Target, site: MongoSite, peer: MongoPeer, fault: Callable[[], Fault]
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.current is not None
    async with opened(replace(target, timeout=1.0), order) as session:
        peer.faults.append(fault())
        with pytest.raises(TargetUnavailableError):
            await session.accepts(order.current)
        assert await session.accepts(order.current)


async def test_a_refused_login_is_tried_once(
    target: Target, site: MongoSite, peer: MongoPeer
) -> None:
    order = await begun(site, Strategy.SINGLE_USER)
    assert order.pending is not None
    async with opened(target, order) as session:
        peer.received.clear()
        assert not await session.accepts(order.pending)

    assert sum("saslContinue" in command for _, command in peer.received) == 1


async def test_a_secondary_is_not_written_to(authority: Authority, folder: Path) -> None:
    with mongo_peer.running(authority.issue("secondary"), replica_set="rs0") as peer:
        site = site_on(peer, authority, folder)
        order = await begun(site, Strategy.SINGLE_USER)
        assert order.pending is not None
        peer.is_primary = False
        for parameters in ({}, {"replicaSet": "rs0"}):
            target = replace(site.target(**parameters), timeout=1.0)
            with pytest.raises(TargetUnavailableError):
                async with opened(target, order) as session:
                    await session.set(order.pending)


async def test_each_change_has_a_deadline_and_asks_for_a_majority(
    target: Target, site: MongoSite, peer: MongoPeer
) -> None:
    order = await begun(site, Strategy.ALTERNATING_USERS)
    peer.received.clear()
    for _ in range(2):
        order = await turn(target, site, order)

    changes = [
        command for _, command in peer.received if command.keys() & {"createUser", "updateUser"}
    ]
    assert [next(iter(command)) for command in changes] == ["createUser", "updateUser"]
    for command in changes:
        assert command["maxTimeMS"] == 10_000
        assert command["writeConcern"]["w"] == "majority"


async def test_the_drivers_own_log_holds_no_password(
    target: Target, site: MongoSite, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    order = await begun(site, Strategy.ALTERNATING_USERS)
    passwords = [password_of(each) for each in (order.pending, order.current) if each]

    for _ in range(2):
        order = await turn(target, site, order)
        assert order.pending is not None
        passwords.append(password_of(order.pending))

    assert "updateUser" in caplog.text
    assert not any(password in caplog.text for password in passwords)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({}, "host is missing"),
        ({"host": "mongodb://db"}, "host is not of the right form"),
        ({"host": "db", "port": 65536}, "port must be"),
        ({"host": "db", "tls": {"mode": "prefer"}}, "mode is not of the right form"),
        ({"host": "db", "authSource": "$external"}, "authSource is not of the right form"),
        ({"host": "db", "replicaSet": "a b"}, "replicaSet is not of the right form"),
        ({"host": "db", "dialect": "cosmosdb"}, "dialect is not of the right form"),
        ({"host": "db", "uri": "x"}, "uri is unknown"),
    ],
)
def test_parameters_that_cannot_work_are_refused(written: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidParameterError, match=says):
        MongoDBRotator().check(written)
