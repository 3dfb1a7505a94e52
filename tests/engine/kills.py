"""kill -9 at each named place of a rotation, as suites that the tests of each rotator inherit.

::

    ROTATOR = "mine"

    @pytest.fixture(scope="class")
    def stand(request: pytest.FixtureRequest, server: Server) -> Stand: ...

    class TestMine(KillContract):
        strategy = Strategy.SINGLE_USER
        traits = MyRotator().traits({})
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from engine import places
from engine.harness import Case, Rotated, Victim
from engine.promises import all_is_in_step, nothing_is_lost
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Target, Traits

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stand:
    """Where the secrets of a class of tests are rotated; `born` makes a user in the target."""

    case: Case
    born: Callable[[], Coroutine[Any, Any, Credential]]

    @classmethod
    def of(cls, request: pytest.FixtureRequest, target: Target, site: Any, **case: Any) -> "Stand":
        """Make it for a class of tests, with a site as the contract of the rotators has it."""
        kills: type[ByPlace] = request.cls
        rotation = {} if kills.overlap is None else {"overlap": {"max": kills.overlap}}
        made = Case(request.module.ROTATOR, target, kills.strategy, kills.traits, rotation, **case)
        return cls(made, lambda: site.born(kills.strategy))


class ByPlace:
    """Tests that ask for a `place` are made for each that is `listed`."""

    strategy: ClassVar[Strategy]
    traits: ClassVar[Traits]
    overlap: ClassVar[str | None] = "0s"
    """With it the previous credential is retired at once; else when the next rotation begins."""

    @classmethod
    def listed(cls) -> places.Places:
        raise NotImplementedError

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "place" in metafunc.fixturenames:
            metafunc.parametrize("place", self.listed())


class KillContract(ByPlace):
    """Kills in a rotation after the first."""

    @classmethod
    def listed(cls) -> places.Places:
        return [*places.forward(cls.traits, cls.strategy), *places.retirement()]

    def test_these_are_all_places(self, rotated: Rotated) -> None:
        # The first one leaves a previous version, which may not be retired before the next.
        rotated.request()
        rotated.settle()
        rotated.request()

        assert set(rotated.settle()) == set(self.listed())

    def test_a_kill_at_any_place_loses_nothing(
        self, rotated: Rotated, place: str, kills: int
    ) -> None:
        for _ in range(kills):
            before = rotated.projected
            rotated.request()

            assert rotated.killed_at(place)
            nothing_is_lost(rotated)
            rotated.settle()

            assert all_is_in_step(rotated).stages["Current"] == before + 1


class FirstKillContract(ByPlace):
    """Kills while an administrator sets the first version of a user that is there."""

    @classmethod
    def listed(cls) -> places.Places:
        return places.first(cls.traits, cls.strategy)

    def test_a_kill_in_the_first_rotation_loses_nothing(
        self, victim: Victim, stand: Stand, place: str, kills: int
    ) -> None:
        for _ in range(kills):
            rotated = victim.made(stand.case, asyncio.run(stand.born()))

            assert rotated.killed_at(place)
            nothing_is_lost(rotated)
            rotated.settle()

            assert all_is_in_step(rotated).stages == {"Current": 1}


class CancelledKillContract(ByPlace):
    """Kills while a rotation is undone that was killed at a place, and then cancelled."""

    cancelled_after: ClassVar[str] = "after.set"
    outcome: ClassVar[str] = "Abandoned"

    @classmethod
    def listed(cls) -> places.Places:
        return places.backward(cls.replies())

    @classmethod
    def replies(cls) -> places.Replies:
        """Tell what the target replies on the way back."""
        return places.undone(cls.traits, cls.strategy)

    def test_these_are_all_places(self, rotated: Rotated) -> None:
        rotated.request()
        assert rotated.killed_at(self.cancelled_after)

        assert set(rotated.settle(cancels=True)) == set(self.listed())

    def test_a_kill_on_the_way_back_loses_nothing(
        self, rotated: Rotated, place: str, kills: int
    ) -> None:
        for _ in range(kills):
            before = rotated.projected
            rotated.request()
            assert rotated.killed_at(self.cancelled_after)

            assert rotated.killed_at(place, cancels=True)
            nothing_is_lost(rotated)
            rotated.settle()

            after = all_is_in_step(rotated)
            assert after.rotations[0]["outcome"] == self.outcome
            assert (after.stages["Current"] == before) is (self.outcome == "Abandoned")


def kill_at_random(rotated: Rotated, listed: places.Places, times: int) -> None:
    """Kill so many times in a row, in rotations and in recoveries; the log tells the seed."""
    seed = secrets.randbits(32)
    logger.warning("the places are chosen by the seed %d", seed)
    chance, killed = random.Random(seed), 0  # noqa: S311 - no secret comes of it
    while killed < times:
        rotated.request()
        while rotated.killed_at(chance.choice(listed)):
            killed += 1
            nothing_is_lost(rotated)
        all_is_in_step(rotated)
