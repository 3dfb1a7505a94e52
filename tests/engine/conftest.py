"""The process of a file of kill tests, and the secret that a class of them rotates."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from engine.harness import Rotated, Victim
from engine.kills import Stand

logger = logging.getLogger(__name__)


@pytest.fixture(scope="session")
def kills(pytestconfig: pytest.Config) -> int:
    """How often a process is killed at each place."""
    number: int = pytestconfig.getoption("--kills")
    return number


@pytest.fixture(scope="module")
def victim(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Victim]:
    with Victim.started(tmp_path_factory.mktemp("engine"), request.module.ROTATOR) as victim:
        yield victim
        logger.info("the longest recovery took %.2f s", victim.slowest)


@pytest.fixture(scope="class")
def rotated(victim: Victim, stand: Stand) -> Rotated:
    """A secret whose first version is in the target already."""
    rotated = victim.imported(stand.case, asyncio.run(stand.born()))
    rotated.settle()
    return rotated
