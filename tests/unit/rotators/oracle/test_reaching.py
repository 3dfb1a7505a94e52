"""What python-oracledb does before a login, against listeners that are no database."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from keyturn.domain.errors import TargetUnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.logins import Login
from keyturn.rotators.oracle.address import Address
from keyturn.rotators.oracle.connection import Server, connected
from keyturn.rotators.oracle.names import User
from keyturn.rotators.sql import tls_context
from servers.certificates import Authority, KeyPair

UNAVAILABLE = TargetUnavailableError


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@contextmanager
def listener(certificate: KeyPair | None) -> Iterator[tuple[int, list[bytes]]]:
    """Listen, with TLS if there is a certificate; keep the first bytes of each client."""
    heard: list[bytes] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if certificate:
        context.load_cert_chain(certificate.certificate, certificate.key)

    def serve() -> None:
        while True:
            try:
                link, _ = server.accept()
            except OSError:
                return
            link.settimeout(5)
            with link:
                try:
                    if certificate:
                        link = context.wrap_socket(link, server_side=True)
                    with link:
                        heard.append(link.recv(65536))
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], heard
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


async def log_in(port: int, authority: bytes) -> None:
    address = Address.read({"host": "localhost", "port": port, "serviceName": "pdb1"})
    server = Server(address, tls_context(authority, has_tls=address.has_tls), 2.0)
    user = User.of(Login("app", SecretValue(b"password")))
    async with connected(server, user):
        raise AssertionError("a listener lets nobody in")


async def test_the_server_that_is_meant_hears_the_client(authority: Authority) -> None:
    with listener(authority.issue("oracle")) as (port, heard), pytest.raises(UNAVAILABLE):
        await log_in(port, authority.pem)

    assert heard[0]


async def test_a_server_of_another_authority_hears_nothing(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = Authority.create(tmp_path_factory.mktemp("stranger"))
    for trusted in (stranger.pem, b""):
        with listener(authority.issue("oracle")) as (port, heard), pytest.raises(UNAVAILABLE):
            await log_in(port, trusted)
        assert heard in ([], [b""])


async def test_a_server_of_another_name_hears_nothing(authority: Authority) -> None:
    elsewhere = authority.issue("elsewhere", ["db.example.org"])
    with listener(elsewhere) as (port, heard), pytest.raises(UNAVAILABLE):
        await log_in(port, authority.pem)

    assert heard in ([], [b""])


async def test_a_server_without_tls_hears_no_connect(authority: Authority) -> None:
    with listener(None) as (port, heard), pytest.raises(UNAVAILABLE):
        await log_in(port, authority.pem)

    assert not any(b"pdb1" in said for said in heard)
