"""Servers that ask for more than they should get: nothing leaves, and they are no target."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from canary import Canary
from keyturn.domain.errors import TargetUnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Target
from keyturn.rotators.mysql.rotator import MySQLRotator
from keyturn.testing.rotators import order_of
from servers.certificates import Authority, KeyPair
from servers.mariadb import MariaDBServer
from servers.mariadb_site import MariaDBSite
from servers.rogue_mysql import (
    Peer,
    RogueServer,
    asking_for,
    asking_for_a_file,
    asking_for_more,
    talking_nonsense,
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("rogue"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> KeyPair:
    """The rogue has a good certificate: TLS alone does not save anybody from it."""
    return authority.issue("rogue")


def order(canary: Canary) -> Order:
    values = {"username": SecretValue(b"orders"), "password": SecretValue(canary.make())}
    return order_of(Strategy.SINGLE_USER, "orders", Credential(2, values))


def target(authority: Authority, port: int, canary: Canary, **parameters: object) -> Target:
    return Target(
        {"host": "127.0.0.1", "port": port, **parameters},
        {"username": SecretValue(b"admin"), "password": SecretValue(canary.make())},
        authority.pem,
        timeout=2.0,
    )


async def refused(rotator: MySQLRotator, where: Target, what: Order) -> TargetUnavailableError:
    """Try both logins, the administrator's and that of a probe."""
    with pytest.raises(TargetUnavailableError) as error:
        await rotator.session(where, what).__aenter__()
    own = Target(where.parameters, {}, where.authority, where.timeout)
    with pytest.raises(TargetUnavailableError):
        await rotator.session(own, what).__aenter__()
    return error.value


def rsa_key() -> bytes:
    key = rsa.generate_private_key(65537, 2048).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form)


WITHOUT_TLS = {"tls": {"mode": "disable"}}
ASKING = {
    "clear": asking_for(b"mysql_clear_password"),
    "dialog": asking_for(b"dialog", b"\x04Password: "),
    "old": asking_for(b"mysql_old_password"),
    "sha256": asking_for(b"sha256_password"),
    "unheard": asking_for(b"unheard_of"),
    "no name": asking_for(b""),
    "more": asking_for_more(b"\x04"),
}


@pytest.mark.parametrize("attack", ASKING.values(), ids=ASKING.keys())
async def test_no_other_way_to_log_in_is_gone_along_with(
    rotator: MySQLRotator,
    authority: Authority,
    certificate: KeyPair,
    canary: Canary,
    attack: Callable[[Peer], None],
) -> None:
    with RogueServer(attack, certificate) as rogue:
        await refused(rotator, target(authority, rogue.port, canary), order(canary))

    assert rogue.connections == 2
    assert canary.scan_bytes(bytes(rogue.heard)) == []


@pytest.mark.parametrize("plugin", [b"caching_sha2_password", b"sha256_password"])
async def test_without_tls_no_password_is_encrypted_with_the_servers_own_key(
    rotator: MySQLRotator, authority: Authority, canary: Canary, plugin: bytes
) -> None:
    answers: list[bytes] = []

    def attack(peer: Peer) -> None:
        peer.say(b"\x01\x04")
        answers.append(peer.hear())
        peer.say(b"\x01" + rsa_key())
        answers.append(peer.hear())

    for way in (attack, asking_for(plugin), asking_for_more(rsa_key())):
        with RogueServer(way, plugin=plugin) as rogue:
            where = target(authority, rogue.port, canary, **WITHOUT_TLS)
            await refused(rotator, where, order(canary))
        assert rogue.connections == 2

    assert answers == []


async def test_a_server_without_tls_hears_no_login(
    rotator: MySQLRotator, authority: Authority, canary: Canary
) -> None:
    with RogueServer(asking_for(b"mysql_native_password")) as rogue:
        await refused(rotator, target(authority, rogue.port, canary), order(canary))

    assert rogue.connections == 2
    assert bytes(rogue.heard) == b""


async def test_a_file_that_is_asked_for_does_not_leave(
    rotator: MySQLRotator,
    authority: Authority,
    certificate: KeyPair,
    canary: Canary,
    tmp_path: Path,
) -> None:
    file = tmp_path / "token"
    file.write_bytes(canary.make())
    with RogueServer(asking_for_a_file(str(file)), certificate) as rogue:
        await refused(rotator, target(authority, rogue.port, canary), order(canary))

    assert canary.scan_bytes(bytes(rogue.heard)) == []


NONSENSE = [b"", b"\0", b"\x01", b"\xfc\xff\xff", b"\xff\x15\x04", b"\xff\xff\xff", bytes(99)]


@pytest.mark.parametrize("content", NONSENSE, ids=range(len(NONSENSE)))
async def test_nonsense_makes_the_target_unavailable(
    rotator: MySQLRotator,
    authority: Authority,
    certificate: KeyPair,
    canary: Canary,
    content: bytes,
) -> None:
    for statement in range(4):
        with RogueServer(talking_nonsense(content, statement), certificate) as rogue:
            await refused(rotator, target(authority, rogue.port, canary), order(canary))


async def test_a_server_that_is_silent_is_left_in_time(
    rotator: MySQLRotator, authority: Authority, canary: Canary
) -> None:
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = target(authority, silent.getsockname()[1], canary)
        with pytest.raises(TargetUnavailableError):
            await rotator.session(where, order(canary)).__aenter__()

    assert time.monotonic() - began < 30


async def test_a_server_that_drips_is_left_in_time(
    rotator: MySQLRotator, authority: Authority, canary: Canary
) -> None:
    began = time.monotonic()
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            link, _ = listener.accept()
            with link:
                link.sendall(b"\xff\xff\0\0")
                while not ended.wait(0.2):
                    try:
                        link.sendall(b"\x0a")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        where = target(authority, listener.getsockname()[1], canary)
        with pytest.raises(TargetUnavailableError):
            await rotator.session(where, order(canary)).__aenter__()
        # The connection was cut, and not left to the thread.
        thread.join(10)
        was_cut = not thread.is_alive()
        ended.set()
        thread.join()

    assert was_cut
    assert time.monotonic() - began < 60


class TestCertificates:
    @pytest.fixture
    def elsewhere(self, tmp_path: Path) -> Iterator[MariaDBServer]:
        """A server whose certificate is for another host."""
        with MariaDBServer(Authority.create(tmp_path), hosts=["db.example.org"]) as server:
            yield server

    async def test_another_authority_is_not_trusted(
        self, site: MariaDBSite, rotator: MySQLRotator, authority: Authority, canary: Canary
    ) -> None:
        what = site.first_turn(Strategy.SINGLE_USER, await site.born(Strategy.SINGLE_USER))
        before = site.server.log().count("Connect")
        for trusted in (authority.pem, b""):
            stranger = Target(site.target().parameters, site.target().admin, trusted, 5.0)
            error = await refused(rotator, stranger, what)
            assert "certificate" in error.message

        assert site.server.log().count("Connect") == before

    async def test_a_certificate_of_another_host_is_not_taken(
        self, elsewhere: MariaDBServer, rotator: MySQLRotator
    ) -> None:
        site = MariaDBSite(elsewhere)
        what = site.first_turn(Strategy.SINGLE_USER, await site.born(Strategy.SINGLE_USER))

        error = await refused(rotator, site.target(), what)

        assert "certificate" in error.message

    @pytest.mark.parametrize("authority", [b"no certificate", b"\xff", b"-----BEGIN"])
    async def test_what_is_no_authority_is_said_so(
        self, site: MariaDBSite, rotator: MySQLRotator, authority: bytes
    ) -> None:
        what = site.first_turn(Strategy.SINGLE_USER, await site.born(Strategy.SINGLE_USER))
        broken = Target(site.target().parameters, site.target().admin, authority, 5.0)

        with pytest.raises(TargetUnavailableError, match="authority"):
            await rotator.session(broken, what).__aenter__()

    async def test_without_tls_only_who_says_so(
        self, site: MariaDBSite, rotator: MySQLRotator
    ) -> None:
        current = await site.born(Strategy.SINGLE_USER)
        what = site.first_turn(Strategy.SINGLE_USER, current)

        async with rotator.session(site.target(tls={"mode": "disable"}), what) as session:
            connection = session._connection  # type: ignore[attr-defined]
            assert (await connection.rows("SHOW STATUS LIKE 'Ssl_cipher'"))[0][1] == ""
            assert await session.accepts(current)
        async with rotator.session(site.target(), what) as session:
            connection = session._connection  # type: ignore[attr-defined]
            assert (await connection.rows("SHOW STATUS LIKE 'Ssl_version'"))[0][1] >= "TLSv1.2"
