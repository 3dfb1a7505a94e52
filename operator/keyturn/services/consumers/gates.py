"""The gate of the rotations: have the consumers moved, and did they bear the current version?"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from keyturn.domain.consumers_spec import Action, ConsumersSpec, OnFailure
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.restart_marks import was_restarted_for
from keyturn.domain.rollout import Rollout, Verdict, Watched
from keyturn.domain.rotation import Cause
from keyturn.domain.secret import Secret
from keyturn.services.clock import Clock, earliest
from keyturn.services.consumers.inventory import View
from keyturn.services.next_version import newest_but
from keyturn.services.rotation.gating import UNSEEN, Sight, version_before, waits_for_consumers
from keyturn.services.rotation.leadership import Leadership
from keyturn.store.journal import Journal, RotationJournal

SETTLED = timedelta(seconds=15)
"""How long after a projection the first look may count.

Until `LAG` after it a container may begin with the version before, and its kubelet tells of it a
moment later; whoever is not seen to have begun by then begins with what is projected.
"""

PAUSE = timedelta(seconds=30)
"""How long until somebody who is waited for is looked at again, or longer where that is heavy.

Mostly a watch is faster.
"""

MOST_NAMED = 10
"""So many workloads are named; the status has more of them."""


class Looks(Protocol):
    """Reads who uses the targets of a resource, live; see `Consumers`."""

    async def look(self, resource: ManagedSecret, secret: Secret) -> View: ...


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a resource asks to be looked at, for the version that is current.

    `alike` are the versions that have its credential: for whoever holds one of them, no other has
    to stay valid. `waits`: the previous credential stays valid for consumers. `watched` is there
    where they are restarted, and `goes_back` where the version is gone back from if one of them
    fails.
    """

    version: int
    alike: frozenset[int]
    waits: bool
    watched: ConsumersSpec | None
    goes_back: bool


class ConsumerGate:
    """Looks at the consumers of a secret, but only while something depends on it."""

    def __init__(
        self, consumers: Looks, journal: RotationJournal, leadership: Leadership, clock: Clock
    ) -> None:
        self._consumers = consumers
        self._journal = journal
        self._leadership = leadership
        self._clock = clock

    async def look(self, resource: ManagedSecret, secret: Secret, journal: Journal) -> Sight:
        """Look, and remember how each restart stands.

        Raises:
            LeadershipLostError, StoreUnavailableError.
        """
        asked = _asked(resource, secret, journal)
        if asked is None:
            return UNSEEN
        known = await self._journal.rollouts(secret.id) if asked.watched is not None else ()
        known = [each for each in known if each.version == asked.version]
        is_over = bool(known) and all(each.verdict is not None for each in known)
        if not asked.waits and (is_over or asked.watched is None):
            return _judged(UNSEEN, asked, known)
        return await self._look(resource, secret, asked, known)

    async def _look(
        self, resource: ManagedSecret, secret: Secret, asked: _Asked, known: Sequence[Rollout]
    ) -> Sight:
        # Of before the request: what it answers may be as old as that.
        now = self._clock()
        view = await self._consumers.look(resource, secret)
        watched = _watched(resource, view, asked, now)
        rollouts = known if watched is None else watched.rollouts(known)
        if tuple(rollouts) != tuple(known) and self._leadership.is_leading():
            await self._journal.note_rollouts(self._leadership.epoch, secret.id, rollouts)
        # Who cannot be gone back for needs no way back.
        awaited = rollouts if asked.goes_back else ()
        # What could not be seen is told in any case, so that somebody looks again.
        is_told = asked.waits or view.inventory is None
        sight = sight_of(view, asked.version, asked.alike, awaited, now) if is_told else UNSEEN
        soon = now + _pause(view)
        looks = [] if watched is None else [_next_look(watched, each, soon) for each in rollouts]
        return _judged(replace(sight, wake=earliest([sight.wake, *looks])), asked, rollouts)


def _asked(resource: ManagedSecret, secret: Secret, journal: Journal) -> _Asked | None:
    rotation, consumers = resource.spec.rotation, resource.spec.consumers
    current, previous = secret.stages.current, secret.stages.previous
    before = version_before(secret, journal)
    if rotation is None or current is None:
        return None
    waits = waits_for_consumers(rotation) and previous is not None and journal.open is None
    watched = consumers if consumers is not None and consumers.action is Action.RESTART else None
    asks = watched is not None and watched.on_failure is OnFailure.ROLLBACK
    goes_back = asks and before is not None and _is_new(current, secret, journal)
    return _Asked(current, secret.with_current_credential, waits, watched, goes_back)


def _is_new(version: int, secret: Secret, journal: Journal) -> bool:
    """Tell whether a version is the newest, and was not gone back from, or to, already."""
    newest = newest_but(secret, journal.abandoned)
    cause = journal.cause_of(version)
    is_tried = any(one.cause is Cause.HEALTH and one.number > version for one in journal.rotations)
    is_newest = newest is not None and newest.number == version
    return is_newest and not is_tried and (cause is None or not cause.goes_back)


def _judged(sight: Sight, asked: _Asked, rollouts: Sequence[Rollout]) -> Sight:
    """Add what is known of the restarts: who is unwell, and who is to be gone back for."""
    unwell = [each for each in rollouts if each.verdict in (Verdict.FAILED, Verdict.UNTOLD)]
    failed = [str(each.workload) for each in unwell if each.verdict is Verdict.FAILED]
    return replace(
        sight,
        unwell=tuple(each.workload for each in unwell),
        failed=failed[0] if failed and asked.goes_back else "",
    )


def _watched(resource: ManagedSecret, view: View, asked: _Asked, now: datetime) -> Watched | None:
    if view.inventory is None or asked.watched is None:
        return None
    name, names, version = resource.name.name, view.native_names, asked.version
    restarted = (
        each.ref
        for each in view.inventory.workloads
        if was_restarted_for(each, name, names, view.spells, version)
    )
    return Watched(
        version=version,
        native_names=names,
        restarted=frozenset(restarted),
        inventory=view.inventory,
        spells=view.spells,
        deadline=asked.watched.progress_deadline,
        now=now,
    )


def _pause(view: View) -> timedelta:
    return max(PAUSE, timedelta(seconds=view.rest))


def _next_look(watched: Watched, rollout: Rollout, soon: datetime) -> datetime | None:
    """Tell when to look at a restart again; no watch tells when a workload has got well."""
    due = watched.due(rollout)
    if due is None:
        return None
    return max(due, soon) if rollout.got_well else soon


def sight_of(
    view: View,
    version: int,
    alike: Collection[int],
    rollouts: Sequence[Rollout],
    now: datetime,
) -> Sight:
    """Tell whether all have moved to a version, or to one of those that have its credential.

    `now` is when the view was asked for.
    """
    holders, settled_at = view.holders(alike), _settled_at(view, version)
    if holders is None:
        why = f"it is not known who uses it ({view.why})"
        return Sight(why=why, is_brief=False, wake=now + _pause(view))
    if settled_at is None:
        return Sight(why="not every target shows the current version yet", wake=now + SETTLED)
    if now < settled_at:
        return Sight(why="it was projected just now", wake=settled_at)
    waited_for = [str(ref) for ref in holders]
    under_way = [str(each.workload) for each in rollouts if each.is_under_way]
    if not waited_for and not under_way:
        return Sight(has_moved=True)
    why = (
        f"{_listed(waited_for)} still run with an older version"
        if waited_for
        else f"{_listed(under_way)} are watched after their restart"
    )
    return Sight(why=why, is_brief=False, wake=now + _pause(view))


def _settled_at(view: View, version: int) -> datetime | None:
    """Tell from when on a look counts; None while a target does not show the version."""
    newest = {spell.native_name: spell for spell in view.spells}
    shown = [newest.get(name) for name in view.native_names]
    since = [spell.since for spell in shown if spell is not None and spell.version == version]
    return max(since) + SETTLED if len(since) == len(shown) and since else None


def _listed(named: Sequence[str]) -> str:
    more = len(named) - MOST_NAMED
    return ", ".join(named[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
