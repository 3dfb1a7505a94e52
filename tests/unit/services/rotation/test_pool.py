import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from keyturn.domain.secret import SecretName
from keyturn.services.rotation.pool import Assignment, RotationPool


class Work:
    """Assignments that are done when the test says."""

    def __init__(self, limit: int) -> None:
        self.pool = RotationPool(limit)
        self.begun: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}

    def put(
        self, name: str, target: str = "t", *, at_most: int = 2, is_awaited: bool = False
    ) -> bool:
        async def perform() -> None:
            self.begun.append(name)
            await self._ends.setdefault(name, asyncio.Event()).wait()

        full = SecretName("shop", name)
        return self.pool.put(Assignment(full, target, at_most, perform, is_awaited))

    async def end(self, name: str) -> None:
        self._ends.pop(name).set()
        await settled()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def work() -> AsyncIterator[Work]:
    work = Work(limit=3)
    running = asyncio.create_task(work.pool.run())
    await settled()
    yield work
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_so_many_at_once_and_no_more(work: Work) -> None:
    for number in range(5):
        work.put(str(number), target=str(number))
    await settled()
    assert work.begun == ["0", "1", "2"]
    assert work.pool.most == 3

    await work.end("1")

    assert work.begun == ["0", "1", "2", "3"]
    assert work.pool.most == 3
    assert len(work.pool) == 4


async def test_a_full_target_does_not_hold_up_the_others(work: Work) -> None:
    for name in ("a1", "a2", "a3", "a4"):
        work.put(name, "a", at_most=1)
    work.put("b1", "b")
    await settled()
    assert work.begun == ["a1", "b1"]

    await work.end("a1")

    assert work.begun == ["a1", "b1", "a2"]


async def test_targets_take_turns_and_each_keeps_its_order(work: Work) -> None:
    for number in range(4):
        work.put(f"a{number}", "a", at_most=9)
    for number in range(2):
        work.put(f"b{number}", "b", at_most=9)
    await settled()
    for name in ("a0", "b0", "a1"):
        await work.end(name)

    assert work.begun == ["a0", "b0", "a1", "b1", "a2", "a3"]


async def test_the_newest_assignment_of_a_secret_counts(work: Work) -> None:
    for name in ("1", "2", "3"):
        work.put(name, target=name)
    await settled()
    done: list[str] = []

    def assignment(what: str, target: str) -> Assignment:
        async def perform() -> None:
            done.append(what)

        return Assignment(SecretName("shop", "x"), target, 1, perform)

    for what, target in (("old", "t"), ("new", "t"), ("newest", "u")):
        assert work.pool.put(assignment(what, target))
    assert len(work.pool) == 4
    await work.end("1")

    assert done == ["newest"]
    assert len(work.pool) == 2


async def test_one_that_is_at_work_is_not_begun_again(work: Work) -> None:
    assert work.put("x")
    await settled()
    assert work.pool.is_at_work(SecretName("shop", "x"))

    assert not work.put("x")
    await work.end("x")

    assert work.begun == ["x"]
    assert work.put("x")


async def test_one_that_somebody_awaits_is_neither_replaced_nor_dropped(work: Work) -> None:
    for name in ("1", "2", "3"):
        work.put(name, target=name)
    work.put("x")
    assert work.put("x", is_awaited=True)

    assert not work.put("x")
    assert not work.put("x", is_awaited=True)
    work.pool.drop(SecretName("shop", "x"))
    await settled()
    await work.end("1")

    assert work.begun[-1] == "x"


async def test_what_is_dropped_is_not_done(work: Work) -> None:
    work.put("x")
    work.put("y")
    work.pool.drop(SecretName("shop", "x"))
    work.pool.drop(SecretName("shop", "unknown"))
    await settled()

    assert work.begun == ["y"]


async def test_one_that_fails_ends_no_other_and_makes_room(
    work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    async def perform() -> None:
        raise ValueError("hunter2")

    for name in ("1", "2"):
        work.put(name)
    work.pool.put(Assignment(SecretName("shop", "broken"), "u", 1, perform))
    with caplog.at_level(logging.CRITICAL):
        await settled()
    work.put("3", target="u", at_most=1)
    await settled()

    assert work.begun == ["1", "2", "3"]
    assert "shop/broken" in caplog.text
    assert "hunter2" not in caplog.text
