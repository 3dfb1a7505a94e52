import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from keyturn.domain.secret import SecretName
from keyturn.services.scheduling import Scheduler
from keyturn.services.workqueue import WorkQueue

ONE, TWO = SecretName("shop", "one"), SecretName("shop", "two")


@pytest.fixture
async def queue() -> AsyncIterator[WorkQueue]:
    scheduler = Scheduler()
    running = asyncio.create_task(scheduler.run())
    yield WorkQueue(scheduler)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def is_empty(queue: WorkQueue) -> bool:
    try:
        await asyncio.wait_for(queue.get(), 0.05)
    except TimeoutError:
        return True
    return False


async def test_a_key_waits_once_however_often_it_is_put(queue: WorkQueue) -> None:
    queue.put(ONE, {"n": 1})
    queue.put(ONE, {"n": 2})

    work = await queue.get()

    assert work.body == {"n": 2}
    assert await is_empty(queue)


async def test_a_call_without_a_body_wants_the_resource_read_anew(queue: WorkQueue) -> None:
    queue.put(ONE)
    queue.put(ONE, {"n": 1})

    assert (await queue.get()).body is None


async def test_first_syncs_go_before_the_others(queue: WorkQueue) -> None:
    queue.put(ONE)
    queue.put(TWO, first=True)

    assert (await queue.get()).name == TWO


async def test_a_key_that_is_worked_on_is_not_given_out_again(queue: WorkQueue) -> None:
    queue.put(ONE)
    await queue.get()

    queue.put(ONE)

    assert await is_empty(queue)
    queue.done(ONE)
    assert (await queue.get()).name == ONE


async def test_the_echo_of_our_own_write_is_dropped(queue: WorkQueue) -> None:
    queue.put(ONE)
    await queue.get()
    queue.put(ONE, {"n": 1})

    queue.done(ONE, is_echo=lambda _, body: body == {"n": 1})

    assert await is_empty(queue)


async def test_news_besides_the_echo_is_not_dropped(queue: WorkQueue) -> None:
    queue.put(ONE)
    await queue.get()
    queue.put(ONE)
    queue.put(ONE, {"n": 1})

    queue.done(ONE, is_echo=lambda _, __: True)

    assert (await queue.get()).name == ONE


async def test_a_failed_key_comes_again_after_a_while(queue: WorkQueue) -> None:
    queue.put(ONE)
    await queue.get()

    queue.done(ONE, failed=True)

    assert await is_empty(queue)
    assert (await asyncio.wait_for(queue.get(), 2)).name == ONE


async def test_news_ends_the_wait_of_a_failed_key(queue: WorkQueue) -> None:
    queue.put(ONE)
    await queue.get()
    queue.done(ONE, failed=True, wait=600)

    queue.put(ONE)

    assert (await asyncio.wait_for(queue.get(), 1)).name == ONE
