"""A model of consumers beside a rotation: when may the credential end that some of them hold?

The real `decide` and the real gate are asked in every state that can be reached and that none
covers (see `Visited`). Around them is what they cannot see: a kubelet gives a pod what stood in the
Secret up to `LAG` before, and tells of a pod that began only some time later; a turn is taken long
after it was decided on; the operator is killed; the apiserver does not answer. Time goes by in
ticks of `LAG`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple
from uuid import UUID

from keyturn.domain.consumers import Inventory, RunningPod, Spell, Use, Via, WorkloadRef
from keyturn.domain.consumers_spec import LAG
from keyturn.domain.managed_secret import ManagedSecret, ManagedSecretSpec
from keyturn.domain.rotation import Overlap, RotationSpec, RotationState, RotatorRef, Until
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.stage import Stage, Stages
from keyturn.domain.version import Version, VersionReason
from keyturn.services.consumers.gates import sight_of
from keyturn.services.consumers.inventory import View
from keyturn.services.rotation.deciding import Decision, decide
from keyturn.services.rotation.gating import UNSEEN, Sight
from keyturn.store.journal import Journal
from rotation_model import FIRST, Kind, following
from visited import Visited

START = datetime(2026, 3, 1, tzinfo=UTC)
ID = UUID("6f1e6b0a-5a63-4a9b-8a43-2f1b8f2b6c11")
NATIVE = "db"
NEVER = 1000
REPORTED_WITHIN = 2
"""Ticks until a kubelet has told that a pod began."""


@dataclass(frozen=True)
class World:
    """What may happen, and which defences stand; `longest` is the overlap in ticks."""

    kind: Kind
    ticks: int = 10
    longest: int = 6
    rotations: int = 2
    pods: int = 3
    kills: int = 1
    outages: int = 1
    waits: bool = True
    """Without it nobody is waited for."""
    waits_to_rotate: bool = True
    """Without it only the retirement waits, not the next rotation."""
    settles: bool = True
    """Without it a look counts at once after the projection."""
    knows_lag: bool = True
    """Without it a pod is believed to hold what stood there the moment it began."""
    doubts_unknown: bool = True
    """Without it nobody who is seen is nobody who is there."""


class Pod(NamedTuple):
    """When it began, what it really read, and whether its kubelet has told that it began."""

    began: int
    held: int
    is_told: bool


COUNTS = 4
"""So many fields of a state, the last, count down what may still happen."""


class State(NamedTuple):
    """Everything, at one instant; 0 stands for no version.

    `turn` is what was decided and not done yet. `pending` is set in the target and not promoted;
    `is_projected` tells whether the native Secret shows the current version.
    """

    now: int
    current: int
    previous: int
    pending: int
    is_projected: bool
    retire_at: int
    spells: tuple[tuple[int, int], ...]
    accepted: frozenset[int]
    pods: tuple[Pod, ...]
    turn: str
    rotations: int
    starts: int
    kills: int
    outages: int


def first(world: World) -> State:
    """Begin with one version, which a pod holds since long."""
    return State(
        now=0,
        current=FIRST,
        previous=0,
        pending=0,
        is_projected=True,
        retire_at=0,
        spells=((FIRST, -100),),
        accepted=frozenset({FIRST}),
        pods=(Pod(-50, FIRST, is_told=True),),
        turn="",
        rotations=world.rotations,
        starts=world.pods - 1,
        kills=world.kills,
        outages=world.outages,
    )


def explore(world: World, *, limit: int = 1_000_000) -> tuple[int, int, State | None]:
    """Visit the states; return how many, how many retirements, and the first with a pod locked out.

    A pod that holds what ended at the latest time, `longest` after the projection, is not.
    """
    visited, retired = Visited(first(world), counts=COUNTS, limit=limit), 0
    for state in visited:
        for reached in transitions(world, state):
            ended = state.accepted - reached.accepted
            retired += bool(ended) and not reached.pending
            is_over = state.previous != 0 and state.now >= state.retire_at
            if not is_over and any(pod.held in ended for pod in state.pods):
                return len(visited), retired, reached
            visited.add(reached)
    return len(visited), retired, None


def transitions(world: World, state: State) -> Iterator[State]:
    yield from _pods(state)
    if state.now < world.ticks and all(_may_wait(state, pod) for pod in state.pods):
        yield state._replace(now=state.now + 1)
    if state.kills and state.turn:
        yield state._replace(turn="", kills=state.kills - 1)
    if state.pending:
        yield _promoted(state)
    elif not state.is_projected:
        yield _projected(world, state)
    elif state.turn:
        yield from _taken(world, state)
    else:
        yield from _decided(world, state)


def _may_wait(state: State, pod: Pod) -> bool:
    return pod.is_told or state.now < pod.began + REPORTED_WITHIN


def _pods(state: State) -> Iterator[State]:
    for index, pod in enumerate(state.pods):
        others = state.pods[:index] + state.pods[index + 1 :]
        yield state._replace(pods=others)
        if not pod.is_told:
            yield state._replace(pods=tuple(sorted((*others, pod._replace(is_told=True)))))
    if state.starts:
        for version in {_shown(state, state.now), _shown(state, state.now - 1)}:
            begun = Pod(state.now, version, is_told=False)
            pods = tuple(sorted((*state.pods, begun)))
            yield state._replace(pods=pods, starts=state.starts - 1)


def _shown(state: State, moment: int) -> int:
    """Tell what the native Secret said at a moment, as a kubelet has it."""
    return [version for version, since in state.spells if since <= moment][-1]


def _decided(world: World, state: State) -> Iterator[State]:
    sights = [_sight(world, state)]
    if state.outages:
        unknown = UNSEEN if world.doubts_unknown else Sight(has_moved=True)
        sights.append(unknown)
    for sight in sights:
        spent = state._replace(outages=state.outages - (sight is not sights[0]))
        if _decision(world, state, sight, asked=False).retires:
            yield spent._replace(turn="retire")
        if state.rotations and _decision(world, state, sight, asked=True).cause is not None:
            yield spent._replace(turn="rotate")
        if not world.waits_to_rotate and state.rotations:
            yield spent._replace(turn="rotate")


def _decision(world: World, state: State, sight: Sight, *, asked: bool) -> Decision:
    about = (state.now, state.current, state.previous, state.retire_at)
    return _decided_on(world.longest, about, sight, asked=asked)


@cache
def _decided_on(
    longest: int, about: tuple[int, int, int, int], sight: Sight, *, asked: bool
) -> Decision:
    now, current, previous, retire_at = about
    stages = {Stage.CURRENT: current} | ({Stage.PREVIOUS: previous} if previous else {})
    made = [Version(n, ID, START, VersionReason.ROTATED, "key") for n in sorted(stages.values())]
    name = SecretName("shop", "db")
    secret = Secret(ID, "u", name, "u", START, Stages(stages), versions=made)
    journal = Journal(RotationState(START, retire_at=_time(retire_at) if previous else None))
    overlap = Overlap(longest * LAG, Until.CONSUMERS_MOVED)
    rotation = RotationSpec(rotator=RotatorRef("Rotator", "db"), overlap=overlap)
    annotations = {"keyturn.dev/rotate": "now"} if asked else {}
    spec = ManagedSecretSpec(data=(), rotation=rotation)
    resource = ManagedSecret(secret.name, "u", spec, annotations=annotations)
    return decide(resource, rotation, secret, journal, now=_time(now), urgent=False, sight=sight)


def _sight(world: World, state: State) -> Sight:
    if not world.waits:
        return Sight(has_moved=True)
    pods = tuple(_seen(world, pod) for pod in state.pods)
    asked_at = state.now if world.settles else NEVER
    return _seen_at(asked_at, state.current, state.spells, pods)


@cache
def _seen_at(
    moment: int, current: int, shown: tuple[tuple[int, int], ...], began: tuple[int | None, ...]
) -> Sight:
    pods = tuple(_running(number, each) for number, each in enumerate(began))
    spells = [Spell(NATIVE, version, _time(since)) for version, since in shown]
    view = View(frozenset({NATIVE}), spells, Inventory("shop", pods))
    return sight_of(view, current, {current}, (), _time(moment))


def _seen(world: World, pod: Pod) -> int | None:
    """Tell when a pod is seen to have begun; None: not yet."""
    if not pod.is_told:
        return None
    return pod.began if world.knows_lag else pod.began + 1


def _running(number: int, began: int | None) -> RunningPod:
    use = Use(frozenset({Via.ENV}), None if began is None else _time(began))
    ref = WorkloadRef("Deployment", "web")
    return RunningPod(f"web-{number}", str(number), ref, START, {NATIVE: use})


def _taken(world: World, state: State) -> Iterator[State]:
    """Do what was decided, at any time afterwards."""
    done = state._replace(turn="")
    if state.turn == "retire":
        yield _without_previous(done)
        return
    made = following(state.spells[-1][0], state.current)
    if world.kind is Kind.COEXISTING:
        done = _without_previous(done)
        accepted = done.accepted | {made}
    else:
        accepted = frozenset({each for each in done.accepted if each % 2 != made % 2} | {made})
    yield done._replace(pending=made, accepted=accepted, rotations=state.rotations - 1)


def _without_previous(state: State) -> State:
    return state._replace(previous=0, accepted=state.accepted - {state.previous})


def _promoted(state: State) -> State:
    promoted = state._replace(current=state.pending, previous=state.current, pending=0)
    return promoted._replace(is_projected=False, retire_at=NEVER)


def _projected(world: World, state: State) -> State:
    spells = (*state.spells, (state.current, state.now))
    return state._replace(spells=spells, is_projected=True, retire_at=state.now + world.longest)


def _time(tick: int) -> datetime:
    return START + tick * LAG
