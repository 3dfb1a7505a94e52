"""Events over real HTTPS: what arrives, and what an endpoint can do to its caller."""

import base64
import hashlib
import hmac
import logging
import socket
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from canary import Canary
from integration.notifications.sinks import CLUSTER, Sinks
from keyturn.domain.errors import InvalidError, InvalidParameterError, UnavailableError
from keyturn.domain.rotation_event import EventKind, RotationEvent
from keyturn.domain.secret import SecretName
from keyturn.notifications.bodies import Format, body_of
from keyturn.notifications.sink import MAX_KEY_FILE, Endpoint, EventSink
from keyturn.testing.store_samples import NOW
from servers.certificates import Authority
from servers.event_receiver import (
    Answer,
    Receiver,
    begin_only,
    die,
    hang,
    never_end,
    receiving,
    status,
)


def an_event(event_id: UUID | None = None) -> RotationEvent:
    return RotationEvent(
        id=event_id or uuid4(),
        kind=EventKind.SUCCEEDED,
        time=NOW,
        secret_id=uuid4(),
        name=SecretName("shop", "db"),
        resource_uid="uid-of-resource",
        rotation_id=uuid4(),
        version=2,
        cause="Schedule",
    )


async def test_an_event_arrives_as_it_was_written(sinks: Sinks, receiver: Receiver) -> None:
    for form in Format:
        event = an_event()
        await sinks.opened(form=form).deliver(event)

        call, (headers, content) = receiver.calls[-1], body_of(form, event, CLUSTER)
        assert call.body == content
        assert headers.items() <= call.headers.items()
        assert "webhook-signature" not in call.headers
        assert call.path == "/events"


async def test_events_in_a_row_share_a_connection(sinks: Sinks, receiver: Receiver) -> None:
    sink = sinks.opened()
    for _ in range(5):
        await sink.deliver(an_event())

    assert len({call.connection for call in receiver.calls}) == 1


async def test_a_proxy_of_the_environment_is_not_used(
    sinks: Sinks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, nowhere)

    await sinks.opened().deliver(an_event())

    assert len(receiver.calls) == 1


# Answers


@pytest.mark.parametrize("code", [200, 201, 202, 204])
async def test_every_2xx_means_delivered(sinks: Sinks, receiver: Receiver, code: int) -> None:
    receiver.answer = status(code)

    await sinks.opened().deliver(an_event())


@pytest.mark.parametrize("answer", [never_end, begin_only], ids=["endless", "missing"])
async def test_nobody_waits_for_the_body_of_an_answer(
    sinks: Sinks, receiver: Receiver, answer: Answer
) -> None:
    receiver.answer = answer
    sink = sinks.opened(deadline=60.0)

    for _ in range(3):
        await sink.deliver(an_event())


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 413, 422])
async def test_a_refusal_is_one(sinks: Sinks, receiver: Receiver, code: int) -> None:
    receiver.answer = status(code)

    with pytest.raises(InvalidError, match=f"^localhost answers with {code}$"):
        await sinks.opened().deliver(an_event())


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
async def test_what_may_be_taken_later_is_tried_again(
    sinks: Sinks, receiver: Receiver, code: int
) -> None:
    receiver.answer = status(code)

    with pytest.raises(UnavailableError, match=f"^localhost answers with {code}$"):
        await sinks.opened().deliver(an_event())


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(sinks: Sinks, receiver: Receiver, code: int) -> None:
    receiver.answer = status(code, Location=receiver.url("/elsewhere"))

    with pytest.raises(UnavailableError, match="redirects are not followed"):
        await sinks.opened().deliver(an_event())
    assert [call.path for call in receiver.calls] == ["/events"]


@pytest.mark.parametrize(
    ("answer", "told"), [(hang, "does not answer in time"), (die, "gives no whole answer")]
)
async def test_no_answer_is_tried_again(
    sinks: Sinks, receiver: Receiver, answer: Answer, told: str
) -> None:
    receiver.answer = answer
    sink, event = sinks.opened(deadline=3.0), an_event()

    with pytest.raises(UnavailableError, match=f"^localhost {told}$"):
        await sink.deliver(event)
    receiver.answer = None
    await sink.deliver(event)

    first, second = receiver.calls
    assert first.body == second.body


async def test_an_endpoint_that_comes_back_is_found_again(
    sinks: Sinks, receiver: Receiver, authority: Authority
) -> None:
    async with receiving(authority) as other:
        port, sink = other.port, sinks.opened(url=other.url())
        await sink.deliver(an_event())
    with pytest.raises(UnavailableError, match="localhost cannot be connected to"):
        await sink.deliver(an_event())
    async with receiving(authority, port) as again:
        await sink.deliver(an_event())

        assert len(again.calls) == 1


# Trust


async def test_a_certificate_of_somebody_else_is_not_trusted_until_the_ca_file_says_so(
    sinks: Sinks, receiver: Receiver, authority: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "trusted.crt"
    file.write_bytes(Authority.create(tmp_path / "other").pem)
    sink = sinks.opened(ca_file=file)

    with pytest.raises(UnavailableError, match="localhost has a certificate that is not trusted"):
        await sink.deliver(an_event())
    assert receiver.calls == []
    file.write_bytes(authority.pem)
    await sink.deliver(an_event())


async def test_the_systems_certificates_do_not_include_the_tests(sinks: Sinks) -> None:
    with pytest.raises(UnavailableError, match="not trusted"):
        await sinks.opened(ca_file=None).deliver(an_event())


async def test_a_certificate_for_another_name_is_not_trusted(
    sinks: Sinks, authority: Authority
) -> None:
    async with receiving(authority, hosts=["events.example"]) as other:
        with pytest.raises(UnavailableError, match="not trusted"):
            await sinks.opened(url=other.url()).deliver(an_event())
        assert other.calls == []


async def test_a_server_without_tls_is_not_taken_for_one_with(sinks: Sinks) -> None:
    async with receiving(None) as plain:
        sink = sinks.opened(url=plain.url().replace("http://", "https://"))
        with pytest.raises(UnavailableError, match="agrees on no TLS"):
            await sink.deliver(an_event())
        assert plain.calls == []


# Signatures


def is_signed_by(key: bytes, headers: Any, body: bytes) -> bool:
    """Verify as the Standard Webhooks specification says, by no code of Keyturn."""
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 300
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return wanted in headers["webhook-signature"].split(" ")


async def test_a_call_is_signed_by_each_key_of_the_file_as_it_is_now(
    sinks: Sinks, receiver: Receiver, tmp_path: Path
) -> None:
    old, new, event = b"o" * 24, b"n" * 32, an_event()
    file = tmp_path / "keys"
    file.write_bytes(old + b"\n")
    sink = sinks.opened(key_file=file)
    await sink.deliver(event)
    file.write_bytes(b"whsec_" + base64.b64encode(new) + b"\r\n" + old + b"\n\n")
    await sink.deliver(event)

    first, second = receiver.calls
    assert is_signed_by(old, first.headers, first.body)
    assert is_signed_by(old, second.headers, second.body)
    assert is_signed_by(new, second.headers, second.body)
    assert not is_signed_by(new, first.headers, first.body)
    # The receiver can tell that it got the same event twice.
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(event.id)


async def test_nothing_is_sent_unsigned_while_the_key_cannot_be_used(
    sinks: Sinks, receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_bytes(b"k" * 24)
    sink = sinks.opened(key_file=file)
    cut_in_two, too_long = b"k" * 30 + b"\x00\n" + b"k" * 30, b"k" * (MAX_KEY_FILE + 1)
    for content in (b"", b"\n\n", b"short", b"with a space in between it", cut_in_two, too_long):
        file.write_bytes(content)
        with pytest.raises(UnavailableError):
            await sink.deliver(an_event())
    file.unlink()
    with pytest.raises(UnavailableError, match="cannot be read: No such file or directory"):
        await sink.deliver(an_event())

    assert receiver.calls == []


async def test_the_key_is_nowhere_but_in_its_file(
    sinks: Sinks,
    receiver: Receiver,
    tmp_path: Path,
    canary: Canary,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    key = canary.make(40)
    file = tmp_path / "keys"
    file.write_bytes(key)
    await sinks.opened(key_file=file).deliver(an_event())
    file.write_bytes(b"whsec_!" + key)
    with pytest.raises(InvalidParameterError) as refused:
        sinks.opened(key_file=file)

    (call,) = receiver.calls
    told = [caplog.text, str(call), refused.value.message]
    assert canary.scan_bytes("\n".join(told).encode()) == []


# What cannot be used is told at the start


@pytest.mark.parametrize(
    "url",
    [
        *("", "events.example", "ftp://events.example/", "https://", "https:///path", "//host/"),
        *("https://jo@events.example/", "https://jo:pass@events.example/", "https://h/#part"),
        *("https://[::1/", "https://events.example:port/"),
    ],
)
def test_a_url_that_cannot_be_called_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(InvalidParameterError, match="KEYTURN_EVENTS_URL must") as refused:
        EventSink(Endpoint(url), CLUSTER)

    assert "pass" not in refused.value.message.replace("a password", "")


def test_http_is_possible_and_warned_of_unless_it_stays_in_the_machine(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for host in ("localhost:1", "127.0.0.1", "[::1]:8080"):
        EventSink(Endpoint(f"http://{host}/"), CLUSTER)
    assert caplog.text == ""

    EventSink(Endpoint("http://broker.knative-eventing.svc/shop/default?key=private"), CLUSTER)

    assert "events go to broker.knative-eventing.svc by http" in caplog.text
    assert "private" not in caplog.text


@pytest.mark.parametrize("field", ["ca_file", "key_file"])
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, field: str) -> None:
    missing, wrong, folder = tmp_path / "missing", tmp_path / "wrong", tmp_path
    wrong.write_bytes(b"\xffnothing")

    for path in (missing, wrong, folder):
        files: dict[str, Any] = {field: path}
        with pytest.raises(InvalidParameterError):
            EventSink(Endpoint("https://events.example/", **files), CLUSTER)


async def test_a_closed_port_is_tried_again(sinks: Sinks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(UnavailableError, match="localhost cannot be connected to"):
        await sinks.opened(url=f"https://localhost:{port}/").deliver(an_event())
