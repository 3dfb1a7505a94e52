"""The whole operator, killed in the middle of a rotation, is in step again soon after its start."""

import signal
from collections.abc import Sequence
from functools import partial

import pytest

from cluster.operating import OperatorProcess, eventually
from cluster.rotation.postgresql import NAME, RotatedDatabase
from cluster.site import Site
from servers.postgresql import PostgreSQLServer

PLACES: Sequence[str] = (
    "after.createPending",
    "before.set",
    "after.set",
    "before.promote",
    "after.promote",
    # Right after the new version is projected.
    "before.finish",
)
WITHIN = 60.0
"""Seconds from when an operator is ready to when all is in step."""


@pytest.fixture
def database(quiet_site: Site, postgresql: PostgreSQLServer) -> RotatedDatabase:
    return RotatedDatabase.made(postgresql, quiet_site.cluster)


@pytest.mark.parametrize("strategy", ["SingleUser", "AlternatingUsers"])
def test_a_restart_after_a_kill_at_any_place_brings_all_in_step(
    quiet_site: Site, database: RotatedDatabase, strategy: str
) -> None:
    healthy = quiet_site.operator()
    healthy.start()
    database.apply(strategy)
    database.cluster.wait_ready(NAME)
    assert database.logs_in()

    for number, place in enumerate(PLACES, start=1):
        healthy.stop()
        _die_while_rotating(quiet_site.operator(KEYTURN_FAILPOINT=place), database, place)
        # Consumers of two users that alternate noticed nothing.
        assert database.logs_in() or strategy == "SingleUser", place
        healthy.start()
        eventually(
            partial(_is_in_step, database, number + 1),
            within=WITHIN,
            what=f"all is in step after a kill at {place}: {database.status}",
        )
        assert database.logs_in(), place


def _die_while_rotating(operator: OperatorProcess, database: RotatedDatabase, place: str) -> None:
    database.request(place)
    operator.start(ready=False)
    assert operator.end() == -signal.SIGKILL


def _is_in_step(database: RotatedDatabase, version: int) -> bool:
    """Tell whether the rotation to a version is over, and whether its Secret has it."""
    status = database.status
    is_over = status.get("currentVersion") == version and "rotation" not in status
    return is_over and database.logs_in()
