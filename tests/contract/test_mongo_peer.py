"""The peer of the MongoDB tests, held against the RFCs' examples and against PyMongo."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import OperationFailure

from servers import mongo_peer
from servers.certificates import Authority
from servers.mongo_peer import MongoPeer
from servers.scram import Conversation, ScramError, Verifier, username_in


@pytest.mark.parametrize(
    ("mechanism", "salt", "first", "server_nonce", "final", "last"),
    [
        pytest.param(
            "SCRAM-SHA-1",
            "QSXCR+Q6sek8bf92",
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "3rfcNHYJY1ZVvWVs7j",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            id="RFC 5802, section 5",
        ),
        pytest.param(
            "SCRAM-SHA-256",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            id="RFC 7677, section 3",
        ),
    ],
)
def test_scram_says_what_the_rfcs_say(
    mechanism: str, salt: str, first: str, server_nonce: str, final: str, last: str
) -> None:
    decoded = base64.b64decode(salt)
    verifier = Verifier.of(mechanism, "pencil", salt=decoded, iterations=4096)
    begun = Conversation.begin(verifier, first, server_nonce=server_nonce)

    assert username_in(first) == "user"
    assert begun.server_first.endswith(f",s={salt},i=4096")
    assert begun.finish(final) == last

    other = Verifier.of(mechanism, "pencils", salt=decoded, iterations=4096)
    with pytest.raises(ScramError):
        Conversation.begin(other, first, server_nonce=server_nonce).finish(final)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[MongoPeer]:
    certificate = Authority.create(tmp_path).issue("mongo")
    with mongo_peer.running(certificate) as started:
        yield started


@pytest.fixture
def client_of(peer: MongoPeer, tmp_path: Path) -> Iterator[Any]:
    opened: list[Any] = []

    def client_of(username: str, password: str, mechanism: str = "SCRAM-SHA-256") -> Any:
        client: Any = pymongo.MongoClient(
            "localhost",
            peer.port,
            username=username,
            password=password,
            authMechanism=mechanism,
            directConnection=True,
            tls=True,
            tlsCAFile=str(tmp_path / "ca.crt"),
            serverSelectionTimeoutMS=30_000,
        )
        opened.append(client)
        return client

    yield client_of
    for client in opened:
        client.close()


def code_of(client: Any, database: str, *command: Any, **fields: Any) -> int:
    with pytest.raises(OperationFailure) as failed:
        client[database].command(*command, **fields)
    return int(failed.value.code or 0)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_pymongo_logs_in_by_both_mechanisms(client_of: Any, mechanism: str) -> None:
    root = client_of(mongo_peer.ROOT, mongo_peer.ROOT_PASSWORD)
    for name, password in (("a=b,c", "p:/@"), ("ö", "I\u00adX ö"), ("n", "x" * 500)):
        root.admin.command("createUser", name, pwd=password, roles=[])
        known = client_of(name, password, mechanism)
        assert known.admin.command("ping")["ok"] == 1
        told = known.admin.command("usersInfo", name)["users"][0]
        assert set(told["mechanisms"]) == {"SCRAM-SHA-1", "SCRAM-SHA-256"}
        assert code_of(client_of(name, password + "x", mechanism), "admin", "ping") == 18
    assert code_of(client_of("nobody", "x", mechanism), "admin", "ping") == 18


def test_users_are_managed_as_the_manual_says(client_of: Any) -> None:
    root = client_of(mongo_peer.ROOT, mongo_peer.ROOT_PASSWORD)
    shop = root["shop"]
    shop.command(
        "createUser",
        "orders",
        pwd="first",
        roles=["readWrite", {"role": "read", "db": "stock"}],
        customData={"team": "shop"},
        authenticationRestrictions=[{"clientSource": ["127.0.0.1"]}],
        mechanisms=["SCRAM-SHA-256"],
    )

    told = shop.command("usersInfo", {"user": "orders", "db": "shop"})["users"][0]
    assert told["roles"] == [{"role": "readWrite", "db": "shop"}, {"role": "read", "db": "stock"}]
    assert told["customData"] == {"team": "shop"}
    assert told["mechanisms"] == ["SCRAM-SHA-256"]
    assert "authenticationRestrictions" not in told
    more = shop.command("usersInfo", "orders", showAuthenticationRestrictions=True)["users"][0]
    assert more["authenticationRestrictions"] == [{"clientSource": ["127.0.0.1"]}]

    shop.command("grantRolesToUser", "orders", roles=[{"role": "dbAdmin", "db": "shop"}])
    shop.command("updateUser", "orders", roles=["read"])
    told = shop.command("usersInfo", "orders")["users"][0]
    assert told["roles"] == [{"role": "read", "db": "shop"}]
    assert shop.command("usersInfo", "nobody")["users"] == []

    assert code_of(root, "shop", "createUser", "orders", pwd="x", roles=[]) == 51003
    assert code_of(root, "shop", "updateUser", "nobody", pwd="x") == 11
    assert code_of(root, "shop", "dropUser", "nobody") == 11
    assert code_of(root, "shop", "updateUser", "orders", roles=["unheardOf"]) == 31
    assert code_of(root, "shop", "updateUser", "orders", unheardOf=1) == 40415
    assert code_of(root, "shop", "updateUser", "orders") == 2
    assert code_of(root, "shop", "unheardOf") == 59
    # The manual, on digestPassword: with SCRAM-SHA-256 only the server may digest.
    assert code_of(root, "shop", "updateUser", "orders", pwd="x", digestPassword=False) == 2


def test_a_connection_lives_as_long_as_its_user_does(client_of: Any) -> None:
    root = client_of(mongo_peer.ROOT, mongo_peer.ROOT_PASSWORD)
    root.admin.command("createUser", "app", pwd="first", roles=[{"role": "readWrite", "db": "d"}])
    app = client_of("app", "first")
    app["d"]["things"].insert_one({"x": 1})

    root.admin.command("updateUser", "app", pwd="second")
    assert app["d"]["things"].find_one()["x"] == 1

    root.admin.command("updateUser", "app", roles=[])
    assert code_of(app, "d", "find", "things") == 13

    root.admin.command("dropUser", "app")
    root.admin.command("createUser", "app", pwd="first", roles=[{"role": "readWrite", "db": "d"}])
    assert code_of(app, "d", "find", "things") == 13


def test_only_who_may_changes_a_user(client_of: Any) -> None:
    root = client_of(mongo_peer.ROOT, mongo_peer.ROOT_PASSWORD)
    root.admin.command("createUser", "plain", pwd="x", roles=[])
    root.admin.command("createUser", "self", pwd="x", roles=["changeOwnPasswordCustomDataRole"])
    root.admin.command("createUser", "boss", pwd="x", roles=["userAdminAnyDatabase"])

    assert code_of(client_of("plain", "x"), "admin", "updateUser", "plain", pwd="y") == 13
    assert code_of(client_of("self", "x"), "admin", "updateUser", "plain", pwd="y") == 13
    client_of("self", "x").admin.command("updateUser", "self", pwd="y")
    client_of("boss", "x").admin.command("updateUser", "plain", pwd="y")
    client_of("plain", "y").admin.command("ping")
