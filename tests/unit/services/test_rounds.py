"""Turns of native Secrets that nobody watches."""

import asyncio

import pytest

from keyturn.domain.secret import SecretName
from keyturn.services import rounds as module
from keyturn.services.rounds import MOST, Rounds
from keyturn.services.sightings import Seen

INTERVAL = 600.0


class Told(list[SecretName]):
    """The names that were told, in their order."""


def named(number: int) -> SecretName:
    return SecretName("shop", f"app-{number}")


def rounds_of(count: int, *, interval: float = INTERVAL) -> tuple[Rounds, Told]:
    told = Told()
    rounds = Rounds(interval, told.append)
    for number in range(count):
        rounds.assign(named(number), [f"db-{number}"])
    return rounds, told


def is_due(rounds: Rounds, number: int) -> bool:
    return not rounds.is_as_written(("shop", f"db-{number}"), "uid", "1")


def test_nothing_is_due_after_a_start() -> None:
    rounds, told = rounds_of(3)

    assert not any(is_due(rounds, number) for number in range(3))
    assert told == []


def test_in_an_interval_each_has_one_turn_spread_evenly() -> None:
    rounds, told = rounds_of(60)

    spread = []
    for _ in range(int(INTERVAL) + 1):
        before = len(told)
        rounds.tick(1.0)
        spread.append(len(told) - before)

    assert sorted(told) == sorted(named(number) for number in range(60))
    assert max(spread) == 1


def test_however_many_there_are_a_second_has_so_many_turns() -> None:
    rounds, told = rounds_of(30_000)

    for _ in range(10):
        rounds.tick(1.0)

    assert len(told) == 10 * MOST


def test_a_turn_is_due_until_it_was_taken() -> None:
    rounds, _ = rounds_of(1)
    place = ("shop", "db-0")

    rounds.tick(INTERVAL)
    rounds.begin(place)
    rounds.settle(place, None)
    failed = is_due(rounds, 0)
    rounds.begin(place)
    rounds.settle(place, Seen("uid", 2, present=True))

    assert failed
    assert not is_due(rounds, 0)


def test_who_shares_a_native_secret_is_told_together() -> None:
    rounds, told = rounds_of(1)
    rounds.assign(named(7), ["db-0"])

    rounds.tick(INTERVAL)

    assert sorted(told) == [named(0), named(7)]


def test_what_is_projected_no_more_has_no_turn() -> None:
    rounds, told = rounds_of(2)
    rounds.assign(named(0), [])

    for _ in range(3):
        rounds.tick(INTERVAL)
    rounds.assign(named(1), [])
    for _ in range(3):
        rounds.tick(INTERVAL)

    assert named(0) not in told
    assert told


async def test_the_turns_go_on_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.001)
    rounds, told = rounds_of(1, interval=0.01)

    task = asyncio.create_task(rounds.run())
    async with asyncio.timeout(10):
        while len(told) < 3:  # noqa: ASYNC110 - a list tells nobody
            await asyncio.sleep(0.001)
    task.cancel()
