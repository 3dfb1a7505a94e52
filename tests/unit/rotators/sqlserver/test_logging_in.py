"""What python-tds and our TLS do before and after a login, by a peer of their protocol."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from keyturn.domain.errors import TargetUnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Target
from keyturn.rotators.logins import Login
from keyturn.rotators.sql import LoginRefusedError
from keyturn.rotators.sqlserver.address import Address, tls_context
from keyturn.rotators.sqlserver.connection import Connection, Server, connected
from keyturn.rotators.sqlserver.rotator import SQLServerRotator
from keyturn.rotators.sqlserver.session import SQLServerSession
from keyturn.testing.rotators import order_of
from servers.certificates import Authority, KeyPair
from servers.tds_peer import TDSPeer

UNAVAILABLE = TargetUnavailableError
PASSWORD = "canary-of-the-login"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> KeyPair:
    return authority.issue("sqlserver")


def target(port: int, authority: bytes, **parameters: object) -> Target:
    return Target({"host": "127.0.0.1", "port": port, **parameters}, {}, authority, timeout=3.0)


def a_login(version: int, username: str) -> Credential:
    values = {"username": username, "password": PASSWORD}
    return Credential(version, {name: SecretValue(it.encode()) for name, it in values.items()})


class Unlocking:
    """Stands for the administrator's connection: each login is there, and may be set."""

    async def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        return [("master",)] if "sys.sql_logins" in query else []

    async def execute(self, statement: str) -> None:
        """Nothing is to be done."""


async def log_in(where: Target) -> None:
    address = Address.read(where.parameters)
    server = Server(address, tls_context(address, where.authority), where.timeout)
    async with connected(server, Login("orders", SecretValue(PASSWORD.encode()))):
        raise AssertionError("the peer lets nobody in")


@pytest.mark.parametrize("number", [18456, 18470, 18487, 18488, 18452])
async def test_the_server_refuses_a_credential(
    authority: Authority, certificate: KeyPair, number: int
) -> None:
    with TDSPeer(certificate, number) as peer, pytest.raises(LoginRefusedError, match=str(number)):
        await log_in(target(peer.port, authority.pem))

    (login,) = peer.logins
    assert "orders".encode("utf-16-le") in login


@pytest.mark.parametrize("number", [18486, 17809, 4060, 40613])
async def test_what_tells_nothing_of_the_credential_is_no_refusal(
    authority: Authority, certificate: KeyPair, number: int
) -> None:
    with TDSPeer(certificate, number) as peer, pytest.raises(UNAVAILABLE, match=str(number)):
        await log_in(target(peer.port, authority.pem))


async def test_the_other_login_is_not_waited_for_as_its_turn_unlocks_it(
    authority: Authority, certificate: KeyPair
) -> None:
    current, pending = (a_login(number, name) for number, name in ((1, "o"), (2, "o_clone")))
    order = order_of(Strategy.ALTERNATING_USERS, "o", pending, current)
    recording = cast("Connection", Unlocking())
    with TDSPeer(certificate, 18486) as peer:
        where = target(peer.port, authority.pem)
        address = Address.read(where.parameters)
        server = Server(address, tls_context(address, where.authority), where.timeout)
        session = SQLServerSession(server, recording, order, None)

        assert not await session.accepts(pending)
        for other in (current, replace(pending, version=0)):
            with pytest.raises(UNAVAILABLE, match="18486"):
                await session.accepts(other)
        await session.set(pending)
        with pytest.raises(UNAVAILABLE, match="18486"):
            await session.accepts(pending)


@pytest.mark.parametrize("before", [4060, 4064])
async def test_a_database_that_is_closed_to_a_good_login_is_no_refusal(
    authority: Authority, certificate: KeyPair, before: int
) -> None:
    with (
        TDSPeer(certificate, 18456, before=before) as peer,
        pytest.raises(UNAVAILABLE, match="but not into the database"),
    ):
        await log_in(target(peer.port, authority.pem))


async def test_a_server_of_another_authority_hears_no_login(
    certificate: KeyPair, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = Authority.create(tmp_path_factory.mktemp("stranger"))
    for trusted in (stranger.pem, b""):
        with (
            TDSPeer(certificate) as peer,
            pytest.raises(UNAVAILABLE, match="certificate"),
        ):
            await log_in(target(peer.port, trusted))
        assert peer.logins == []


async def test_a_server_of_another_name_hears_no_login(authority: Authority) -> None:
    with (
        TDSPeer(authority.issue("elsewhere", ["db.example.org"])) as peer,
        pytest.raises(UNAVAILABLE, match="certificate"),
    ):
        await log_in(target(peer.port, authority.pem))

    assert peer.logins == []


async def test_a_server_without_tls_hears_no_login(authority: Authority) -> None:
    with TDSPeer(None) as peer, pytest.raises(UNAVAILABLE, match="TLS"):
        await log_in(target(peer.port, authority.pem))

    assert peer.logins == []


async def test_without_tls_only_who_says_so(authority: Authority) -> None:
    with TDSPeer(None) as peer, pytest.raises(TargetUnavailableError):
        await log_in(target(peer.port, authority.pem, tls={"mode": "disable"}))

    assert len(peer.logins) == 1


async def test_nobody_that_may_log_in_makes_the_target_unavailable(
    authority: Authority, certificate: KeyPair
) -> None:
    values = {"username": SecretValue(b"orders"), "password": SecretValue(PASSWORD.encode())}
    order = order_of(Strategy.SINGLE_USER, "orders", Credential(2, values), Credential(1, values))
    with TDSPeer(certificate) as peer:
        own = target(peer.port, authority.pem)
        for where, count in ((own, 2), (replace(own, admin=values), 1)):
            peer.logins.clear()
            with pytest.raises(UNAVAILABLE, match="refuses the login"):
                await SQLServerRotator().session(where, order).__aenter__()
            assert len(peer.logins) == count


async def test_nobody_is_followed_to_another_server(
    authority: Authority, certificate: KeyPair
) -> None:
    with (
        TDSPeer(None) as elsewhere,
        TDSPeer(certificate, route=elsewhere.port) as peer,
        pytest.raises(UNAVAILABLE, match="another one"),
    ):
        await log_in(target(peer.port, authority.pem))

    assert len(peer.logins) == 1
    assert elsewhere.logins == []
