"""What the tests of the MongoDB rotator know to do in a server without it."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import OperationFailure

from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Session, Target
from keyturn.rotators.mongodb.rotator import MongoDBRotator
from keyturn.testing.rotators import alternate, order_of
from servers import mongo_peer
from servers.certificates import Authority
from servers.mongo_peer import AUTHENTICATION_FAILED, MongoPeer

LEAVES_SOCKETS = [
    # PyMongo leaves the socket of a connection to the collector that is given up while it is being
    # made, as when a client is closed that reaches nobody. It is collected before these marks end.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("collected"),
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


def site_on(peer: MongoPeer, authority: Authority | None, folder: Path) -> MongoSite:
    root = mongo_peer.ROOT, mongo_peer.ROOT_PASSWORD
    return MongoSite(peer.port, authority, folder, *root, PARTS, source="shop")


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
