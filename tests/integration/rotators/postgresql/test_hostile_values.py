"""Names and passwords of any text: only the user that is meant changes, the log says nothing."""

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from canary import Canary
from keyturn.domain.errors import TargetRefusedError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential
from keyturn.rotators.postgresql.rotator import PostgreSQLRotator
from servers.certificates import Authority
from servers.postgresql import PostgreSQLServer
from servers.postgresql_site import PostgreSQLSite, credential, make_password, order, username_of

NAMES = (
    "app'; --",
    'app"; DROP ROLE victim; --',
    "app\\",
    "%s",
    "%(name)s {} {0}",
    "app host=trap.invalid sslmode=disable",
    "' options='-c role=postgres",
    "Grüße 東京 🐘",
    " ",
    "\n\t",
    "$$ $user$",
    "x" * 57,
    "é" * 28,
)

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def state(server: PostgreSQLServer) -> dict[str, tuple[Any, ...]]:
    rows = server.query("SELECT rolname, oid, to_jsonb(pg_authid) FROM pg_authid")
    return {name: (oid, found) for name, oid, found in rows}


def rotate(site: PostgreSQLSite, name: str, password: str) -> Credential:
    """Make a user with a hostile name, and rotate it by two users that alternate."""
    site.make_role(name, make_password())
    site.entrust(name)
    pending = credential(2, f"{name}_clone", password)
    what = order(Strategy.ALTERNATING_USERS, name, pending)

    async def turn() -> None:
        async with PostgreSQLRotator().session(site.target(), what) as session:
            await session.set(pending)
            assert await session.accepts(pending)
            assert not await session.accepts(credential(3, f"{name}_clone", f"{password}x"))
            await session.set(credential(2, name, password))
            assert await session.accepts(credential(2, name, password))
            await session.retire(pending, [])
            assert not await session.accepts(pending)

    asyncio.run(turn())
    return pending


@pytest.mark.parametrize("name", NAMES)
def test_only_the_user_that_is_meant_changes(site: PostgreSQLSite, name: str) -> None:
    before = state(site.server)

    rotate(site, name, "it's \"a\" \\ %s {} password = 'x' host=trap.invalid Ω")

    after = state(site.server)
    assert after.pop(name)
    assert after.pop(f"{name}_clone")
    assert after == before
    site.server.run(sql.SQL("DROP ROLE {}, {}").format(*map(sql.Identifier, named(name))))


def named(name: str) -> tuple[str, str]:
    return name, f"{name}_clone"


@settings(max_examples=40)
@given(name=TEXT.filter(lambda name: len(name.encode()) <= 57), password=TEXT)
def test_whatever_the_text(shared_site: PostgreSQLSite, name: str, password: str) -> None:
    site = shared_site
    if name.startswith("pg_") or name in ("none", "public") or name in state(site.server):
        return
    before = state(site.server)

    rotate(site, name, password)

    after = state(site.server)
    assert {role for role in after if after[role] != before.get(role)} == set(named(name))
    site.server.run(sql.SQL("DROP ROLE {}, {}").format(*map(sql.Identifier, named(name))))


@pytest.fixture(scope="module")
def shared_site(server: PostgreSQLServer) -> PostgreSQLSite:
    return PostgreSQLSite(server)


@pytest.mark.parametrize("base", ["x" * 58, "é" * 30, "a\0b", ""])
async def test_a_name_that_the_server_would_cut_is_refused(site: PostgreSQLSite, base: str) -> None:
    pending = credential(1, base, make_password())

    with pytest.raises(TargetRefusedError, match="63 bytes"):
        async with PostgreSQLRotator().session(
            site.target(), order(Strategy.ALTERNATING_USERS, base, pending)
        ):
            pass


@pytest.mark.parametrize("password", [b"", b"a\0b", b"\xff\xfe"])
async def test_a_password_that_no_server_takes_is_refused_and_never_tried(
    site: PostgreSQLSite, password: bytes
) -> None:
    current = site.user()
    values: Mapping[str, SecretValue] = {
        "username": current.values["username"],
        "password": SecretValue(password),
    }
    pending = Credential(2, values)
    what = order(Strategy.SINGLE_USER, username_of(current), pending, current)

    async with PostgreSQLRotator().session(site.target(), what) as session:
        assert not await session.accepts(pending)
        with pytest.raises(TargetRefusedError, match="no password"):
            await session.set(pending)
        assert await session.accepts(current)
    assert f"{username_of(current)}@postgres FATAL" not in site.server.log()


async def test_a_version_for_another_user_is_neither_set_nor_retired(site: PostgreSQLSite) -> None:
    current, victim = site.user(), site.user()
    what = order(Strategy.ALTERNATING_USERS, username_of(current), victim, current)

    async with PostgreSQLRotator().session(site.target(), what) as session:
        with pytest.raises(TargetRefusedError, match="not about"):
            await session.set(victim)
        with pytest.raises(TargetRefusedError, match="not about"):
            await session.retire(victim, [current])
        assert await session.accepts(victim)


async def test_the_log_at_its_chattiest_holds_no_password(
    authority: Authority, canary: Canary
) -> None:
    with PostgreSQLServer(authority, authority.issue("chatty")) as server:
        site = PostgreSQLSite(server, admin_password=canary.make().decode())
        # What the test itself tells the server is not what is looked for.
        told = len(server.log())
        base, password = "app", canary.make_awkward(48).decode()
        site.make_role(base, make_password())
        site.entrust(base)
        told = len(server.log())
        first = credential(1, base, password)
        second = credential(2, f"{base}_clone", canary.make_awkward(48).decode())
        what = order(Strategy.ALTERNATING_USERS, base, second, first)
        async with PostgreSQLRotator().session(site.target(), what) as session:
            await session.set(first)
            await session.set(second)
            assert await session.accepts(second)
            assert not await session.accepts(credential(3, base, canary.make().decode()))
            # A statement that fails is logged whole, whatever the settings are.
            server.run("ALTER ROLE app SUPERUSER")
            with pytest.raises(TargetRefusedError) as refused:
                await session.set(first)
            server.run("ALTER ROLE app NOSUPERUSER")
            await session.retire(second, [first])
        said = server.log()[told:]
        assert 'ALTER ROLE "app_clone" PASSWORD \'SCRAM-SHA-256$' in said
        assert "42501" in said
        assert canary.scan_bytes(said.encode()) == []
        assert canary.scan_bytes(repr(refused.value).encode()) == []


async def test_the_server_keeps_the_verifier_of_that_very_password(site: PostgreSQLSite) -> None:
    current = site.user()
    pending = credential(2, username_of(current), "pässword Ⅸ")  # Ⅸ becomes IX by SASLprep.
    what = order(Strategy.SINGLE_USER, username_of(current), pending, current)
    async with PostgreSQLRotator().session(site.target(), what) as session:
        await session.set(pending)

    ((kept,),) = site.server.query(
        "SELECT rolpassword FROM pg_authid WHERE rolname = %s", (username_of(current),)
    )
    found = re.fullmatch(r"SCRAM-SHA-256\$(\d+):(.+)\$(.+):(.+)", kept)
    assert found is not None
    salted = hashlib.pbkdf2_hmac(
        "sha256", "pässword IX".encode(), base64.b64decode(found[2]), int(found[1])
    )
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    assert base64.b64encode(hashlib.sha256(client_key).digest()).decode() == found[3]
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    assert base64.b64encode(server_key).decode() == found[4]
