"""The rotations of all secrets: what the reconciler and people ask, and when each is looked at."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from keyturn.domain.errors import (
    ConflictError,
    InvalidSpecError,
    KeyturnError,
    LeadershipLostError,
    RaceError,
    RotationPendingError,
    UnavailableError,
)
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.rotation import Cause, Failure, Rotation, RotationSpec, Step
from keyturn.domain.schedule import settled_anchor
from keyturn.domain.secret import Secret, SecretName
from keyturn.kube.following import FollowedObject
from keyturn.observability import failpoints
from keyturn.services.calendar import Calendar
from keyturn.services.clock import Clock
from keyturn.services.rotation.aiming import Aiming
from keyturn.services.rotation.deciding import Decision, decide, next_rotation, token_of
from keyturn.services.rotation.leadership import Leadership
from keyturn.services.rotation.pending import PendingVersions, Wanted
from keyturn.services.rotation.performing import (
    LAST_RETRY,
    Performing,
    Turn,
    failure_of,
    pause_after,
)
from keyturn.services.rotation.pool import Assignment, RotationPool
from keyturn.services.rotation.roles import Roles
from keyturn.services.sourcing import Sourcing
from keyturn.services.targets import NativeView
from keyturn.store.journal import Journal, RotationJournal, Telling

logger = logging.getLogger(__name__)

FollowTarget = Callable[[SecretName, frozenset[FollowedObject]], None]
"""Tells the watches which objects of a rotation's target a ManagedSecret is to follow."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a secret's rotation found.

    `error` keeps the secret from being ready; `trouble` keeps a rotation from beginning, or the
    previous credential from being retired. `next_time` is when the schedule says.
    """

    secret: Secret
    journal: Journal = field(default_factory=lambda: Journal(None))
    error: KeyturnError | None = None
    trouble: Failure | None = None
    next_time: datetime | None = None


@dataclass(slots=True)
class Trouble:
    """What went wrong outside of a rotation's journal; forgotten when the process ends."""

    failure: Failure
    retry_at: datetime
    count: int = 1


@dataclass(slots=True)
class _Known:
    """What is remembered of a secret between two looks; all of it can be found out again."""

    generation: int = -1
    roles: Roles | None = None
    at_most: int = 1
    place: str = ""
    is_urgent: bool = False
    trouble: Trouble | None = None


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
        changed: Callable[[SecretName], None],
        telling: Callable[[], Telling],
        told: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._sourcing = sourcing
        self._pending = pending
        self._aiming = aiming
        self._performing = performing
        self._pool = pool
        self._calendar = calendar
        self._leadership = leadership
        self._follow = follow
        self._changed = changed
        self._telling = telling
        self._told = told
        self._clock = clock
        self._known: dict[SecretName, _Known] = {}

    def news(self, name: SecretName) -> None:
        """Hear that something which a secret depends on changed: a back-off is over."""
        if name in self._known:
            self._known[name].is_urgent = True

    def look_at_all(self) -> None:
        """Let each secret that is rotated be looked at: this operator leads from now on."""
        for name in tuple(self._known):
            self._changed(name)

    def forget(self, name: SecretName) -> None:
        """Forget a ManagedSecret that is gone, or is not rotated any more."""
        if self._known.pop(name, None) is not None:
            self._calendar.set(name, None, lambda: None)
            self._follow(name, frozenset())

    async def look(
        self, resource: ManagedSecret, secret: Secret, view: NativeView, *, has_failed: bool
    ) -> Look:
        """Look at the rotation of a secret: add what else changed, begin or go on with what is due.

        Raises:
            UnavailableError, RaceError: something that is needed does not answer.
        """
        rotation = resource.spec.rotation
        if rotation is None:
            self.forget(resource.name)
            secret, error = await self._sourcing.next(resource, secret, view, has_failed=has_failed)
            return Look(secret, error=error)
        known = self._known.setdefault(resource.name, _Known())
        try:
            return await self._look(resource, rotation, secret, view, known, has_failed=has_failed)
        except (UnavailableError, RaceError):
            raise
        except KeyturnError as error:
            # Most of it is news to come: a resource that is mended. A right that is given is none.
            wake = self._clock() + timedelta(seconds=LAST_RETRY)
            self._calendar.set(resource.name, wake, lambda: self._changed(resource.name))
            journal = await self._journal.journal(secret.id)
            failure = failure_of(error)
            return Look(secret, journal, None if secret.stages.current else error, failure)

    async def _look(
        self,
        resource: ManagedSecret,
        rotation: RotationSpec,
        secret: Secret,
        view: NativeView,
        known: _Known,
        *,
        has_failed: bool,
    ) -> Look:
        journal = await self._anchored(secret)
        roles = await self._match(resource, rotation, known)
        error, wants_change = None, False
        if journal.open is None:
            if rotation.rotator is None:
                secret, error = await self._sourcing.next(
                    resource, secret, view, has_failed=has_failed
                )
            elif secret.stages.current is not None:
                wants_change = await self._pending.has_changed(resource, secret, view, roles)
        now = self._clock()
        urgent, known.is_urgent = known.is_urgent, False
        decision = decide(resource, rotation, secret, journal, now=now, urgent=urgent)
        if wants_change and not decision.acts:
            decision = Decision(Cause.CHANGE)
        if error is None:
            self._act_on(resource, secret, decision, known, urgent=urgent)
        if error is None and secret.stages.current is None:
            error = _not_yet(journal.open, known.trouble)
        return Look(
            secret,
            journal,
            error,
            known.trouble.failure if known.trouble else None,
            next_rotation(rotation, secret, journal, now),
        )

    async def _anchored(self, secret: Secret) -> Journal:
        journal, now = await self._journal.journal(secret.id), self._clock()
        state = journal.state
        # A clock that was far ahead left an anchor that nothing would come due after.
        is_wrong = state is not None and settled_anchor(state.anchor, now) != state.anchor
        if (state is None or is_wrong) and self._leadership.is_leading():
            state = await self._journal.anchor(
                self._leadership.epoch, secret.id, now, again=is_wrong
            )
            journal = replace(journal, state=state)
        return journal

    async def _match(self, resource: ManagedSecret, rotation: RotationSpec, known: _Known) -> Roles:
        """Find out which keys the rotator owns; read anew when the resource or the target changed.

        Raises:
            KeyturnError: the rotator is not there, may not be used, or does not fit.
        """
        fresh = known.generation == resource.generation and not known.is_urgent
        if known.roles is not None and fresh:
            return known.roles
        known.roles, settings = None, None
        known.is_urgent = True
        if rotation.rotator is not None:
            self._follow(
                resource.name, self._aiming.to_follow(resource.name, rotation.rotator, None)
            )
            settings = await self._aiming.settings(resource.name, rotation.rotator)
            self._follow(
                resource.name, self._aiming.to_follow(resource.name, rotation.rotator, settings)
            )
            known.place, known.at_most = settings.uid, settings.max_concurrent
        else:
            known.place, known.at_most = "", NO_TARGET_LIMIT
        known.roles = self._aiming.match(resource, rotation, settings)[2]
        known.generation = resource.generation
        return known.roles

    def _act_on(
        self,
        resource: ManagedSecret,
        secret: Secret,
        decision: Decision,
        known: _Known,
        *,
        urgent: bool,
    ) -> None:
        trouble, now = known.trouble, self._clock()
        wake = decision.wake
        if decision.acts and trouble is not None and trouble.retry_at > now and not urgent:
            wake = trouble.retry_at
        elif decision.acts and self._leadership.is_leading():
            wanted = _wanted(resource, decision)
            self._assign(Turn(resource, secret.id, wanted, decision.retires), known)
        self._calendar.set(resource.name, wake, lambda: self._changed(resource.name))

    def _assign(self, turn: Turn, known: _Known) -> None:
        async def perform() -> None:
            await self._perform(turn, known)

        self._pool.put(Assignment(turn.resource.name, known.place, known.at_most, perform))

    async def _perform(self, turn: Turn, known: _Known) -> None:
        name = turn.resource.name
        try:
            await self._performing.perform(turn)
            known.trouble = None
        except LeadershipLostError:
            self._leadership.lose()
        except KeyturnError as error:
            count = known.trouble.count + 1 if known.trouble else 1
            retry_at = self._clock() + pause_after(count)
            known.trouble = Trouble(failure_of(error), retry_at, count)
            logger.warning("rotation of %s has to wait: %s", name, error.message)
        finally:
            self._told()
            self._changed(name)

    async def projected(self, look: Look, rotation: RotationSpec) -> Look:
        """End the rotation whose version is Current in every target now."""
        rotated = look.journal.open
        if (
            rotated is None
            or rotated.step is not Step.PROJECT
            or rotated.number != look.secret.stages.current
            or not self._leadership.is_leading()
        ):
            return look
        telling = self._telling()
        retire_at = None if rotation.overlap is None else telling.now + rotation.overlap
        failpoints.reach("before.finish")
        await self._journal.finish(self._leadership.epoch, rotated.id, retire_at, telling)
        failpoints.reach("after.finish")
        self._told()
        # Once more, for the next due time.
        self._changed(look.secret.name)
        journal = await self._journal.journal(look.secret.id)
        next_time = next_rotation(rotation, look.secret, journal, self._clock())
        return replace(look, journal=journal, next_time=next_time)

    async def begin(self, resource: ManagedSecret, secret: Secret, wanted: Wanted) -> Rotation:
        """Begin a rotation that a person asked for, and return it; it goes on by itself.

        Raises:
            InvalidSpecError: the secret is not rotated.
            ConflictError: a rotation is open already.
            KeyturnError: it cannot begin; the message says why.
        """
        rotation = resource.spec.rotation
        if rotation is None:
            raise InvalidSpecError(f"{resource.name} has no spec.rotation")
        if (await self._journal.journal(secret.id)).open is not None or self._pool.is_at_work(
            resource.name
        ):
            raise _is_under_way(resource)
        known = self._known.setdefault(resource.name, _Known())
        await self._match(resource, rotation, known)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def answer(error: KeyturnError | None) -> None:
            if not done.done():
                done.set_result(None) if error is None else done.set_exception(error)

        async def perform() -> None:
            try:
                await self._performing.begin(Turn(resource, secret.id, wanted))
                answer(None)
            except KeyturnError as error:
                answer(error)
            finally:
                answer(KeyturnError("the rotation could not begin; the operator's log says why"))
                self._told()
                self._changed(resource.name)

        def replaced() -> None:
            answer(_is_under_way(resource))

        self._pool.put(Assignment(resource.name, known.place, known.at_most, perform, replaced))
        await done
        begun = (await self._journal.journal(secret.id)).rotations
        return begun[0]

    async def cancel(self, secret: Secret, by: str) -> Rotation:
        """Give up the open rotation; what it changed is undone.

        Raises:
            ConflictError: none is open, or it is past the point of return.
        """
        journal = await self._journal.journal(secret.id)
        rotation = journal.open
        if rotation is None:
            raise ConflictError(f"no rotation of {secret.name} is under way")
        if rotation.step is Step.PROJECT:
            raise ConflictError(
                f"version {rotation.number} of {secret.name} is Current already; roll it back"
            )
        if rotation.cause is Cause.INITIAL:
            raise ConflictError(
                f"{secret.name} has no credential that could be gone back to; mend or delete it"
            )
        await self._journal.give_up(self._leadership.epoch, rotation.id, f"cancelled by {by}")
        self._changed(secret.name)
        return rotation

    async def held(self, resource: ManagedSecret) -> frozenset[str]:
        """Name the keys that only a rotation changes. Raises: KeyturnError: as `begin`."""
        rotation = resource.spec.rotation
        if rotation is None or rotation.rotator is None:
            return frozenset()
        known = self._known.setdefault(resource.name, _Known())
        return (await self._match(resource, rotation, known)).held


NO_TARGET_LIMIT = 1000
"""Where no target has to bear them, only the pool's own limit counts."""


def _is_under_way(resource: ManagedSecret) -> ConflictError:
    return ConflictError(
        f"a rotation of {resource.name} is under way; wait for it, or run: "
        f"keyturn rotate {resource.name.name} -n {resource.namespace} --cancel"
    )


def _wanted(resource: ManagedSecret, decision: Decision) -> Wanted | None:
    match decision.cause:
        case None:
            return None
        case Cause.REQUEST:
            return Wanted(Cause.REQUEST, "annotation keyturn.dev/rotate", token_of(resource))
        case cause:
            return Wanted(cause)


def _not_yet(open_rotation: Rotation | None, trouble: Trouble | None) -> KeyturnError:
    failure = open_rotation.failure if open_rotation is not None else None
    failure = failure or (trouble.failure if trouble is not None else None)
    if failure is None:
        return RotationPendingError("the first version is being set in its target")
    return RotationPendingError(f"{failure.step} failed: {failure.message}")
