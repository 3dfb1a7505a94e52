from dataclasses import replace

import pytest

from rotation_model import Kind, World, explore

SMALL = World(Kind.SINGLE, takeovers=1, kills=1)


@pytest.mark.parametrize(
    ("kind", "states"),
    [(Kind.SINGLE, 9_000), (Kind.ALTERNATING, 22_000), (Kind.COEXISTING, 33_000)],
)
def test_no_kill_doubt_delay_or_takeover_loses_a_credential(kind: Kind, states: int) -> None:
    visited, _, broken = explore(World(kind))

    assert not broken
    assert visited > states


def test_credentials_that_stand_side_by_side_need_no_lock() -> None:
    visited, _, broken = explore(replace(SMALL, kind=Kind.COEXISTING, has_lock=False, give_ups=0))

    assert not broken
    assert visited > 50_000


@pytest.mark.parametrize(
    ("world", "promise"),
    [
        (replace(SMALL, has_lock=False), "lost"),
        (replace(SMALL, has_lock=False, kind=Kind.ALTERNATING), "gap"),
        (replace(SMALL, has_epoch=False), "lost"),
        (replace(SMALL, has_epoch=False, kind=Kind.ALTERNATING), "gap"),
        (replace(SMALL, has_epoch=False, kind=Kind.COEXISTING), "gap"),
        (replace(SMALL, keeps_pending=False), "lost"),
        (replace(SMALL, probes=False), "lost"),
        (replace(SMALL, probes=False, kind=Kind.ALTERNATING), "gap"),
        (replace(SMALL, probes=False, kind=Kind.COEXISTING), "gap"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else value.kind.value,
)
def test_without_a_defence_the_promise_breaks(world: World, promise: str) -> None:
    _, state, broken = explore(world)

    assert broken.startswith(promise)
    assert state is not None
