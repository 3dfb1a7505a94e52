"""The rotations of all secrets: what the reconciler and people ask, and when each is looked at."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from keyturn.domain.errors import (
    InvalidSpecError,
    KeyturnError,
    LeadershipLostError,
    RaceError,
    RotationPendingError,
    UnavailableError,
)
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.rotation import Cause, Rotation, RotationSpec
from keyturn.domain.secret import Secret, SecretName
from keyturn.services.calendar import Calendar
from keyturn.services.clock import Clock
from keyturn.services.rotation.aiming import Aiming
from keyturn.services.rotation.deciding import Decision, decide, next_rotation, token_of
from keyturn.services.rotation.failing import failure_of
from keyturn.services.rotation.gating import (
    UNSEEN,
    Gate,
    Sight,
    Waiting,
    blocked,
    is_held,
    is_under_way,
    keeps_previous,
)
from keyturn.services.rotation.keeping import Keeping
from keyturn.services.rotation.leadership import Leadership
from keyturn.services.rotation.leaving import Leaving
from keyturn.services.rotation.look import Look, unless_current
from keyturn.services.rotation.matching import FollowTarget, Known, Matching
from keyturn.services.rotation.pausing import LAST_RETRY, is_over
from keyturn.services.rotation.pending import PendingVersions, Wanted
from keyturn.services.rotation.performing import Performing
from keyturn.services.rotation.pool import RotationPool
from keyturn.services.rotation.showing import left_behind_by, needs_secrets, require_shown
from keyturn.services.rotation.turn import Turn, step_of, turn_of
from keyturn.services.rotation.turns import Turns
from keyturn.services.sourcing import Sourcing
from keyturn.services.targets import NativeView
from keyturn.store.journal import Journal, RotationJournal, Telling


class Rotations:
    """Looks at each secret as often as it is reconciled, and lets the pool do what is due."""

    def __init__(  # noqa: PLR0913 - the composition root names each collaborator
        self,
        journal: RotationJournal,
        sourcing: Sourcing,
        *,
        pending: PendingVersions,
        aiming: Aiming,
        performing: Performing,
        pool: RotationPool,
        calendar: Calendar,
        leadership: Leadership,
        follow: FollowTarget,
        gate: Gate | None = None,
        changed: Callable[[SecretName], None],
        telling: Callable[[], Telling],
        told: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._sourcing = sourcing
        self._pending = pending
        self._matching = Matching(aiming, follow)
        self._leaving = Leaving(journal, leadership)
        self._turns = Turns(performing, pool, leadership, told=told, changed=changed, clock=clock)
        self._keeping = Keeping(
            journal, leadership, self._turns, changed=changed, telling=telling, told=told
        )
        self._calendar = calendar
        self._leadership = leadership
        self._gate = gate
        self._changed = changed
        self._telling = telling
        self._clock = clock
        self._known: dict[SecretName, Known] = {}

    def news(self, name: SecretName) -> None:
        """Hear that something which a secret depends on changed: a back-off is over."""
        if name in self._known:
            self._known[name].is_urgent = True

    def look_at_all(self) -> None:
        """Let each secret be looked at that had to wait until this operator leads."""
        self._turns.release()

    def forget(self, name: SecretName) -> None:
        """Forget a ManagedSecret that is gone, or is not rotated any more."""
        known = self._known.pop(name, None)
        if known is not None:
            self._leaving.note(known.secret_id)
            self._calendar.set(name, None, lambda: None)
            self._matching.forget(name)
        self._turns.forget(name)

    async def look(
        self, resource: ManagedSecret, secret: Secret, view: NativeView, *, has_failed: bool
    ) -> Look:
        """Look at the rotation of a secret: add what else changed, begin or go on with what is due.

        Raises:
            UnavailableError, RaceError: something that is needed does not answer.
        """
        rotation = resource.spec.rotation
        try:
            if rotation is None:
                return await self._look_at_unrotated(resource, secret, view, has_failed=has_failed)
            known = self._known.setdefault(resource.name, Known())
            known.secret_id = secret.id
            return await self._look(resource, rotation, secret, view, known, has_failed=has_failed)
        except LeadershipLostError:
            # This process ends; of the secret nothing is to be told.
            self._leadership.lose()
            journal = await self._journal.journal(secret.id)
            return Look(secret, journal, unless_current(secret, journal, None), is_acting=True)
        except (UnavailableError, RaceError):
            raise
        except KeyturnError as error:
            if rotation is None:
                raise
            return await self._hindered(resource, rotation, secret, error)

    async def _hindered(
        self,
        resource: ManagedSecret,
        rotation: RotationSpec,
        secret: Secret,
        error: KeyturnError,
    ) -> Look:
        self._turns.take_back(resource.name)
        # Most of it is news to come: a resource that is mended. A right that is given is none.
        now = self._clock()
        self._wake(resource.name, now + timedelta(seconds=LAST_RETRY))
        journal = await self._journal.journal(secret.id)
        return Look(
            secret,
            journal,
            None if secret.stages.current else error,
            failure_of(error, step_of(journal)),
            next_rotation(rotation, secret, journal, now),
        )

    async def _look_at_unrotated(
        self, resource: ManagedSecret, secret: Secret, view: NativeView, *, has_failed: bool
    ) -> Look:
        name = resource.name
        if name in self._known:
            self.forget(name)
        if self._turns.is_at_work(name):
            # Its end is looked at again.
            return Look(secret, error=unless_current(secret, Journal(None), None))
        left = await self._leaving.leave(secret, self._telling())
        if left.journal.open is not None:
            if left.failure is None:
                self._turns.withhold(name)
            error = unless_current(secret, left.journal, None)
            return Look(secret, left.journal, error, left.failure)
        added, problem = await self._sourcing.next(
            resource, left.secret, view, has_failed=has_failed
        )
        return Look(added, left.journal, problem)

    async def _look(
        self,
        resource: ManagedSecret,
        rotation: RotationSpec,
        secret: Secret,
        view: NativeView,
        known: Known,
        *,
        has_failed: bool,
    ) -> Look:
        journal = await self._keeping.anchored(secret, rotation)
        token = token_of(resource)
        if token != known.token:
            # Whoever asks does not want to wait for the end of a back-off.
            known.token, known.is_urgent = token, True
        roles = await self._matching.match(resource, rotation, known)
        error, wants_change, begins = None, False, None
        if journal.open is None and rotation.rotator is None:
            was_new = secret.newest is None
            secret, error = await self._sourcing.next(resource, secret, view, has_failed=has_failed)
            if was_new and secret.newest is not None:
                journal = await self._keeping.handled(secret, journal, token)
        elif journal.open is None and secret.stages.current is not None:
            wants_change = await self._pending.has_changed(
                resource, secret, view, held=roles.held, abandoned=journal.abandoned
            )
        sight = await self._sight(resource, secret, journal)
        now = self._clock()
        urgent, known.is_urgent = known.is_urgent, False
        decision = decide(
            resource,
            rotation,
            secret,
            journal,
            now=now,
            urgent=urgent,
            wants_change=wants_change,
            sight=sight,
            trouble=known.trouble,
        )
        if error is None:
            turn = turn_of(resource, secret, journal, decision, sight)
            is_open = journal.open is not None
            begins = self._act_on(turn, decision, known, urgent=urgent, is_open=is_open)
        trouble = known.trouble.failure if known.trouble else None
        error = error or unless_current(secret, journal, trouble)
        next_time = next_rotation(rotation, secret, journal, now)
        held = is_held(rotation, secret, journal, sight, now)
        waiting = Waiting(sight, decision.held_back) if held else None
        known.waiting = sight.why if held else ""
        acts, unwell = decision.acts, sight.unwell
        found = Look(secret, journal, error, trouble, next_time, acts, waiting, unwell)
        return replace(found, begins=begins, wants_change=wants_change)

    async def _sight(self, resource: ManagedSecret, secret: Secret, journal: Journal) -> Sight:
        """Look at the consumers; without a gate only the time ends an overlap."""
        return UNSEEN if self._gate is None else await self._gate.look(resource, secret, journal)

    def _act_on(
        self, turn: Turn, decision: Decision, known: Known, *, urgent: bool, is_open: bool
    ) -> Turn | None:
        """Let what was decided be done; return it if the native Secrets are to be right first."""
        name, trouble, wake = turn.resource.name, known.trouble, decision.wake
        begins = None
        if not decision.acts:
            self._turns.take_back(name)
            if not is_open:
                # What kept it from being begun is of the past: it is not wanted any more.
                known.trouble = None
        elif self._turns.is_at_work(name):
            # Its end is looked at, and this news is for then.
            known.is_urgent |= urgent
        elif not self._leadership.is_leading():
            known.is_urgent |= urgent
            self._turns.withhold(name)
        elif trouble is not None and not (urgent or is_over(trouble.retry_at, self._clock())):
            wake = trouble.retry_at
        elif needs_secrets(turn.spec, turn.wanted):
            begins = turn
            known.is_urgent |= urgent
        else:
            self._turns.assign(turn, known)
        self._wake(name, wake)
        return begins

    def _wake(self, name: SecretName, when: datetime | None) -> None:
        # Of what waits so long nothing but the name is kept in memory.
        self._calendar.set(name, when, partial(self._changed, name))

    def shown(self, look: Look, left_behind: KeyturnError | None) -> Look:
        """Let begin what waited for the native Secrets; `left_behind` keeps one as it stands."""
        known = self._known.get(look.secret.name)
        if known is None:
            return look
        known.is_shown = True
        known.left_behind = None if left_behind is None else left_behind_by(left_behind)
        if look.begins is None:
            return look
        known.is_urgent = False
        if left_behind is None:
            self._turns.assign(look.begins, known)
        elif look.wants_change:
            # It may be what the native Secret lacks.
            self._turns.assign(replace(look.begins, wanted=Wanted(Cause.CHANGE)), known)
        else:
            self._turns.take_back(look.secret.name)
            return replace(look, trouble=known.left_behind, is_acting=False)
        return look

    async def projected(self, look: Look, rotation: RotationSpec) -> Look:
        """End the rotation whose version is Current in every target now."""
        return await self._keeping.finished(look, rotation)

    async def begin(
        self, resource: ManagedSecret, secret: Secret, wanted: Wanted, *, force: bool = False
    ) -> Rotation:
        """Begin a rotation that a person asked for, and return it; it goes on by itself.

        With `force` it does not wait for consumers that would be locked out.

        Raises:
            InvalidSpecError: the secret is not rotated.
            ConflictError: a rotation is open already.
            RotationPendingError: there is no first credential yet that could be replaced.
            RetireBlockedByConsumersError: consumers hold the credential that would end.
            SecretLeftBehindError: a native Secret would keep it.
            KeyturnError: it cannot begin; the message says why.
        """
        rotation = resource.spec.rotation
        if rotation is None:
            raise InvalidSpecError(f"{resource.name} has no spec.rotation")
        known = self._known.setdefault(resource.name, Known())
        await self._matching.match(resource, rotation, known)
        journal = await self._journal.journal(secret.id)
        if journal.open is not None:
            raise is_under_way(resource.name)
        if not (force or keeps_previous(wanted, secret)):
            sight = await self._sight(resource, secret, journal)
            if is_held(rotation, secret, journal, sight, self._clock()):
                raise blocked(resource.name, secret, sight)
        if rotation.rotator is not None and secret.stages.current is None:
            raise RotationPendingError(
                f"the first version of {resource.name} is not set in its target yet"
            )
        if not force and needs_secrets(rotation, wanted):
            require_shown(resource, secret, known)
        if not await self._turns.begin(Turn(resource, secret.id, wanted), known):
            raise is_under_way(resource.name)
        return (await self._journal.journal(secret.id)).rotations[0]

    async def cancel(self, secret: Secret, by: str) -> Rotation:
        """Give up the open rotation; what it changed is undone.

        Raises:
            ConflictError: none is open, or it is past the point of return.
        """
        rotation = await self._keeping.given_up(secret, by)
        self._leaving.cancelled(secret.id)
        self.news(secret.name)
        self._changed(secret.name)
        return rotation

    def waits_for(self, name: SecretName) -> str:
        """Say whom the previous credential of a secret waited for when it was looked at last."""
        known = self._known.get(name)
        return known.waiting if known is not None else ""

    async def held(self, resource: ManagedSecret) -> frozenset[str]:
        """Name the keys that nobody may put a value to. Raises: KeyturnError: as `begin`."""
        rotation = resource.spec.rotation
        if rotation is None or rotation.rotator is None:
            return frozenset()
        known = self._known.setdefault(resource.name, Known())
        return (await self._matching.match(resource, rotation, known)).refused_to_people
