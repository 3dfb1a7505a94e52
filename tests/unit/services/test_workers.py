import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import suppress
from typing import Any, cast

import pytest

from keyturn.domain.errors import (
    AwaitingInputError,
    ClusterUnavailableError,
    DeniedError,
    InvalidSpecError,
    KeyturnError,
    StoreUnavailableError,
)
from keyturn.domain.secret import SecretName
from keyturn.kube.errors import AnswerError
from keyturn.services.reconciling import Reconciler
from keyturn.services.scheduling import Scheduler
from keyturn.services.workers import OUTAGE_BACKOFF, Workers
from keyturn.services.workqueue import LAST_BACKOFF, Work, WorkQueue

ONE, TWO = SecretName("shop", "one"), SecretName("shop", "two")


class Pauses(Scheduler):
    """Notes each pause, and lets none of them last."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[float] = []

    def after(self, seconds: float, subject: Hashable, act: Callable[[], None]) -> None:
        self.noted.append(seconds)
        super().after(0, subject, act)


class Troubled:
    """Stands where the reconciler does: so many times it does what it is told to with a key."""

    def __init__(self, outcome: Callable[[Work], KeyturnError | None], times: int = 1) -> None:
        self._outcome = outcome
        self._times = times
        self.works: list[SecretName] = []

    def is_echo(self, name: SecretName, body: Mapping[str, Any]) -> bool:
        return False

    async def reconcile(self, work: Work) -> KeyturnError | None:
        self.works.append(work.name)
        await asyncio.sleep(0)
        return self._outcome(work) if self.works.count(work.name) <= self._times else None


@pytest.fixture
async def pauses() -> AsyncIterator[Pauses]:
    scheduler = Pauses()
    running = asyncio.create_task(scheduler.run())
    yield scheduler
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def work_through(
    pauses: Pauses, outcome: Callable[[Work], KeyturnError | None], *, tries: int = 1
) -> Troubled:
    """Let two workers reconcile a key that is in trouble for so many tries, then another one."""
    queue, troubled = WorkQueue(pauses), Troubled(outcome, tries)
    working = asyncio.create_task(Workers(queue, cast(Reconciler, troubled), 2).run())
    queue.put(ONE)
    while troubled.works.count(ONE) < tries:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0)
    queue.put(TWO)
    while TWO not in troubled.works:  # noqa: ASYNC110 - nor of this
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    return troubled


def raising(error: Exception) -> Callable[[Work], KeyturnError | None]:
    def outcome(work: Work) -> KeyturnError | None:
        if work.name == ONE:
            raise error
        return None

    return outcome


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ClusterUnavailableError("away"), id="the cluster"),
        pytest.param(StoreUnavailableError("away"), id="the store"),
    ],
)
async def test_no_key_sleeps_for_minutes_because_of_an_outage(
    error: KeyturnError, pauses: Pauses
) -> None:
    await work_through(pauses, raising(error), tries=30)

    assert OUTAGE_BACKOFF / 2 <= max(pauses.noted) <= OUTAGE_BACKOFF


async def test_a_broken_secret_is_tried_ever_more_rarely(pauses: Pauses) -> None:
    await work_through(
        pauses, lambda work: DeniedError("no") if work.name == ONE else None, tries=30
    )

    assert LAST_BACKOFF / 2 <= max(pauses.noted) <= LAST_BACKOFF


async def test_the_apiserver_is_given_the_time_that_it_asks_for(pauses: Pauses) -> None:
    busy = AnswerError("busy", status=429, retry_after=7.0)

    await work_through(pauses, raising(busy))

    assert pauses.noted[0] == 7.0


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(InvalidSpecError("wrong"), id="a wrong specification"),
        pytest.param(AwaitingInputError("a value is missing"), id="a missing input"),
    ],
)
async def test_what_only_news_can_mend_is_not_tried_again(
    error: KeyturnError, pauses: Pauses
) -> None:
    troubled = await work_through(pauses, lambda work: error if work.name == ONE else None)

    assert pauses.noted == []
    assert troubled.works.count(ONE) == 1


async def test_a_fault_that_nobody_foresaw_ends_no_worker(pauses: Pauses) -> None:
    troubled = await work_through(pauses, raising(ValueError("unforeseen")), tries=5)

    assert TWO in troubled.works


async def test_the_longest_reconcile_is_told_while_it_runs(pauses: Pauses) -> None:
    queue = WorkQueue(pauses)
    begun = asyncio.Event()

    class Endless(Troubled):
        async def reconcile(self, work: Work) -> KeyturnError | None:
            begun.set()
            await asyncio.Event().wait()
            return None

    workers = Workers(queue, cast(Reconciler, Endless(lambda _: None)), 1)
    assert workers.longest() == 0.0
    working = asyncio.create_task(workers.run())
    queue.put(ONE)
    await begun.wait()
    await asyncio.sleep(0.01)

    longest = workers.longest()

    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    assert longest > 0.0
    assert workers.longest() == 0.0
