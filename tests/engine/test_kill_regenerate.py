"""kill -9 at every named place of a rotation without a target: nothing is lost."""

import pytest

from engine.harness import Case, Rotated, Victim
from engine.kills import CancelledKillContract, KillContract
from keyturn.domain.rotation import Strategy
from keyturn.services.rotation.no_target import NOWHERE, NoTarget

ROTATOR = ""


@pytest.fixture(scope="class")
def rotated(request: pytest.FixtureRequest, victim: Victim) -> Rotated:
    kills: type[KillContract] = request.cls
    rotation = {"interval": "30d", "overlap": {"max": kills.overlap}}
    rotated = victim.regenerated(Case(ROTATOR, NOWHERE, kills.strategy, kills.traits, rotation))
    rotated.settle()
    return rotated


class TestRegenerate(KillContract):
    strategy, traits = Strategy.REGENERATE, NoTarget().traits({})


class TestCancelled(CancelledKillContract):
    strategy, traits = Strategy.REGENERATE, NoTarget().traits({})
    cancelled_after = "after.claim"
