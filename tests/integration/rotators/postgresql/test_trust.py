"""A password goes to the server that is meant, as a SCRAM proof, once; nothing else is read."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg import pq, sql

from canary import Canary
from keyturn.domain.errors import TargetUnavailableError
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Target
from keyturn.rotators.postgresql.connecting import Link
from keyturn.rotators.postgresql.failures import LoginRefusedError
from keyturn.rotators.postgresql.logins import Login
from keyturn.rotators.postgresql.rotator import PostgreSQLRotator
from keyturn.rotators.postgresql.settings import Settings
from listening import talking
from servers.certificates import Authority, KeyPair
from servers.postgresql import PostgreSQLServer
from servers.postgresql_site import PostgreSQLSite, credential, order, password_of, username_of

CLEARTEXT = struct.pack("!cii", b"R", 8, 3)
MD5 = struct.pack("!cii4s", b"R", 12, 5, b"salt")
NO_QUESTION = struct.pack("!cii", b"R", 8, 0) + struct.pack("!cic", b"Z", 5, b"I")
SCRAM_WITHOUT_BINDING = struct.pack("!cii", b"R", 23, 10) + b"SCRAM-SHA-256\0\0"


def alone(who: Credential) -> Order:
    return order(Strategy.SINGLE_USER, username_of(who), None, who)


class FakeServer:
    """Speaks as much of the protocol as it takes to ask for a password, and keeps the answer."""

    def __init__(self, question: bytes, certificate: KeyPair | None) -> None:
        self.question = question
        self.certificate = certificate
        self.startup = b""
        self.answer: bytes | None = None
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.certificate is not None:
                await reader.readexactly(8)
                writer.write(b"S")
                await writer.drain()
                context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                context.load_cert_chain(self.certificate.certificate, self.certificate.key)
                await writer.start_tls(context)
            (length,) = struct.unpack("!i", await reader.readexactly(4))
            self.startup = await reader.readexactly(length - 4)
            writer.write(self.question)
            await writer.drain()
            self.answer = await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            self.answer = self.answer or b""
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with talking(self.handle) as self.port:
            yield


@pytest.mark.parametrize("has_tls", [True, False])
@pytest.mark.parametrize(
    "question",
    [CLEARTEXT, MD5, NO_QUESTION, SCRAM_WITHOUT_BINDING],
    ids=["cleartext", "MD5", "no question", "SCRAM of a proxy"],
)
async def test_a_server_that_asks_in_another_way_gets_no_answer(
    authority: Authority, canary: Canary, question: bytes, has_tls: bool
) -> None:
    if question == SCRAM_WITHOUT_BINDING and not has_tls:
        question = CLEARTEXT + CLEARTEXT  # Without TLS there is nothing to bind to.
    who = credential(1, "app", canary.make().decode())
    fake = FakeServer(question, authority.issue("fake") if has_tls else None)
    async with fake.running():
        mode = "verifyFull" if has_tls else "disable"
        parameters = {"host": "127.0.0.1", "port": fake.port, "tls": {"mode": mode}}
        target = Target(parameters, {}, authority.pem, 5.0)

        with pytest.raises(TargetUnavailableError, match=r"scram-sha-256"):
            async with PostgreSQLRotator().session(target, alone(who)):
                pass

    assert b"app" in fake.startup
    assert fake.answer in (None, b"")
    assert canary.scan_bytes(fake.startup + (fake.answer or b"")) == []


async def test_a_server_with_another_authority_or_name_hears_of_nobody(
    authority: Authority, tmp_path: Path
) -> None:
    certificate = authority.issue("elsewhere", ["pg.example"])
    with PostgreSQLServer(authority, certificate) as server:
        site = PostgreSQLSite(server)
        who = site.user()
        other = Authority.create(tmp_path)
        right_name = site.target(has_admin=False, host="127.0.0.1")
        for target in (right_name, replace(right_name, authority=other.pem)):
            with pytest.raises(TargetUnavailableError, match="certificate"):
                async with PostgreSQLRotator().session(target, alone(who)):
                    pass
        with pytest.raises(TargetUnavailableError):
            # Nor does the system trust an authority of these tests.
            async with PostgreSQLRotator().session(replace(right_name, authority=b""), alone(who)):
                pass

        heard = [line for line in server.log().splitlines() if username_of(who) in line]
        assert [line for line in heard if "postgres@postgres" not in line] == []


async def test_a_server_without_tls_hears_of_nobody(authority: Authority) -> None:
    with PostgreSQLServer(authority, authority.issue("plain"), has_tls=False) as server:
        site = PostgreSQLSite(server)
        who = site.user()
        target = site.target(has_admin=False, tls={"mode": "verifyFull"})

        with pytest.raises(TargetUnavailableError):
            async with PostgreSQLRotator().session(target, alone(who)):
                pass

        assert f"{username_of(who)}@" not in server.log()


async def test_a_refused_password_is_sent_once_though_the_host_has_two_addresses(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"listen_addresses": "127.0.0.1,127.0.0.2"}
    certificate = authority.issue("twice", ["pg.example"])
    with PostgreSQLServer(authority, certificate, settings=settings) as server:
        site = PostgreSQLSite(server)
        who = site.user()
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        found = [(*kind, (address, server.port)) for address in ("127.0.0.1", "127.0.0.2")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        wrong = site.renewed(who, 2)

        target = site.target(host="pg.example")
        async with PostgreSQLRotator().session(target, alone(who)) as session:
            assert await session.accepts(who)
            assert not await session.accepts(wrong)

        assert server.log().count("28P01: password authentication failed") == 1


@pytest.mark.parametrize(
    ("language", "words"),
    [("C", "password authentication failed"), ("de", "Passwort-Authentifizierung")],
)
async def test_a_refusal_is_told_from_a_server_that_has_no_room(
    authority: Authority, language: str, words: str
) -> None:
    # The library behind the messages leaves those of the locale C as they are.
    settings = {"lc_messages": "C.UTF-8"}
    certificate = authority.issue("full")
    with PostgreSQLServer(authority, certificate, settings=settings, language=language) as server:
        site = PostgreSQLSite(server)
        who = site.user("CONNECTION LIMIT 1")
        name = sql.Identifier(username_of(who))
        async with PostgreSQLRotator().session(site.target(), alone(who)) as session:
            assert not await session.accepts(site.renewed(who, 2))
            assert not await session.accepts(credential(3, "nobody", "x"))
            assert words in server.log()
            with (
                server.log_in(username_of(who), password_of(who)),
                pytest.raises(TargetUnavailableError, match="53300"),
            ):
                await session.accepts(who)
            server.run(sql.SQL("ALTER ROLE {} NOLOGIN").format(name))
            assert not await session.accepts(who)
            server.run(sql.SQL("ALTER ROLE {} LOGIN").format(name))
            server.run("REVOKE CONNECT ON DATABASE template1 FROM public")
            elsewhere = replace(site.target(), parameters=site.parameters(database="template1"))
        async with PostgreSQLRotator().session(elsewhere, alone(who)) as session:
            with pytest.raises(TargetUnavailableError, match="GRANT CONNECT"):
                await session.accepts(who)
        nowhere = site.target(database="missing")
        async with PostgreSQLRotator().session(nowhere, alone(who)) as session:
            with pytest.raises(TargetUnavailableError, match="3D000"):
                await session.accepts(who)


async def test_who_is_not_let_in_from_here_is_not_taken_for_refused(authority: Authority) -> None:
    access = ["hostssl all +apps 127.0.0.1/32 reject"]
    certificate = authority.issue("barred")
    with PostgreSQLServer(authority, certificate, access=access) as server:
        site = PostgreSQLSite(server)
        server.run("CREATE ROLE apps NOLOGIN")
        who = site.user("IN ROLE apps")
        name = sql.Identifier(username_of(who))
        what = order(Strategy.SINGLE_USER, username_of(who), site.renewed(who, 2), who)

        async with PostgreSQLRotator().session(site.target(), what) as session:
            for one in (who, site.renewed(who, 2)):
                with pytest.raises(TargetUnavailableError, match=r"pg_hba\.conf"):
                    await session.accepts(one)
            server.run(sql.SQL("ALTER ROLE {} NOLOGIN").format(name))
            assert not await session.accepts(who)
        server.run(sql.SQL("ALTER ROLE {} LOGIN").format(name))
        with pytest.raises(TargetUnavailableError, match=r"pg_hba\.conf"):
            async with PostgreSQLRotator().session(site.target(has_admin=False), what):
                pass


async def test_what_libpq_reads_from_elsewhere_is_not_read(
    site: PostgreSQLSite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    who = site.user()
    (tmp_path / ".pgpass").write_text(f"*:*:*:*:{password_of(who)}\n")
    (tmp_path / ".pgpass").chmod(0o600)
    (tmp_path / ".pg_service.conf").write_text(
        f"[trap]\nhost=trap.invalid\nsslkeylogfile={tmp_path}/keys\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    for option in pq.Conninfo.get_defaults():
        if option.envvar is not None:
            monkeypatch.setenv(option.envvar.decode(), "trap")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / ".pgpass"))
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / ".pg_service.conf"))
    # These two know no empty value, and are none of a connection's trust.
    monkeypatch.delenv("PGMINPROTOCOLVERSION", raising=False)
    monkeypatch.delenv("PGMAXPROTOCOLVERSION", raising=False)

    async with PostgreSQLRotator().session(site.target(), alone(who)) as session:
        assert await session.accepts(who)
        assert not await session.accepts(site.renewed(who, 2))
        assert not await session.accepts(credential(3, username_of(who), ""))
    link = Link(Settings.read(site.parameters()), site.target())
    with pytest.raises((TargetUnavailableError, LoginRefusedError)):
        await link.open(Login(username_of(who), ""), "postgres")
    assert not (tmp_path / "keys").exists()


async def test_the_connection_ends_with_what_it_was_told(site: PostgreSQLSite) -> None:
    who = site.user()
    site.server.run(
        sql.SQL("ALTER ROLE {} SET statement_timeout TO 0").format(sql.Identifier(site.admin)),
        sql.SQL("ALTER ROLE {} SET lock_timeout TO 0").format(sql.Identifier(site.admin)),
        sql.SQL("ALTER ROLE {} SET synchronous_commit TO off").format(sql.Identifier(site.admin)),
    )
    wanted = {
        "statement_timeout": "4s",
        "lock_timeout": "3600ms",
        "idle_in_transaction_session_timeout": "4s",
        "synchronous_commit": "on",
        "search_path": "pg_catalog",
        "application_name": "keyturn",
    }

    rotator: Any = PostgreSQLRotator()
    async with rotator.session(site.target(timeout=4.0), alone(who)) as session:
        for name, value in wanted.items():
            found = await session._connection.execute(
                sql.SQL("SHOW {}").format(sql.Identifier(name))
            )
            assert await found.fetchone() == (value,)
