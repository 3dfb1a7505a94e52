"""Wall-clock due times, by a clock that the tests set; no time is measured."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.services.calendar import Calendar

HOUR = timedelta(hours=1)


class WallClock:
    """A clock that stands still until a test sets it, and knows that it is looked at."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)
        self._looked = asyncio.Event()

    def __call__(self) -> datetime:
        self._looked.set()
        return self.now

    async def is_looked_at(self) -> None:
        """Wait until somebody has looked, and has done what he does upon that.

        It is looked at most twice for each turn: what is due, and how long to sleep.
        """
        for _ in range(4):
            self._looked.clear()
            await asyncio.wait_for(self._looked.wait(), 10)


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
async def calendar(clock: WallClock) -> AsyncIterator[Calendar]:
    calendar = Calendar(clock, longest_sleep=0.001)
    running = asyncio.create_task(calendar.run())
    yield calendar
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_what_is_due_is_called_in_the_order_of_its_time(
    calendar: Calendar, clock: WallClock
) -> None:
    called: list[str] = []
    calendar.set("later", clock.now + 2 * HOUR, lambda: called.append("later"))
    calendar.set("sooner", clock.now + HOUR, lambda: called.append("sooner"))
    calendar.set("tomorrow", clock.now + 24 * HOUR, lambda: called.append("tomorrow"))
    await clock.is_looked_at()
    assert called == []

    clock.now += 2 * HOUR
    await clock.is_looked_at()

    assert called == ["sooner", "later"]
    assert len(calendar) == 1


async def test_what_is_past_is_due_at_once(clock: WallClock) -> None:
    # Nobody has to wait for the next look.
    calendar = Calendar(clock)
    running = asyncio.create_task(calendar.run())
    await asyncio.sleep(0.01)
    called = asyncio.Event()

    calendar.set("missed", clock.now - HOUR, called.set)
    await asyncio.wait_for(called.wait(), 10)

    running.cancel()


async def test_the_latest_call_for_a_subject_wins(calendar: Calendar, clock: WallClock) -> None:
    called: list[str] = []
    calendar.set("subject", clock.now + HOUR, lambda: called.append("first"))
    calendar.set("subject", clock.now + 3 * HOUR, lambda: called.append("second"))

    clock.now += 2 * HOUR
    await clock.is_looked_at()
    assert called == []

    clock.now += 2 * HOUR
    await clock.is_looked_at()
    assert called == ["second"]


async def test_without_a_time_a_subject_is_not_called(calendar: Calendar, clock: WallClock) -> None:
    called: list[str] = []
    calendar.set("subject", clock.now + HOUR, lambda: called.append("called"))

    calendar.set("subject", None, lambda: called.append("never"))
    calendar.set("unknown", None, lambda: called.append("never"))
    clock.now += 2 * HOUR
    await clock.is_looked_at()

    assert called == []
    assert len(calendar) == 0


async def test_a_failing_call_does_not_end_the_calendar(
    calendar: Calendar, clock: WallClock
) -> None:
    called: list[str] = []
    calendar.set("bad", clock.now + HOUR, [].pop)
    calendar.set("good", clock.now + 2 * HOUR, lambda: called.append("good"))

    clock.now += 2 * HOUR
    await clock.is_looked_at()

    assert called == ["good"]


async def test_a_clock_that_jumps_ahead_makes_each_due_once(
    calendar: Calendar, clock: WallClock
) -> None:
    called: list[int] = []
    for number in range(500):
        calendar.set(number, clock.now + number * HOUR, lambda n=number: called.append(n))  # type: ignore[misc]

    clock.now += timedelta(days=3650)
    await clock.is_looked_at()

    assert called == list(range(500))


async def test_a_clock_that_jumps_back_makes_nothing_due_early_or_twice(
    calendar: Calendar, clock: WallClock
) -> None:
    called: list[str] = []
    calendar.set("done", clock.now + HOUR, lambda: called.append("done"))
    calendar.set("open", clock.now + 2 * HOUR, lambda: called.append("open"))
    clock.now += HOUR
    await clock.is_looked_at()

    clock.now -= 10 * 365 * 24 * HOUR
    await clock.is_looked_at()
    clock.now += 10 * 365 * 24 * HOUR
    await clock.is_looked_at()
    assert called == ["done"]

    clock.now += HOUR
    await clock.is_looked_at()
    assert called == ["done", "open"]


async def test_many_that_are_due_at_once_leave_others_their_turn(clock: WallClock) -> None:
    calendar = Calendar(clock)
    called: list[int] = []
    done = asyncio.Event()
    for number in range(10_000):
        calendar.set(number, clock.now, lambda n=number: called.append(n))  # type: ignore[misc]
    calendar.set("last", clock.now, done.set)

    running = asyncio.create_task(calendar.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    in_between = len(called)
    await asyncio.wait_for(done.wait(), 10)
    running.cancel()

    assert 0 < in_between < 1000
    assert called == list(range(10_000))


async def test_a_hundred_thousand_due_times_need_no_task_each_and_little_room(
    calendar: Calendar, clock: WallClock
) -> None:
    await clock.is_looked_at()
    tasks = len(asyncio.all_tasks())
    tracemalloc.start()

    for number in range(100_000):
        calendar.set(number, clock.now + HOUR + timedelta(seconds=number), lambda: None)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(calendar) == 100_000
    assert len(asyncio.all_tasks()) == tasks
    assert used < 500 * 100_000
