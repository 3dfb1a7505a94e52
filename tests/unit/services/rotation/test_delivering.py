"""The outbox of a real store is emptied, by a clock and pauses of the test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from keyturn.domain.errors import InvalidError, UnavailableError
from keyturn.domain.rotation_event import Channel, EventKind, RotationEvent
from keyturn.services.rotation.delivering import (
    ASIDE,
    BATCH,
    FIRST_PAUSE,
    LAST_PAUSE,
    REFUSALS_IN_A_ROW,
    REFUSED_FOR,
    UNDELIVERED_FOR,
    Delivering,
)
from keyturn.store.sqlite import SQLiteStore
from keyturn.testing.store_rotation_samples import begun, rotated
from keyturn.testing.store_samples import NOW, a_secret

MOMENT = timedelta(seconds=1)


class Receiver:
    """Takes events, or does not."""

    def __init__(self) -> None:
        self.tried: list[str] = []
        self.taken: list[str] = []
        self.down: Exception | None = None
        self.refused: dict[str, Exception] = {}
        self.called = asyncio.Event()

    async def deliver(self, event: RotationEvent) -> None:
        self.called.set()
        self.tried.append(event.name.name)
        if self.down is not None:
            raise self.down
        if event.name.name in self.refused:
            raise self.refused[event.name.name]
        self.taken.append(event.name.name)


@dataclass
class Office:
    """A store with an outbox, a receiver for each channel, and time that the test moves."""

    store: SQLiteStore
    epoch: int = 0
    now: datetime = NOW
    looks: int = 0
    receivers: dict[Channel, Receiver] = field(
        default_factory=lambda: {channel: Receiver() for channel in Channel}
    )
    pauses: list[float] = field(default_factory=list)
    sleeping: asyncio.Event = field(default_factory=asyncio.Event)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    delivering: Delivering = field(init=False)

    def __post_init__(self) -> None:
        self.delivering = Delivering(
            self.store.rotations,
            {channel: receiver.deliver for channel, receiver in self.receivers.items()},
            self._clock,
            self._sleep,
        )

    def _clock(self) -> datetime:
        self.looks += 1
        return self.now

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.sleeping.set()
        self.wake.clear()
        await self.wake.wait()

    @property
    def sink(self) -> Receiver:
        return self.receivers[Channel.SINK]

    async def begin(self, *names: str, channels: tuple[Channel, ...] = (Channel.SINK,)) -> None:
        """Put the event that a rotation began into the outbox."""
        for name in names:
            await begun(self.store, self.epoch, await a_secret(self.store, name), channels=channels)

    async def is_at_rest(self) -> None:
        """Make sure that nobody looks into the outbox again and again."""
        before = self.looks
        for _ in range(50):
            await self.store.check()
        assert self.looks - before < 10

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.delivering.run())
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def pause(self) -> float:
        """Wait until a channel has given up for now; tell for how long."""
        async with asyncio.timeout(20):
            await self.sleeping.wait()
        self.sleeping.clear()
        return self.pauses[-1]

    async def left(self, channel: Channel = Channel.SINK, *, to: int = 0) -> list[str]:
        """Wait until only so many events wait; name them."""
        async with asyncio.timeout(20):
            while len(waiting := await self.store.rotations.waiting(channel, 1000)) > to:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return [event.name.name for event in waiting]

    async def tries(self, count: int) -> None:
        """Wait until the sink was called so often."""
        async with asyncio.timeout(20):
            while len(self.sink.tried) < count:
                self.sink.called.clear()
                await self.sink.called.wait()


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    store = await SQLiteStore.open(tmp_path / "store.sqlite3")
    yield Office(store, await store.rotations.take_epoch())
    await store.close()


async def test_what_an_earlier_process_left_comes_first_and_in_order(office: Office) -> None:
    names = [f"s{number}" for number in range(BATCH + 3)]
    await office.begin(*names)
    async with office.running():
        await office.left()
        await office.begin("later")
        office.delivering.poke()
        await office.left()

    assert office.sink.taken == [*names, "later"]


async def test_all_events_of_a_rotation_arrive_in_their_order(office: Office) -> None:
    kinds: list[EventKind] = []

    async def deliver(event: RotationEvent) -> None:
        kinds.append(event.kind)

    await rotated(office.store, office.epoch, await a_secret(office.store))
    office.delivering = Delivering(
        office.store.rotations, {Channel.CLUSTER: deliver}, lambda: office.now
    )
    async with office.running():
        await office.left(Channel.CLUSTER)

    assert kinds == [EventKind.STARTED, EventKind.SUCCEEDED]
    assert len(await office.store.rotations.waiting(Channel.SINK, 10)) == 2


async def test_between_two_news_the_outbox_is_not_looked_at(office: Office) -> None:
    await office.begin("a")
    async with office.running():
        office.delivering.poke()
        await office.left()

        await office.is_at_rest()


async def test_none_overtakes_one_that_could_not_be_delivered(office: Office) -> None:
    office.sink.down = UnavailableError("it is down")
    await office.begin("a", "b", "c")
    async with office.running():
        await office.pause()
        assert office.sink.tried == ["a"]
        office.sink.down = None
        office.wake.set()
        await office.left()

    assert office.sink.taken == ["a", "b", "c"]


async def test_pauses_grow_up_to_a_limit_and_begin_anew_after_a_success(office: Office) -> None:
    office.sink.down = UnavailableError("it is down")
    await office.begin("a")
    async with office.running():
        pauses = []
        for _ in range(9):
            pauses.append(await office.pause())
            office.wake.set()
        await office.pause()
        office.sink.down = None
        office.wake.set()
        await office.left()
        office.sink.down = UnavailableError("it is down again")
        await office.begin("b")
        office.delivering.poke()
        after = await office.pause()

    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-2:] == [LAST_PAUSE, LAST_PAUSE]
    assert after == FIRST_PAUSE


async def test_news_do_not_end_a_pause_and_are_not_forgotten_in_it(office: Office) -> None:
    office.sink.down = UnavailableError("it is down")
    await office.begin("a")
    async with office.running():
        await office.pause()
        await office.begin("b")
        office.delivering.poke()
        await office.store.check()
        assert office.sink.tried == ["a"]
        office.sink.down = None
        office.wake.set()
        await office.left()

    assert office.sink.taken == ["a", "b"]


@pytest.mark.parametrize("trouble", [UnavailableError("down"), InvalidError("no"), OSError("?")])
async def test_a_channel_in_trouble_does_not_stop_the_other(
    office: Office, trouble: Exception
) -> None:
    office.sink.down = trouble
    await office.begin("a", "b", channels=(Channel.SINK, Channel.CLUSTER))
    async with office.running():
        await office.left(Channel.CLUSTER)
        await office.tries(1)

    assert office.receivers[Channel.CLUSTER].taken == ["a", "b"]
    assert len(await office.store.rotations.waiting(Channel.SINK, 10)) == 2


@pytest.mark.parametrize("refusal", [InvalidError("refused"), ValueError("a bug")])
async def test_one_that_is_refused_steps_aside_and_is_tried_again(
    office: Office, refusal: Exception
) -> None:
    office.sink.refused["poison"] = refusal
    await office.begin("a", "poison", "b")
    async with office.running():
        assert await office.left(to=1) == ["poison"]
        await office.begin("c")
        office.delivering.poke()
        assert await office.left(to=1) == ["poison"]
        assert office.sink.tried == ["a", "poison", "b", "c"]
        office.sink.refused.clear()
        office.now += ASIDE
        office.delivering.poke()
        await office.left()

    assert office.sink.taken == ["a", "b", "c", "poison"]
    assert office.pauses == []


async def test_one_that_stepped_aside_and_went_otherwise_is_forgotten(office: Office) -> None:
    office.sink.refused["poison"] = InvalidError("refused")
    await office.begin("poison")
    (event,) = await office.store.rotations.waiting(Channel.SINK, 1)
    async with office.running():
        await office.tries(1)
        await office.store.rotations.delivered(Channel.SINK, event.id)
        office.now += ASIDE
        office.delivering.poke()
        await office.store.check()

        await office.is_at_rest()
    assert office.sink.tried == ["poison"]


async def test_many_that_are_refused_do_not_hide_the_others(office: Office) -> None:
    poison = [f"poison {number}" for number in range(BATCH + 5)]
    office.sink.refused = dict.fromkeys(poison, InvalidError("refused"))
    for number, name in enumerate(poison):
        await office.begin(name, f"good {number}")
    async with office.running():
        assert await office.left(to=len(poison)) == poison
        await office.begin("later")
        office.delivering.poke()
        await office.left(to=len(poison))

    assert office.sink.taken[-1] == "later"
    assert len(office.sink.tried) == 2 * len(poison) + 1


async def test_where_all_are_refused_the_channel_waits_and_none_is_tried_twice(
    office: Office,
) -> None:
    names = [f"s{number}" for number in range(REFUSALS_IN_A_ROW + 2)]
    office.sink.refused = dict.fromkeys(names, InvalidError("refused"))
    await office.begin(*names)
    async with office.running():
        await office.pause()
        assert office.sink.tried == names[:REFUSALS_IN_A_ROW]
        office.wake.set()
        await office.tries(len(names))

    assert office.sink.tried == names
    assert await office.left(to=len(names)) == names


async def test_what_is_refused_for_too_long_is_dropped_and_the_log_says_which(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.sink.refused["poison"] = InvalidError("refused")
    await office.begin("poison")
    (event,) = await office.store.rotations.waiting(Channel.SINK, 1)
    async with office.running():
        office.now = NOW + REFUSED_FOR
        await office.tries(1)
        await office.left(to=1)
        assert "is dropped" not in caplog.text
        office.now += ASIDE + MOMENT
        office.delivering.poke()
        await office.left()

    assert f"RotationStarted of shop/poison (event {event.id}, version 1) is dropped" in caplog.text


async def test_what_cannot_be_delivered_for_weeks_is_dropped_at_last(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.sink.down = UnavailableError("it is down")
    await office.begin("a", "b")
    async with office.running():
        await office.pause()
        office.now = NOW + UNDELIVERED_FOR
        office.wake.set()
        await office.pause()
        assert await office.left(to=2) == ["a", "b"]
        office.now += MOMENT
        office.wake.set()
        await office.pause()
        await office.left()

    assert caplog.text.count("is dropped") == 2


async def test_what_is_old_and_can_be_delivered_is(office: Office) -> None:
    await office.begin("a")
    office.now = NOW + 2 * UNDELIVERED_FOR
    async with office.running():
        await office.left()

    assert office.sink.taken == ["a"]


async def test_a_store_that_does_not_answer_ends_nothing(office: Office) -> None:
    async with office.running():
        await office.store.close()
        office.delivering.poke()
        assert await office.pause() == FIRST_PAUSE
