import asyncio
import gc

import pytest

from keyturn.domain.errors import ClusterUnavailableError
from keyturn.kube.facts import Coalesced


class Asked:
    """Answers with the number of the question, when it is let go."""

    def __init__(self) -> None:
        self.count = 0
        self.gate = asyncio.Event()

    async def __call__(self, subject: str) -> str:
        self.count += 1
        number = self.count
        await self.gate.wait()
        return f"{subject}-{number}"


async def test_questions_that_wait_share_one_answer() -> None:
    ask = Asked()
    coalesced = Coalesced(ask)

    answers = asyncio.gather(*(coalesced.get("a") for _ in range(5)))
    await asyncio.sleep(0)
    ask.gate.set()

    assert set(await answers) == {"a-1"}


async def test_an_answer_is_never_older_than_its_question() -> None:
    ask = Asked()
    coalesced = Coalesced(ask)
    first = asyncio.create_task(coalesced.get("a"))
    await asyncio.sleep(0.01)

    second = asyncio.create_task(coalesced.get("a"))
    await asyncio.sleep(0.01)
    ask.gate.set()

    assert (await first, await second) == ("a-1", "a-2")


async def test_a_failure_is_told_to_all_who_asked_and_not_kept() -> None:
    outcomes = iter([ClusterUnavailableError("down"), None])

    async def ask(subject: str) -> str:
        error = next(outcomes)
        if error is not None:
            raise error
        return subject

    coalesced = Coalesced(ask)
    with pytest.raises(ClusterUnavailableError):
        await coalesced.get("a")

    assert await coalesced.get("a") == "a"


async def test_a_cancelled_asker_does_not_take_the_answer_from_the_others() -> None:
    ask = Asked()
    coalesced = Coalesced(ask)
    first = asyncio.create_task(coalesced.get("a"))
    second = asyncio.create_task(coalesced.get("a"))
    await asyncio.sleep(0.01)

    first.cancel()
    ask.gate.set()

    assert await second == "a-1"


async def test_a_failure_that_nobody_waits_for_any_more_is_nothing_unforeseen() -> None:
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: told.append(what["message"]))
    gate = asyncio.Event()

    async def ask(_: str) -> str:
        await gate.wait()
        raise ClusterUnavailableError("down")

    asker = asyncio.create_task(Coalesced(ask).get("a"))
    await asyncio.sleep(0.01)
    asker.cancel()
    await asyncio.wait([asker])
    gate.set()
    await asyncio.sleep(0.01)
    del asker
    gc.collect()

    assert not told
