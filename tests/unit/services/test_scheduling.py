import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from keyturn.services.scheduling import Scheduler


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    scheduler = Scheduler()
    running = asyncio.create_task(scheduler.run())
    yield scheduler
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_what_is_due_is_called_in_the_order_of_its_time(scheduler: Scheduler) -> None:
    called: list[str] = []

    scheduler.after(0.02, "later", lambda: called.append("later"))
    scheduler.after(0.01, "sooner", lambda: called.append("sooner"))
    await asyncio.sleep(0.1)

    assert called == ["sooner", "later"]


async def test_the_latest_call_for_a_subject_wins(scheduler: Scheduler) -> None:
    called: list[str] = []

    scheduler.after(0.01, "subject", lambda: called.append("first"))
    scheduler.after(0.02, "subject", lambda: called.append("second"))
    await asyncio.sleep(0.1)

    assert called == ["second"]


async def test_a_cancelled_subject_is_not_called(scheduler: Scheduler) -> None:
    called: list[str] = []
    scheduler.after(0.01, "subject", lambda: called.append("called"))

    scheduler.cancel("subject")
    await asyncio.sleep(0.05)

    assert called == []


async def test_a_failing_call_does_not_end_the_scheduler(scheduler: Scheduler) -> None:
    called: list[str] = []

    scheduler.after(0.01, "bad", [].pop)
    scheduler.after(0.02, "good", lambda: called.append("good"))
    await asyncio.sleep(0.1)

    assert called == ["good"]


async def test_a_hundred_thousand_due_times_need_no_task_each(scheduler: Scheduler) -> None:
    await asyncio.sleep(0)
    before = len(asyncio.all_tasks())

    for number in range(100_000):
        scheduler.after(3600, number, lambda: None)

    assert len(scheduler) == 100_000
    assert len(asyncio.all_tasks()) == before


async def test_what_was_cancelled_or_replaced_takes_no_room(scheduler: Scheduler) -> None:
    scheduler.after(3600, "kept", lambda: None)

    for _ in range(10_000):
        scheduler.after(3600, "again and again", lambda: None)
        scheduler.cancel("again and again")

    assert len(scheduler) == 1
    assert len(scheduler._due._heap) < 200


@pytest.mark.parametrize("turns", range(4))
async def test_it_ends_when_it_is_cancelled_just_as_something_comes(turns: int) -> None:
    scheduler = Scheduler()
    scheduler.after(3600, "later", lambda: None)
    running = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0.01)

    scheduler.after(0, "now", lambda: None)
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()

    await asyncio.wait([running], timeout=5)
    assert running.cancelled()
