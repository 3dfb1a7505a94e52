"""From the outbox of a real store to a real receiver: none is lost, whatever happens in between."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from integration.notifications.sinks import Sinks
from keyturn.domain.rotation_event import Channel
from keyturn.services.rotation.delivering import Delivering
from keyturn.store.sqlite import SQLiteStore
from keyturn.testing.store_rotation_samples import rotated
from keyturn.testing.store_samples import NOW, a_secret
from servers.certificates import Authority
from servers.event_receiver import Receiver, begin_only, die, hang, status

ROOT = Path(__file__).parents[3]
SECRETS = 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite3"


async def fill(path: Path) -> list[str]:
    """Let secrets be rotated in a store; return the ids of the events, in their order."""
    store = await SQLiteStore.open(path)
    epoch = await store.rotations.take_epoch()
    for number in range(SECRETS):
        await rotated(store, epoch, await a_secret(store, f"s{number}"))
    events = await store.rotations.waiting(Channel.SINK, 1000)
    await store.close()
    return [str(event.id) for event in events]


async def waiting(path: Path) -> list[str]:
    store = await SQLiteStore.open(path)
    events = await store.rotations.waiting(Channel.SINK, 1000)
    await store.close()
    return [str(event.id) for event in events]


def ids(receiver: Receiver) -> list[str]:
    return [json.loads(call.body)["id"] for call in receiver.calls]


async def test_an_endpoint_that_fails_in_every_way_gets_each_event_in_order(
    sinks: Sinks, receiver: Receiver, path: Path
) -> None:
    troubles = iter([status(503), hang, status(302, Location="/"), die, status(429), begin_only])
    taken: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        # Every second call is answered as it should be, until no trouble is left.
        trouble = next(troubles, None) if len(receiver.calls) % 2 else None
        if trouble is not None:
            return await trouble(request)
        taken.append(ids(receiver)[-1])
        return web.Response(status=204)

    receiver.answer = answer
    told = await fill(path)
    store = await SQLiteStore.open(path)
    sink = sinks.opened(deadline=3.0)

    async def no_time(_: float) -> None:
        await asyncio.sleep(0)

    delivering = Delivering(
        store.rotations, {Channel.SINK: sink.deliver}, lambda: NOW, sleep=no_time
    )
    task = asyncio.create_task(delivering.run())
    async with asyncio.timeout(30):
        while await store.rotations.waiting(Channel.SINK, 1):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await store.close()

    # What began to be answered by 200 was delivered, though its body never came.
    assert [each for each in told if each not in taken] == [told[5]]
    assert list(dict.fromkeys(ids(receiver))) == told


@asynccontextmanager
async def victim(
    path: Path, receiver: Receiver, authority: Authority, failpoint: str = ""
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "integration.notifications.victim"),
        *(str(path), receiver.url(), str(authority.folder / "ca.crt"), failpoint),
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'tests'}"},
    )
    try:
        yield process
        async with asyncio.timeout(60):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_kill_between_delivery_and_deletion_delivers_again_with_the_same_id(
    path: Path, receiver: Receiver, authority: Authority
) -> None:
    told = await fill(path)

    async with victim(path, receiver, authority, "after.deliver@3") as process:
        pass
    assert process.returncode == -signal.SIGKILL
    assert await waiting(path) == told[2:]
    async with victim(path, receiver, authority) as process:
        pass

    assert process.returncode == 0
    assert await waiting(path) == []
    assert ids(receiver) == [*told[:3], *told[2:]]
    twice = [call for call in receiver.calls if json.loads(call.body)["id"] == told[2]]
    assert twice[0].body == twice[1].body


async def test_a_kill_while_an_answer_is_awaited_loses_nothing(
    path: Path, receiver: Receiver, authority: Authority
) -> None:
    told = await fill(path)
    processes: list[asyncio.subprocess.Process] = []

    async def kill(_: web.Request) -> web.StreamResponse:
        # Each process delivers one event, and dies while it delivers the next one.
        if len(receiver.calls) % 2 and len(receiver.calls) < len(told):
            processes[-1].kill()
            await processes[-1].wait()
        return web.Response(status=202)

    receiver.answer = kill
    while await waiting(path):
        async with victim(path, receiver, authority) as process:
            processes.append(process)

    assert [process.returncode for process in processes[:-1]] != []
    assert {process.returncode for process in processes[:-1]} == {-signal.SIGKILL}
    assert list(dict.fromkeys(ids(receiver))) == told
    assert len(ids(receiver)) > len(told)
