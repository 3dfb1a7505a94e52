"""The webhook rotator against a real endpoint over TLS; see tests/servers/webhook_endpoint.py."""

import asyncio
import json
import logging
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from canary import Canary
from keyturn.domain.errors import (
    InvalidParameterError,
    KeyturnError,
    TargetLockedError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Rotator, Target
from keyturn.rotators.webhook.rotator import WebhookRotator
from keyturn.testing.rotators import RotatorContract, Site, order_of
from servers.certificates import Authority
from servers.webhook_endpoint import CONTRACT, Endpoint, lose_the_reply, serving
from servers.webhook_users import KEY, EndpointSite, credential, target_of

ROTATOR = WebhookRotator()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path)


@pytest.fixture
async def endpoint(authority: Authority) -> AsyncIterator[Endpoint]:
    async with serving(Endpoint([KEY]), authority) as endpoint:
        yield endpoint
        assert endpoint.faults == []


@pytest.fixture
def site(endpoint: Endpoint) -> EndpointSite:
    return EndpointSite(endpoint)


@pytest.fixture
def target(endpoint: Endpoint, authority: Authority) -> Target:
    return target_of(endpoint, authority)


class TestWebhook(RotatorContract):
    @pytest.fixture
    def rotator(self) -> Rotator:
        return ROTATOR

    @pytest.fixture
    def target(self, endpoint: Endpoint, authority: Authority) -> Target:
        return target_of(endpoint, authority)

    @pytest.fixture
    def site(self, endpoint: Endpoint) -> Site:
        return EndpointSite(endpoint)

    @pytest.fixture
    def unreachable(self, target: Target) -> Target:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        url = f"https://localhost:{port}/rotate"
        return replace(target, parameters={**target.parameters, "url": url})


class TestWebhookWhereTwoStandSideBySide(TestWebhook):
    @pytest.fixture
    def target(self, endpoint: Endpoint, authority: Authority) -> Target:
        endpoint.coexists = True
        return target_of(endpoint, authority, coexists=True)


def first_order(pending: Credential, current: Credential | None = None) -> Order:
    return order_of(Strategy.SINGLE_USER, "orders", pending, current)


async def set_once(target: Target, order: Order) -> None:
    assert order.pending is not None
    async with ROTATOR.session(target, order) as session:
        await session.set(order.pending)


# What is sent


async def test_every_step_is_as_the_contract_says(target: Target, endpoint: Endpoint) -> None:
    current, pending = credential(1), credential(2)
    order = replace(first_order(pending, current), previous=credential(1))
    async with ROTATOR.session(target, order) as session:
        await session.set(pending)
        assert await session.accepts(pending)
        await session.retire(current, [pending])

    assert [call["step"] for call in endpoint.calls] == ["set", "test", "retire"]
    assert {call["rotationId"] for call in endpoint.calls} == {str(order.rotation_id)}
    assert [
        sorted(call.keys() & {"pending", "current", "previous"}) for call in endpoint.calls
    ] == [
        ["current", "pending", "previous"],
        [],
        [],
    ]


async def test_each_value_arrives_as_it_is(target: Target, endpoint: Endpoint) -> None:
    awkward = 'a"\\\x00\x1f\x7f\n é € 𐍈 </script>'
    pending = Credential(
        2,
        {
            "username": SecretValue(b"orders"),
            "password": SecretValue(awkward.encode()),
            "key": SecretValue(bytes(range(256))),
        },
    )
    await set_once(target, first_order(pending))

    sent = endpoint.calls[0]["pending"]
    assert sent["values"] == {"username": "orders", "password": awkward}
    assert set(sent["binaryValues"]) == {"key"}
    assert endpoint.raw[0].decode().isascii() is False


async def test_a_step_has_one_id_and_each_test_one_of_its_own(
    target: Target, endpoint: Endpoint
) -> None:
    pending = credential(2)
    order = first_order(pending)
    for _ in range(2):
        await set_once(target, order)
        async with ROTATOR.session(target, order) as session:
            await session.accepts(pending)
    await set_once(target, first_order(pending))

    ids = [call["id"] for call in endpoint.calls]
    assert ids[0] == ids[2]
    assert len({ids[1], ids[3], ids[4], ids[0]}) == 4


async def test_an_endpoint_may_issue_the_values_and_says_the_same_again(
    endpoint: Endpoint, authority: Authority, site: EndpointSite
) -> None:
    target = target_of(endpoint, authority, issues=True, coexists=True)
    current = await site.born(Strategy.SINGLE_USER)
    order = order_of(Strategy.SINGLE_USER, site.base_username(current), None, current)
    assert ROTATOR.traits(target.parameters).issues

    async with ROTATOR.session(target, order) as session:
        first, second = await session.issue(current), await session.issue(current)
        pending = Credential(2, {**current.values, **first})
        assert await session.accepts(pending)

    assert first.keys() == {"password"}
    assert first["password"].matches(second["password"])


async def test_an_endpoint_that_knows_no_retire_is_not_asked_to(
    endpoint: Endpoint, authority: Authority
) -> None:
    target = target_of(endpoint, authority, steps=["set", "test"])
    async with ROTATOR.session(target, first_order(credential(2))) as session:
        await session.retire(credential(1), [credential(2)])

    assert endpoint.calls == []


# Signatures


async def test_both_keys_sign_while_the_key_itself_is_rotated(
    target: Target, endpoint: Endpoint
) -> None:
    keys = {"signingKey": SecretValue(b"n" * 32), "previousSigningKey": SecretValue(KEY)}
    await set_once(replace(target, admin=keys), first_order(credential(2)))
    endpoint.keys = [b"n" * 32]
    await set_once(replace(target, admin=keys), first_order(credential(2)))

    assert len(endpoint.calls) == 2


async def test_a_key_of_standard_webhooks_is_read(target: Target, endpoint: Endpoint) -> None:
    key = SecretValue(b"whsec_a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")
    await set_once(replace(target, admin={"signingKey": key}), first_order(credential(2)))

    assert len(endpoint.calls) == 1


async def test_a_call_with_another_key_is_not_obeyed(target: Target, endpoint: Endpoint) -> None:
    wrong = replace(target, admin={"signingKey": SecretValue(b"w" * 32)})
    with pytest.raises(TargetRefusedError, match="401 BadSignature"):
        await set_once(wrong, first_order(credential(2)))

    assert endpoint.users == {}


@pytest.mark.parametrize(
    ("admin", "why"),
    [
        ({}, "has no signingKey"),
        ({"signingKey": b"short"}, "shorter than 24 bytes"),
        ({"signingKey": b"whsec_a2tr"}, "shorter than 24 bytes"),
        ({"signingKey": b"whsec_" + b"?" * 32}, "is no base64"),
    ],
)
async def test_a_key_that_is_none_sends_nothing(
    target: Target, endpoint: Endpoint, admin: Mapping[str, bytes], why: str
) -> None:
    keys = {name: SecretValue(value) for name, value in admin.items()}
    with pytest.raises(InvalidParameterError, match=why):
        await set_once(replace(target, admin=keys), first_order(credential(2)))

    assert endpoint.raw == []


# Answers


def answer(status: int, text: str = "{}", media_type: str = "application/json") -> Any:
    async def misbehave(request: web.Request, response: web.Response) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type=media_type)

    return misbehave


@pytest.mark.parametrize(
    ("status", "body", "expected", "message"),
    [
        (400, '{"code": "TooShort"}', TargetRefusedError, "refuses set with 400 TooShort"),
        (400, '{"code": "not a code"}', TargetRefusedError, "refuses set with 400"),
        (404, "<html>", TargetRefusedError, "refuses set with 404"),
        (409, '{"code": "Busy"}', TargetLockedError, "409 Busy"),
        (423, "{}", TargetLockedError, "423"),
        (408, "{}", TargetUnavailableError, "408"),
        (425, "{}", TargetUnavailableError, "425"),
        (429, '{"code": "SlowDown"}', TargetUnavailableError, "429 SlowDown"),
        (500, "{}", TargetUnavailableError, "500"),
        (202, "{}", TargetUnavailableError, "202"),
        (206, "{}", TargetUnavailableError, "206"),
    ],
)
async def test_a_status_says_what_became_of_the_step(
    target: Target,
    endpoint: Endpoint,
    status: int,
    body: str,
    expected: type[KeyturnError],
    message: str,
) -> None:
    endpoint.misbehave = answer(status, body)
    with pytest.raises(expected) as caught:
        await set_once(target, first_order(credential(2)))

    assert type(caught.value) is expected
    assert caught.value.message.split(":")[0].endswith(message)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "accepted",
        "[]",
        "{}",
        '{"result": true}',
        '{"result": ["accepted"]}',
        '{"result": "Accepted"}',
        '{"result": "refused", "result": "accepted"}',
        '{"result": "accepted", "n": NaN}',
        '{"result": "accepted"} {}',
        "[" * 60_000,
        '{"n": ' + "9" * 60_000 + "}",
    ],
)
async def test_an_answer_to_a_test_that_says_nothing_is_no_answer(
    target: Target, endpoint: Endpoint, body: str
) -> None:
    endpoint.misbehave = answer(200, body)
    async with ROTATOR.session(target, first_order(credential(2))) as session:
        with pytest.raises(TargetUnavailableError):
            await session.accepts(credential(2))


@pytest.mark.parametrize("status", [201, 204, 400, 401, 403, 404, 500])
async def test_no_status_says_that_a_credential_is_refused(
    target: Target, endpoint: Endpoint, status: int
) -> None:
    endpoint.misbehave = answer(status, '{"result": "refused"}')
    async with ROTATOR.session(target, first_order(credential(2))) as session:
        with pytest.raises(TargetUnavailableError):
            await session.accepts(credential(2))


async def test_a_test_that_answers_as_a_page_of_a_browser_is_no_answer(
    target: Target, endpoint: Endpoint
) -> None:
    endpoint.misbehave = answer(200, '{"result": "accepted"}', "text/html")
    async with ROTATOR.session(target, first_order(credential(2))) as session:
        with pytest.raises(TargetUnavailableError, match="application/json"):
            await session.accepts(credential(2))


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"values": {}}',
        '{"values": {"password": ""}}',
        '{"values": {"password": 7}}',
        '{"values": {"password": "\\ud800"}}',
        '{"values": {"password": "x", "username": "root"}}',
        '{"values": {"username": "root"}}',
        '{"values": ["password"]}',
        '{"values": {}, "binaryValues": {"password": "%"}}',
        '{"values": {"password": "x"}, "binaryValues": {"password": "eA=="}}',
    ],
)
async def test_values_that_were_not_asked_for_are_not_taken(
    endpoint: Endpoint, authority: Authority, body: str
) -> None:
    target = target_of(endpoint, authority, issues=True)
    endpoint.users["orders"] = []
    endpoint.misbehave = answer(200, body)
    async with ROTATOR.session(target, first_order(credential(2))) as session:
        with pytest.raises(TargetUnavailableError):
            await session.issue(credential(1))


async def test_a_binary_value_may_be_issued(endpoint: Endpoint, authority: Authority) -> None:
    target = target_of(endpoint, authority, issues=True)
    endpoint.users["orders"] = []
    endpoint.misbehave = answer(200, '{"values": {}, "binaryValues": {"password": "AP8="}}')
    async with ROTATOR.session(target, first_order(credential(2))) as session:
        issued = await session.issue(credential(1))

    assert bytes(issued["password"].reveal()) == b"\x00\xff"


async def test_a_huge_answer_is_not_read_to_its_end(target: Target, endpoint: Endpoint) -> None:
    endpoint.misbehave = answer(200, "{" + " " * 70_000 + "}")
    with pytest.raises(TargetUnavailableError, match="more than 65536 bytes"):
        await set_once(target, first_order(credential(2)))


async def test_a_slow_answer_is_not_waited_for(target: Target, endpoint: Endpoint) -> None:
    async def drip(request: web.Request, response: web.Response) -> web.StreamResponse:
        dripping = web.StreamResponse()
        await dripping.prepare(request)
        for _ in range(100):
            await dripping.write(b" ")
            await asyncio.sleep(0.1)
        return dripping

    endpoint.misbehave = drip
    with pytest.raises(TargetUnavailableError, match="in time"):
        await set_once(replace(target, timeout=1.0), first_order(credential(2)))


async def test_a_redirect_is_not_followed(
    target: Target, endpoint: Endpoint, authority: Authority
) -> None:
    async def redirect(request: web.Request, response: web.Response) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": other.url})

    async with serving(Endpoint([KEY]), authority) as other:
        endpoint.misbehave = redirect
        with pytest.raises(TargetUnavailableError, match="307"):
            await set_once(target, first_order(credential(2)))
        assert other.raw == []


async def test_a_private_address_is_called_only_where_that_is_allowed(
    target: Target, endpoint: Endpoint
) -> None:
    parameters = {**target.parameters, "allowPrivateAddresses": False}
    with pytest.raises(TargetUnavailableError, match="private address"):
        await set_once(replace(target, parameters=parameters), first_order(credential(2)))

    assert endpoint.raw == []


@pytest.mark.parametrize("step", ["set", "test", "retire", "issue"])
async def test_a_step_whose_reply_was_lost_is_done_once_when_it_is_repeated(
    endpoint: Endpoint, authority: Authority, site: EndpointSite, step: str
) -> None:
    target = target_of(endpoint, authority, issues=True)
    current = await site.born(Strategy.SINGLE_USER)
    pending = site.renewed(current, 2)
    order = first_order(pending, current)

    async def act() -> None:
        async with ROTATOR.session(target, order) as session:
            acts: Mapping[str, Callable[[], Awaitable[Any]]] = {
                "set": lambda: session.set(pending),
                "test": lambda: session.accepts(pending),
                "retire": lambda: session.retire(current, [pending]),
                "issue": lambda: session.issue(current),
            }
            await acts[step]()

    endpoint.misbehave = lose_the_reply
    with pytest.raises(TargetUnavailableError):
        await act()
    after_the_first = json.dumps(endpoint.users)
    endpoint.misbehave = None
    await act()

    assert len(endpoint.calls) == 2
    passwords = endpoint.users[site.base_username(current)]
    assert step == "issue" or json.dumps(endpoint.users) == after_the_first
    assert len(set(passwords)) <= 2


# Secrecy


async def test_no_value_is_in_a_log_or_an_error(
    target: Target, endpoint: Endpoint, canary: Canary, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    users = {"username": SecretValue(b"forbidden"), "password": SecretValue(canary.make())}
    pending = Credential(2, users)
    errors: list[BaseException] = []
    for misbehave in (None, lose_the_reply, answer(400, '{"code": "no", "message": "x"}')):
        endpoint.misbehave = misbehave
        async with ROTATOR.session(target, first_order(pending)) as session:
            for act in (session.set, session.accepts):
                try:
                    await act(pending)
                except KeyturnError as error:
                    errors.append(error)

    assert len(errors) == 5
    shown = [caplog.text, *("".join(traceback.format_exception(error)) for error in errors)]
    assert canary.scan_text("\n".join(shown)) == []


# Parameters


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"url": None}, "url is"),
        ({"url": "http://endpoint.example.com/"}, "must begin with https://"),
        ({"url": "https://169.254.169.254/"}, "never called"),
        ({"url": "https://10.0.0.1/", "allowPrivateAddresses": False}, "private address"),
        ({"allowPrivateAddresses": "yes"}, "allowPrivateAddresses must be a boolean"),
        ({"tls": {"mode": "none"}}, "tls.mode is not of the right form"),
        ({"tls": {"verify": False}}, "tls.verify is unknown"),
        ({"strategies": []}, "strategies must be a list"),
        ({"strategies": ["Regenerate"]}, "strategies has what is not known"),
        ({"strategies": [["SingleUser"]]}, "strategies has what is not known"),
        ({"steps": ["set"]}, "steps must have set and test"),
        ({"values": ["a/b"]}, "values must be a list of texts"),
        ({"values": []}, "values must not be empty"),
        ({"values": ["token"], "rotated": ["password"]}, "rotated has what is not among values"),
        ({"values": ["token"], "rotated": ["token"]}, "values must have username"),
        ({"issues": 1}, "issues must be a boolean"),
    ],
)
def test_a_parameter_that_cannot_work_is_refused(
    target: Target, changed: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        ROTATOR.check({**target.parameters, **changed})

    assert message in refused.value.message


def test_plain_http_is_for_who_asks_for_it() -> None:
    ROTATOR.check({"url": "http://endpoint.example.com/", "tls": {"mode": "disable"}})


def test_the_values_are_those_that_the_administrator_names() -> None:
    traits = ROTATOR.traits(
        {"url": "https://e.example.com/", "values": ["id", "token"], "rotated": ["token"]}
    )

    assert traits.values == {"id": "id", "token": "token"}
    assert traits.required == traits.rotated == frozenset({"token"})


def test_every_reference_in_the_contract_leads_somewhere() -> None:
    assert CONTRACT.references()
    assert [ref for ref in CONTRACT.references() if not CONTRACT.resolves(ref)] == []


@pytest.mark.parametrize(
    "damage",
    [
        {"specVersion": "2"},
        {"step": "finish"},
        {"extra": 1},
        {"pending": {"version": 0, "values": {}}},
        {"pending": {"version": 1, "values": {"a/b": "x"}}},
        {"pending": {"version": 1, "values": {"a": 1}}},
    ],
)
async def test_the_contract_refuses_what_it_does_not_describe(
    target: Target, endpoint: Endpoint, damage: Mapping[str, Any]
) -> None:
    await set_once(target, first_order(credential(2)))
    headers = {name.lower(): value for name, value in endpoint.headers[0].items()}

    assert CONTRACT.faults_of_request("/", headers, endpoint.calls[0]) == []
    assert CONTRACT.faults_of_request("/", headers, {**endpoint.calls[0], **damage}) != []
