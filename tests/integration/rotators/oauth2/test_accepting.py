"""How it is told whether tokens are accepted, and how old ones end."""

from typing import Any

import pytest

from keyturn.domain.errors import KeyturnError, TargetRefusedError, TargetUnavailableError
from keyturn.rotators.interface import Credential, Target
from keyturn.rotators.oauth2.rotator import OAuth2Rotator
from keyturn.testing.issuing_rotators import order_of
from servers.authorization_server import Running
from servers.certificates import Authority
from servers.oauth2_clients import (
    Client,
    accepted,
    changed,
    issued,
    retire,
    target_of,
    text,
)

PAST, FUTURE = "2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z"


@pytest.fixture
def asked(server: Running, authority: Authority) -> Target:
    return target_of(server, authority, introspectionEndpoint=server.url("introspection"))


@pytest.fixture
def tried(server: Running, authority: Authority) -> Target:
    return target_of(server, authority, testURL=server.url("resource"))


@pytest.fixture
def ended(server: Running, authority: Authority) -> Target:
    return target_of(
        server,
        authority,
        introspectionEndpoint=server.url("introspection"),
        revocationEndpoint=server.url("revocation"),
    )


# By introspection


async def test_the_server_is_asked_about_the_refresh_token(
    server: Running, asked: Target, current: Credential
) -> None:
    assert await accepted(asked, current)
    assert server.calls()[-1]["form"] == {
        "token": text(current, "refreshToken"),
        "token_type_hint": "refresh_token",
    }

    pending = await issued(asked, current)
    assert not await accepted(asked, current, pending)
    assert await accepted(asked, pending, pending, current)
    assert not await accepted(asked, changed(current, refreshToken="another"))


@pytest.mark.parametrize(
    "answer",
    [
        {"body": "{}"},
        {"body": '{"active": "true"}'},
        {"body": '{"active": 1}'},
        {"body": "true"},
        {"status": 401, "body": '{"error": "invalid_client"}'},
        {"status": 403, "body": '{"active": false}'},
        {"status": 404},
        {"status": 302, "headers": {"Location": "https://127.0.0.1:1/"}},
    ],
    ids=str,
)
async def test_an_introspection_that_says_nothing_is_no_refusal(
    server: Running, asked: Target, current: Credential, answer: dict[str, Any]
) -> None:
    server.behave(answers={"introspection": answer})

    with pytest.raises(TargetUnavailableError):
        await accepted(asked, current)


# By a try


def test_a_try_needs_to_know_the_end_of_the_access_token(tried: Target, asked: Target) -> None:
    required = OAuth2Rotator().traits(tried.parameters).required

    assert required == {"refreshToken", "accessToken", "expiresAt"}
    assert OAuth2Rotator().traits(asked.parameters).required == {"refreshToken"}


@pytest.mark.parametrize(("ends", "opens"), [(FUTURE, False), ("", False), (PAST, True)])
async def test_an_access_token_that_is_refused_counts_as_long_as_it_lives(
    server: Running, tried: Target, current: Credential, ends: str, opens: bool
) -> None:
    server.tell(end=text(current, "refreshToken"))
    known = changed(current, expiresAt=ends)

    assert await accepted(tried, known) is opens
    # One that is over is not even sent.
    assert [call["name"] for call in server.calls()] == ([] if ends == PAST else ["resource"])


@pytest.mark.parametrize("status", [302, 403, 404, 429, 500])
async def test_a_try_that_says_nothing_is_no_refusal(
    server: Running, tried: Target, current: Credential, status: int
) -> None:
    server.behave(answers={"resource": {"status": status}})

    with pytest.raises(TargetUnavailableError, match=str(status)):
        await accepted(tried, current)


async def test_an_access_token_that_opens_does_not_speak_for_a_spent_refresh_token(
    tried: Target, current: Credential
) -> None:
    """Else a rotation that is given up would keep the spent one and drop the good one."""
    pending = await issued(tried, current)

    assert not await accepted(tried, current, pending)
    assert await accepted(tried, pending, pending, current)


# By trust


async def test_where_nobody_can_be_asked_the_newest_is_trusted(
    server: Running, target: Target, current: Credential
) -> None:
    pending = await issued(target, current)
    server.calls()

    assert await accepted(target, current)
    assert await accepted(target, pending, pending, current)
    assert not await accepted(target, current, pending)
    assert server.calls() == []


async def test_a_spent_token_cannot_be_set_again(target: Target, current: Credential) -> None:
    pending = await issued(target, current)

    async with OAuth2Rotator().session(target, order_of(pending, current)) as session:
        with pytest.raises(TargetRefusedError, match="must authorise anew"):
            await session.set(current)


# How old ones end


async def test_nothing_is_revoked_unless_the_administrator_says_where(
    server: Running, asked: Target, current: Credential
) -> None:
    server.behave(grace=9)
    pending = await issued(asked, current)
    server.calls()

    await retire(asked, current, pending)
    assert server.calls() == []


async def test_a_token_that_the_server_ended_itself_is_not_revoked(
    server: Running, ended: Target, current: Credential
) -> None:
    """Its revocation would end the grant, as this server does."""
    pending = await issued(ended, current)
    server.calls()

    await retire(ended, current, pending)
    assert [call["name"] for call in server.calls()] == ["introspection"]
    assert await accepted(ended, pending)


async def test_a_token_that_stays_is_not_revoked(
    server: Running, ended: Target, current: Credential
) -> None:
    server.behave(rotates=False)
    pending = await issued(ended, current)
    server.calls()

    await retire(ended, current, pending)
    assert server.calls() == []


async def test_a_token_that_is_still_active_is_revoked_once(
    server: Running, ended: Target, current: Credential
) -> None:
    server.behave(grace=9, revokes_grant=False)
    pending = await issued(ended, current)
    server.calls()

    for _ in range(2):
        await retire(ended, current, pending)
    revoked = [call["form"] for call in server.calls() if call["name"] == "revocation"]
    assert revoked == [{"token": text(current, "refreshToken"), "token_type_hint": "refresh_token"}]
    assert not await accepted(ended, current, pending)
    assert await accepted(ended, pending)


async def test_a_server_that_ends_the_grant_instead_is_told_of(
    server: Running, ended: Target, current: Credential
) -> None:
    server.behave(grace=9, revokes_grant=True)
    pending = await issued(ended, current)

    with pytest.raises(TargetRefusedError, match="take revocationEndpoint out"):
        await retire(ended, current, pending)


@pytest.mark.parametrize(
    ("status", "error"), [(503, TargetUnavailableError), (400, TargetRefusedError)]
)
async def test_a_revocation_that_is_refused_is_told_of(
    server: Running, ended: Target, current: Credential, status: int, error: type[KeyturnError]
) -> None:
    server.behave(grace=9)
    pending = await issued(ended, current)
    body = '{"error": "unsupported_token_type"}'
    server.behave(grace=9, answers={"revocation": {"status": status, "body": body}})

    with pytest.raises(error):
        await retire(ended, current, pending)


async def test_two_grants_do_not_touch_each_other(
    server: Running, ended: Target, current: Credential
) -> None:
    other = Client(server).granted()
    pending = await issued(ended, current)

    await retire(ended, current, pending)
    assert await accepted(ended, other)
