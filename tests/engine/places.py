"""Where a rotation can be killed, by what the machine says that it passes."""

from collections.abc import Mapping, Sequence

from keyturn.domain.rotation import Strategy
from keyturn.domain.rotation_machine import (
    BACKWARD,
    ENDS,
    FORWARD,
    RETIREMENT,
    Phase,
    Reply,
    advance,
)
from keyturn.rotators.interface import Traits

Places = list[str]
Replies = Mapping[Phase, Reply]


def around(*names: str) -> Places:
    return [f"{when}.{name}" for name in names for when in ("before", "after")]


def run(start: Phase, replies: Replies) -> Places:
    """List the places of a run whose acts reply so, the others with yes."""
    phase, passed = start, []
    while phase not in ENDS:
        passed.append(phase.value)
        phase = advance(phase, replies.get(phase, Reply.YES))
    return around(*passed)


def forward(traits: Traits, strategy: Strategy) -> Places:
    """List the places of a rotation from its beginning until its version is projected."""
    # What the target itself issued, and everything where there is no target, is accepted at once.
    is_there = traits.issues or strategy is Strategy.REGENERATE
    replies = {} if is_there else {Phase.PROBE: Reply.NO}
    return [
        *(around("issue") if traits.issues else []),
        *around("createPending"),
        *run(FORWARD, replies),
        *around("project", "finish"),
    ]


def first(traits: Traits, strategy: Strategy) -> Places:
    """List the places of a first rotation, which sets what nothing was issued for."""
    return [place for place in forward(traits, strategy) if place not in around("issue")]


def retirement() -> Places:
    return run(RETIREMENT, {})


def backward(replies: Replies) -> Places:
    """List the places of a rotation that is cancelled, until the current one is projected again."""
    return [*run(BACKWARD, replies), *around("project")]


def undone(traits: Traits, strategy: Strategy) -> Replies:
    """Tell what the target replies when a rotation is cancelled right after its `set`."""
    stands = traits.coexists or strategy is not Strategy.SINGLE_USER
    answer = Reply.YES if stands else Reply.NO
    return {Phase.UNDO_PROBE_CURRENT: answer, Phase.UNDO_PROBE: answer}


def distinct(*parts: Sequence[str]) -> Places:
    return list(dict.fromkeys(place for part in parts for place in part))
