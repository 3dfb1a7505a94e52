"""A model of two operators, one store and one target, driven by the real rotation machine.

Every act of the machine is a transition here, and around it everything that can go wrong: an
operator is killed, one takes over while the other does not know it, a session is cut, a reply is
lost, a statement takes effect after its session is gone, a rotation is given up. `explore` visits
every state that can be reached and that none covers (see `Visited`), and reports the first in which
a promise is broken.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from keyturn.domain.rotation_machine import (
    BACKWARD,
    ENDS,
    FORWARD,
    RETIREMENT,
    Phase,
    Reply,
    advance,
)
from visited import Visited

OPERATORS = (0, 1)


class Kind(Enum):
    """How the target keeps credentials: one, one for each of two users, or any number."""

    SINGLE = "single"
    ALTERNATING = "alternating"
    COEXISTING = "coexisting"


@dataclass(frozen=True)
class World:
    """What may happen, and which defences stand."""

    kind: Kind
    rotations: int = 2
    takeovers: int = 2
    kills: int = 2
    cuts: int = 1
    doubts: int = 1
    delays: int = 1
    give_ups: int = 1
    has_lock: bool = True
    has_epoch: bool = True
    has_verify: bool = True
    keeps_pending: bool = True
    """Without it a run that begins anew makes another pending value."""
    probes: bool = True
    """Without it a doubt is taken for a success."""


FIRST = 3


def following(version: int, current: int) -> int:
    """Name the next version: its number, and as the lowest bit the user whose turn it is."""
    return (version // 2 + 1) * 2 + (1 - current % 2)


class Statement(NamedTuple):
    """What the target was told and has not done yet; `by` is the session's operator."""

    by: int
    is_set: bool
    version: int


class Worker(NamedTuple):
    """An operator: the epoch that it believes to hold, its run, and whether its session lives."""

    epoch: int
    phase: Phase | None = None
    pending: int = 0
    has_session: bool = False


COUNTS = 7
"""So many fields of a state, the last, count down what may still happen."""


class State(NamedTuple):
    """Everything, at one instant. 0 stands for no version, -1 for nobody; see `following`."""

    epoch: int
    current: int
    previous: int
    pending: int
    is_given_up: bool
    newest: int
    accepted: frozenset[int]
    holder: int
    delayed: tuple[Statement, ...]
    workers: tuple[Worker, Worker]
    rotations: int
    takeovers: int
    kills: int
    cuts: int
    doubts: int
    delays: int
    give_ups: int


def first(world: World) -> State:
    """Begin with version 1, current and accepted, and operator 0 leading."""
    return State(
        epoch=1,
        current=FIRST,
        previous=0,
        pending=0,
        is_given_up=False,
        newest=FIRST,
        accepted=frozenset({FIRST}),
        holder=-1,
        delayed=(),
        workers=(Worker(1), Worker(0)),
        rotations=world.rotations,
        takeovers=world.takeovers,
        kills=world.kills,
        cuts=world.cuts,
        doubts=world.doubts,
        delays=world.delays,
        give_ups=world.give_ups,
    )


def explore(world: World, *, limit: int = 1_000_000) -> tuple[int, State | None, str]:
    """Visit the states; return how many, and the first that breaks a promise, with which."""
    visited = Visited(first(world), counts=COUNTS, limit=limit)
    for state in visited:
        broken = broken_promise(world, state)
        if broken:
            return len(visited), state, broken
        for reached in transitions(world, state):
            visited.add(reached)
    return len(visited), None, ""


def broken_promise(world: World, state: State) -> str:
    stored = {state.current, state.previous, state.pending}
    if not state.accepted & stored:
        return "lost: the target accepts no stored credential"
    if world.kind is not Kind.SINGLE and state.current not in state.accepted:
        return "gap: the current credential is not accepted, though two can stand"
    quiet = not state.pending and not state.delayed and all(w.phase is None for w in state.workers)
    if quiet and state.current not in state.accepted:
        return "out of step: at rest, the current credential is not accepted"
    return ""


def transitions(world: World, state: State) -> Iterator[State]:
    yield from _mishaps(world, state)
    for who in OPERATORS:
        worker = state.workers[who]
        if not worker.epoch:
            continue
        if worker.phase is None:
            yield from _beginnings(world, state, who)
        else:
            yield from _acts(world, state, who, worker.phase)


def _mishaps(world: World, state: State) -> Iterator[State]:
    for who in OPERATORS:
        worker = state.workers[who]
        if state.takeovers and worker.epoch != state.epoch:
            led = _ended(state, who)._replace(epoch=state.epoch + 1, takeovers=state.takeovers - 1)
            yield _with(led, who, Worker(state.epoch + 1))
        if state.kills and worker.phase is not None:
            yield _ended(state, who)._replace(kills=state.kills - 1)
        if state.cuts and worker.has_session:
            cut = _released(state, who)._replace(cuts=state.cuts - 1)
            yield _with(cut, who, worker._replace(has_session=False))
    for index, statement in enumerate(state.delayed):
        left = state.delayed[:index] + state.delayed[index + 1 :]
        gone = state._replace(delayed=left)
        if not state.workers[statement.by].has_session:
            gone = _released(gone, statement.by)
        yield gone
        yield gone._replace(accepted=_done(world, state.accepted, statement))


def _beginnings(world: World, state: State, who: int) -> Iterator[State]:
    worker = state.workers[who]
    leads = worker.epoch == state.epoch or not world.has_epoch
    if not state.pending:
        if leads and state.rotations:
            made = following(state.newest, state.current)
            yield state._replace(pending=made, newest=made, rotations=state.rotations - 1)
        if state.previous and world.kind is not Kind.SINGLE:
            yield _with(state, who, worker._replace(phase=RETIREMENT, pending=state.previous))
        return
    if leads and state.give_ups and not state.is_given_up:
        yield state._replace(is_given_up=True, give_ups=state.give_ups - 1)
    begin = BACKWARD if state.is_given_up else FORWARD
    yield _with(state, who, worker._replace(phase=begin, pending=state.pending))
    if not world.keeps_pending and leads:
        made = following(state.newest, state.current)
        anew = state._replace(pending=made, newest=made)
        if made // 2 <= world.rotations + 2:
            yield _with(anew, who, worker._replace(phase=begin, pending=anew.pending))


def _acts(world: World, state: State, who: int, phase: Phase) -> Iterator[State]:
    for after, reply in _replies(world, state, who, phase):
        told = reply
        if reply is Reply.DOUBT and not world.probes:
            told = Reply.YES
        next_phase = advance(phase, told)
        if next_phase in ENDS:
            yield _ended(after, who)
        else:
            yield _with(after, who, after.workers[who]._replace(phase=next_phase))


def _replies(world: World, state: State, who: int, phase: Phase) -> Iterator[tuple[State, Reply]]:
    match phase:
        case Phase.LOCK | Phase.UNDO_LOCK | Phase.RETIRE_LOCK:
            yield from _lock(world, state, who)
        case Phase.VERIFY | Phase.UNDO_VERIFY | Phase.RETIRE_VERIFY:
            held = state.holder == who or not world.has_lock or not world.has_verify
            yield state, Reply.YES if held else Reply.DOUBT
        case Phase.SET | Phase.UNDO_SET_CURRENT | Phase.RETIRE | Phase.UNDO_RETIRE:
            yield from _change(world, state, who, phase)
        case (
            Phase.PROBE
            | Phase.TEST
            | Phase.PROVE
            | Phase.UNDO_PROBE
            | Phase.UNDO_PROBE_CURRENT
            | Phase.UNDO_TEST_CURRENT
            | Phase.FORWARD_PROBE
        ):
            yield from _probe(state, who, phase)
        case _:
            yield from _write(world, state, who, phase)


def _lock(world: World, state: State, who: int) -> Iterator[tuple[State, Reply]]:
    if not world.has_lock:
        yield _with(state, who, state.workers[who]._replace(has_session=True)), Reply.YES
    elif state.holder == -1:
        locked = state._replace(holder=who)
        yield _with(locked, who, state.workers[who]._replace(has_session=True)), Reply.YES
    else:
        yield state, Reply.DOUBT


def _probe(state: State, who: int, phase: Phase) -> Iterator[tuple[State, Reply]]:
    pending = state.workers[who].pending
    match phase:
        case Phase.PROVE:
            accepted = bool(state.accepted & {state.current, state.previous})
        case Phase.UNDO_PROBE_CURRENT | Phase.UNDO_TEST_CURRENT:
            accepted = state.current in state.accepted
        case _:
            accepted = pending in state.accepted
    yield state, Reply.YES if accepted else Reply.NO
    if state.doubts:
        yield state._replace(doubts=state.doubts - 1), Reply.DOUBT


def _change(world: World, state: State, who: int, phase: Phase) -> Iterator[tuple[State, Reply]]:
    worker = state.workers[who]
    if not worker.has_session:
        yield state, Reply.DOUBT
        return
    version = state.current if phase is Phase.UNDO_SET_CURRENT else worker.pending
    is_set = phase in (Phase.SET, Phase.UNDO_SET_CURRENT)
    statement = Statement(who, is_set, version)
    done = state._replace(accepted=_done(world, state.accepted, statement))
    yield done, Reply.YES
    if state.doubts:
        spent = state.doubts - 1
        yield done._replace(doubts=spent), Reply.DOUBT
        yield state._replace(doubts=spent), Reply.DOUBT
        yield state._replace(doubts=spent), Reply.NO
    if state.delays:
        later = state._replace(delayed=(*state.delayed, statement), delays=state.delays - 1)
        yield later, Reply.DOUBT


def _done(world: World, accepted: frozenset[int], statement: Statement) -> frozenset[int]:
    """Tell what the target accepts after a statement."""
    version = statement.version
    if world.kind is Kind.COEXISTING:
        return accepted | {version} if statement.is_set else accepted - {version}
    same_user = {
        other for other in accepted if world.kind is Kind.SINGLE or other % 2 == version % 2
    }
    return (accepted - same_user) | ({version} if statement.is_set else set())


def _write(world: World, state: State, who: int, phase: Phase) -> Iterator[tuple[State, Reply]]:
    """Write to the store, with the epoch, and only what the journal still stands on."""
    worker = state.workers[who]
    if worker.epoch != state.epoch and world.has_epoch:
        yield state, Reply.LOST
        return
    retires = phase in (Phase.RETIRE_CLAIM, Phase.RECORD_RETIRE)
    expected = state.previous if retires else state.pending
    if expected != worker.pending or (retires and state.pending):
        yield state, Reply.LOST
        return
    written = state
    match phase:
        case Phase.PROMOTE:
            written = state._replace(
                current=state.pending, previous=state.current, pending=0, is_given_up=False
            )
        case Phase.DROP:
            written = state._replace(pending=0, is_given_up=False)
        case Phase.RECORD_RETIRE:
            written = state._replace(previous=0)
        case _:
            pass
    yield written, Reply.YES
    if state.doubts:
        yield written._replace(doubts=state.doubts - 1), Reply.DOUBT


def _with(state: State, who: int, worker: Worker) -> State:
    first_one, second = state.workers
    return state._replace(workers=(worker, second) if who == 0 else (first_one, worker))


def _ended(state: State, who: int) -> State:
    """End a run and its session; a statement under way keeps the session's lock."""
    worker = state.workers[who]
    return _with(_released(state, who), who, Worker(worker.epoch))


def _released(state: State, who: int) -> State:
    under_way = any(statement.by == who for statement in state.delayed)
    if state.holder == who and not under_way:
        return state._replace(holder=-1)
    return state
