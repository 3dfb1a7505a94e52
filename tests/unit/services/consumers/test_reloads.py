"""Calls to pods, on a real server and a real store: made once, repeated, bounded, guarded."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from keyturn.domain.consumers import Inventory, RunningPod, Spell, Use, Via, WorkloadRef
from keyturn.domain.consumers_spec import Action, ConsumersSpec, Reload
from keyturn.domain.errors import StoreUnavailableError
from keyturn.domain.reloading import with_reloads
from keyturn.domain.restarting import Wish
from keyturn.domain.secret import Secret, SecretName
from keyturn.services.calendar import Calendar
from keyturn.services.consumers.reload_calls import ReloadCalls
from keyturn.services.consumers.reloads import Reloads
from keyturn.store.sqlite import SQLiteStore
from keyturn.testing.store_samples import a_secret
from listening import listening

NAME = SecretName("shop", "db")
WEB = WorkloadRef("Deployment", "web")
BEGINNING = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOOPBACK = (ip_network("127.0.0.0/8"),)
DELAY = timedelta(seconds=90)


@dataclass
class Server:
    """What answers on the address of all pods."""

    port: int
    answers: list[int] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.calls.append(f"{request.method} {request.path_qs}")
        status = self.answers.pop(0) if self.answers else 204
        return web.Response(status=status, headers={"Location": "/elsewhere"})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server(0)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    async with listening(app) as made.port:
        yield made


@dataclass
class Office:
    """The reloads of one secret whose pods hold version 1, while 2 is projected."""

    store: SQLiteStore
    secret: Secret
    reloads: Reloads
    url: str
    now: datetime = BEGINNING + timedelta(seconds=1090)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def wish(self, version: int = 2) -> Wish:
        spells = [
            Spell("db", number, BEGINNING + timedelta(seconds=1000 * (number - 1)))
            for number in range(1, version + 1)
        ]
        spec = ConsumersSpec(Action.RELOAD, reload=Reload(self.url))
        return Wish("db", version, frozenset({"db"}), spells, spec)

    async def look(self, *pods: RunningPod, version: int = 2) -> dict[str, str]:
        """Look as a reconcile does, and wait for what it began."""
        read_at = await self.store.reloads(self.secret.id)
        inventory = with_reloads(Inventory("shop", pods), ["db"], read_at)
        self.changed.clear()
        failed = self.reloads.look(NAME, self.secret.id, self.wish(version), inventory)
        return dict(failed)

    async def done(self) -> None:
        async with asyncio.timeout(10):
            await self.changed.wait()


def pods(count: int) -> list[RunningPod]:
    use = Use(frozenset({Via.VOLUME}), BEGINNING + timedelta(seconds=100))
    return [
        RunningPod(f"web-{n}", f"uid-{n}", WEB, BEGINNING, {"db": use}, ip="127.0.0.1")
        for n in range(count)
    ]


@pytest.fixture
async def office(tmp_path: Path, server: Server) -> AsyncIterator[Office]:
    store = await SQLiteStore.open(tmp_path / "store.sqlite3")
    calls = ReloadCalls("https://192.0.2.1:6443", LOOPBACK)
    url = f"http://{{podIP}}:{server.port}/-/reload"
    made = Office(store, await a_secret(store, versions=2), None, url)  # type: ignore[arg-type]
    made.reloads = Reloads(
        store,
        calls,
        Calendar(lambda: made.now),
        changed=lambda _: made.changed.set(),
        clock=lambda: made.now,
    )
    yield made
    await made.reloads.close()
    await store.close()


async def test_each_pod_is_told_once_and_that_is_remembered(office: Office, server: Server) -> None:
    assert await office.look(*pods(3)) == {}
    await office.done()

    assert server.calls == ["POST /-/reload"] * 3
    assert await office.store.reloads(office.secret.id) == dict.fromkeys(
        ("uid-0", "uid-1", "uid-2"), office.now - DELAY
    )
    await office.look(*pods(3))
    await asyncio.sleep(0.1)
    assert len(server.calls) == 3


async def test_nobody_is_told_too_early(office: Office, server: Server) -> None:
    office.now -= timedelta(seconds=1)

    await office.look(*pods(1))
    await asyncio.sleep(0.1)

    assert server.calls == []


async def test_a_service_is_called_once_for_all(office: Office, server: Server) -> None:
    office.url = f"http://127.0.0.1:{server.port}/all"

    await office.look(*pods(3))
    await office.done()

    assert server.calls == ["POST /all"]
    assert len(await office.store.reloads(office.secret.id)) == 3


async def test_a_call_that_failed_is_repeated_later_and_not_for_ever(
    office: Office, server: Server
) -> None:
    server.answers = [503] * 99
    await office.look(*pods(1))
    await office.done()
    assert await office.look(*pods(1)) == {"web-0": "the answer is 503, not 200 to 299"}
    assert len(server.calls) == 1

    pauses = []
    for _ in range(2000):
        office.now += timedelta(seconds=1)
        before = len(server.calls)
        await office.look(*pods(1))
        if office.reloads._tellings[NAME].task.done():  # type: ignore[union-attr]
            continue
        await office.done()
        assert len(server.calls) == before + 1
        pauses.append(office.now)

    # After 5, 10, 20 and 40 seconds, and then each minute, up to ten minutes.
    assert len(server.calls) == 13
    assert pauses[-1] < BEGINNING + timedelta(seconds=1090 + 600)
    # A new version begins anew.
    server.answers = []
    office.now = BEGINNING + timedelta(hours=5)
    await office.look(*pods(1), version=3)
    await office.done()
    assert await office.look(*pods(1), version=3) == {}


async def test_one_that_fails_keeps_no_other_from_it(office: Office, server: Server) -> None:
    broken = replace(pods(1)[0], name="x", uid="x", ip="127.0.0.2")

    await office.look(broken, *pods(2))
    await office.done()

    assert set(await office.store.reloads(office.secret.id)) == {"uid-0", "uid-1"}
    failed = await office.look(broken, *pods(2))
    assert failed == {"x": "127.0.0.2 cannot be connected to"}


@pytest.mark.parametrize("problem", [StoreUnavailableError("the disk is full"), ValueError("x")])
async def test_a_call_that_cannot_be_remembered_is_not_made_again_at_once(
    office: Office, server: Server, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    async def fails(*_: object, **__: object) -> str:
        raise problem

    if isinstance(problem, StoreUnavailableError):
        monkeypatch.setattr(office.store, "note_reloads", fails)
    else:
        monkeypatch.setattr(office.reloads._caller, "call", fails)
    await office.look(*pods(1))
    await office.done()
    calls = list(server.calls)

    assert "web-0" in await office.look(*pods(1))
    await asyncio.sleep(0.1)
    assert server.calls == calls

    monkeypatch.undo()
    office.now += timedelta(seconds=5)
    await office.look(*pods(1))
    await office.done()
    assert await office.look(*pods(1)) == {}
    assert set(await office.store.reloads(office.secret.id)) == {"uid-0"}


async def test_who_is_gone_is_not_told(office: Office, server: Server) -> None:
    await office.look(*pods(1))

    office.reloads.forget(NAME)
    await asyncio.sleep(0.1)

    assert await office.store.reloads(office.secret.id) == {}


# The guard


async def called(url: str, allowed: Any = (), apiserver: str = "https://192.0.2.1:6443") -> str:
    return await ReloadCalls(apiserver, allowed).call(Reload(url), "127.0.0.1")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
async def test_the_operator_itself_is_not_called(server: Server, host: str) -> None:
    assert "is the operator's own" in await called(f"http://{host}:{server.port}/")
    assert server.calls == []


async def test_an_address_of_this_machine_is_the_operators_own(server: Server) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            # A machine without a network has no other address than loopback's.
            return
        own = probe.getsockname()[0]

    assert "is the operator's own" in await called(f"http://{own}:{server.port}/")


async def test_the_apiserver_is_not_called() -> None:
    answer = await called("http://192.0.2.7:6443/", apiserver="https://192.0.2.7:6443")

    assert "is the apiserver's" in answer


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "[fe80::1]", "100.100.100.200", "[::]", "[fd00:ec2::254]"]
)
async def test_metadata_and_the_like_are_called_by_no_setting(address: str) -> None:
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))

    assert "is an address that is never called" in await called(f"http://{address}/", everything)


async def test_a_setting_allows_what_is_the_operators_own(server: Server) -> None:
    assert await called(f"http://127.0.0.1:{server.port}/", LOOPBACK) == ""
    assert server.calls == ["POST /"]


async def test_nobody_is_sent_elsewhere(server: Server) -> None:
    server.answers = [307]

    answer = await called(f"http://127.0.0.1:{server.port}/", LOOPBACK)

    assert answer == "the answer is 307, not 200 to 299"
    assert server.calls == ["POST /"]


async def test_a_port_that_is_none_is_told() -> None:
    assert "port" in await called("http://{podIP}:99999/", LOOPBACK)
