"""What is sent to a token endpoint, what comes back, and what is made of it."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyturn.domain.errors import (
    InvalidParameterError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.rotators.interface import Credential, Target
from servers.authorization_server import Running
from servers.certificates import Authority
from servers.oauth2_clients import accepted, changed, issued, target_of, text


async def test_a_server_that_rotates_gives_a_new_refresh_token_and_ends_the_old_one(
    server: Running, target: Target, current: Credential
) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    pending = await issued(target, current)

    ends = datetime.fromisoformat(text(pending, "expiresAt"))
    assert before + timedelta(hours=1) <= ends <= datetime.now(UTC) + timedelta(hours=1)
    assert text(pending, "refreshToken") != text(current, "refreshToken")
    assert text(pending, "accessToken") != text(current, "accessToken")
    with pytest.raises(TargetRefusedError):
        await issued(target, current)


async def test_where_no_new_refresh_token_comes_the_old_one_stays(
    server: Running, target: Target, current: Credential
) -> None:
    server.behave(rotates=False)
    pending = await issued(target, current)

    assert text(pending, "refreshToken") == text(current, "refreshToken")
    assert text(pending, "accessToken") != text(current, "accessToken")
    assert await accepted(target, current, pending=pending)


async def test_a_server_that_tells_no_lifetime_leaves_the_end_empty(
    server: Running, target: Target, current: Credential
) -> None:
    server.behave(expires_in=None)

    assert text(await issued(target, current), "expiresAt") == ""


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
async def test_the_client_authenticates_as_it_was_told(
    server: Running, authority: Authority, current: Credential, method: str
) -> None:
    server.behave(method)
    target = target_of(server, authority, clientAuthentication=method)
    client = changed(current, clientSecret=None) if method == "none" else current

    await issued(target, client)
    sent = server.calls()[-1]
    assert sent["name"] == "token"
    fields = {"grant_type", "refresh_token"}
    extra = {"client_secret_post": {"client_id", "client_secret"}, "none": {"client_id"}}
    assert sent["form"].keys() == fields | extra.get(method, set())


async def test_scope_and_resource_are_sent_where_they_are_given(
    server: Running, authority: Authority, current: Credential
) -> None:
    target = target_of(server, authority, scope="read write", resource="https://api.example.com/a")

    await issued(target, current)
    form = server.calls()[-1]["form"]
    assert (form["scope"], form["resource"]) == ("read write", "https://api.example.com/a")


async def test_the_client_may_be_that_of_the_administrator(
    server: Running, target: Target, current: Credential
) -> None:
    admin = {name: current.values[name] for name in ("clientId", "clientSecret")}
    bare = changed(current, clientId=None, clientSecret=None)

    assert text(await issued(replace(target, admin=admin), bare), "accessToken")
    with pytest.raises(InvalidParameterError, match="no clientId"):
        await issued(target, bare)


# Refusals


async def test_a_spent_refresh_token_needs_a_person(
    target: Target, current: Credential, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pending = await issued(target, current)

    with pytest.raises(TargetRefusedError, match="must authorise anew") as refused:
        await issued(target, current)
    seen = refused.value.message + caplog.text
    for credential in (current, pending):
        for name in ("refreshToken", "accessToken", "clientSecret"):
            assert text(credential, name) not in seen


async def test_a_wrong_client_secret_is_told_by_its_code(
    target: Target, current: Credential
) -> None:
    with pytest.raises(TargetRefusedError, match="invalid_client"):
        await issued(target, changed(current, clientSecret="another"))


@pytest.mark.parametrize(
    "code",
    ["invalid_request", "unauthorized_client", "unsupported_grant_type", "invalid_scope"],
)
async def test_a_code_of_the_standard_is_a_refusal(
    server: Running, target: Target, current: Credential, code: str
) -> None:
    body = json.dumps({"error": code, "error_description": "c4n4ry", "error_uri": "c4n4ry"})
    server.behave(answers={"token": {"status": 400, "body": body}})

    with pytest.raises(TargetRefusedError, match=code) as refused:
        await issued(target, current)
    assert "c4n4ry" not in refused.value.message


# What is no answer

FINE: dict[str, Any] = {"access_token": "a", "token_type": "Bearer"}
DOUBTFUL: dict[str, dict[str, Any]] = {
    "another code": {"status": 400, "body": json.dumps({"error": "c4n4ry"})},
    "no code": {"status": 400, "body": "{}"},
    "no JSON": {"status": 400, "body": "c4n4ry"},
    "too many": {"status": 429, "body": json.dumps({"error": "invalid_request"})},
    "an error of its own": {"status": 500, "body": json.dumps({"error": "invalid_grant"})},
    "an error of a proxy": {
        "status": 502,
        "body": "<html>",
        "headers": {"Content-Type": "text/html"},
    },
    "a redirect": {"status": 307, "headers": {"Location": "https://127.0.0.1:1/"}},
    "created": {"status": 201, "body": json.dumps(FINE)},
    "an empty body": {"body": ""},
    "a list": {"body": "[]"},
    "no object": {"body": "null"},
    "a page": {"body": json.dumps(FINE), "headers": {"Content-Type": "text/html"}},
    "an error with 200": {"body": json.dumps({"error": "bad_refresh_token"})},
    "no access token": {"body": json.dumps({"token_type": "Bearer"})},
    "an empty access token": {"body": json.dumps({**FINE, "access_token": ""})},
    "a number for a token": {"body": json.dumps({**FINE, "access_token": 5})},
    "a token of two lines": {"body": json.dumps({**FINE, "access_token": "a\r\nHost: b"})},
    "a token outside ASCII": {"body": json.dumps({**FINE, "access_token": "ä"})},
    "a huge token": {"body": json.dumps({**FINE, "access_token": "a" * 20_000})},
    "a huge body": {"body": json.dumps({**FINE, "more": "a" * 70_000})},
    "a refresh token that is none": {"body": json.dumps({**FINE, "refresh_token": {"a": 1}})},
    "no type": {"body": json.dumps({"access_token": "a"})},
    "a type that needs a key": {"body": json.dumps({**FINE, "token_type": "DPoP"})},
    "a name twice": {"body": '{"access_token": "a", "access_token": "b", "token_type": "bearer"}'},
    "deep": {"body": "[" * 60_000},
}


@pytest.mark.parametrize("answer", DOUBTFUL.values(), ids=DOUBTFUL)
async def test_what_says_nothing_of_the_token_is_no_refusal(
    server: Running, target: Target, current: Credential, answer: dict[str, Any]
) -> None:
    server.behave(answers={"token": answer})

    with pytest.raises(TargetUnavailableError) as doubted:
        await issued(target, current)
    assert "c4n4ry" not in doubted.value.message


async def test_a_certificate_of_somebody_else_gets_no_token(
    server: Running, target: Target, current: Credential, tmp_path: Any
) -> None:
    other = Authority.create(tmp_path, "other")

    with pytest.raises(TargetUnavailableError, match="not trusted"):
        await issued(replace(target, authority=other.pem), current)
    assert server.calls() == []


async def test_a_private_address_gets_no_token(
    server: Running, target: Target, current: Credential
) -> None:
    public = {**target.parameters, "allowPrivateAddresses": False}

    with pytest.raises(TargetUnavailableError, match="private address"):
        await issued(replace(target, parameters=public), current)
    assert server.calls() == []


async def test_what_is_no_text_is_refused(target: Target, current: Credential) -> None:
    broken = {**current.values, "refreshToken": SecretValue(b"\xff")}

    with pytest.raises(TargetRefusedError, match="no text"):
        await issued(target, Credential(1, broken))


# The reply that is lost


async def test_a_lost_reply_of_a_server_without_grace_ends_the_grant(
    server: Running, target: Target, current: Credential
) -> None:
    """What no client can heal, and why docs/rotators-oauth2.md says so."""
    server.behave(drops=["token"])
    with pytest.raises(TargetUnavailableError):
        await issued(target, current)

    server.behave()
    with pytest.raises(TargetRefusedError, match="must authorise anew"):
        await issued(target, current)


@pytest.mark.parametrize("settings", [{"grace": 1}, {"rotates": False}], ids=str)
async def test_a_lost_reply_does_no_harm_where_the_server_is_lenient(
    server: Running, target: Target, current: Credential, settings: dict[str, Any]
) -> None:
    server.behave(drops=["token"], **settings)
    with pytest.raises(TargetUnavailableError):
        await issued(target, current)

    server.behave(**settings)
    pending = await issued(target, current)
    assert text(await issued(target, pending), "accessToken")


async def test_a_call_is_made_once(server: Running, target: Target, current: Credential) -> None:
    """Nobody below the engine repeats it: a second use of the token would be taken for a theft."""
    server.behave(drops=["token"])

    with pytest.raises(TargetUnavailableError):
        await issued(target, current)
    assert [call["name"] for call in server.calls()] == ["metadata", "token"]
