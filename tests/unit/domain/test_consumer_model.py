from dataclasses import replace
from typing import Any

import pytest

from consumer_model import World, explore
from rotation_model import Kind

KINDS = (Kind.ALTERNATING, Kind.COEXISTING)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_who_runs_is_locked_out_before_the_longest_time_is_over(kind: Kind) -> None:
    visited, retired, locked_out = explore(World(kind))

    assert locked_out is None
    assert visited > 60_000
    assert retired > 5_000


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "defence", ["waits", "waits_to_rotate", "settles", "knows_lag", "doubts_unknown"]
)
def test_without_a_defence_somebody_is(kind: Kind, defence: str) -> None:
    without: dict[str, Any] = {defence: False}

    _, _, locked_out = explore(replace(World(kind), **without))

    assert locked_out is not None
