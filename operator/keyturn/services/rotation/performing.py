"""One turn of a secret's rotation: begin what is wanted, run the machine, record how it ended."""

import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from uuid import UUID

from keyturn.domain.errors import InvalidSpecError, StoreUnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import NO_ROTATOR, Cause, Failure, Rotation, Step
from keyturn.domain.rotation_event import Channel
from keyturn.domain.rotation_machine import BACKWARD, FORWARD, RETIREMENT, Phase
from keyturn.domain.secret import Secret
from keyturn.observability import failpoints
from keyturn.rotators.interface import Order
from keyturn.services.clock import Clock
from keyturn.services.rotation.aiming import Aim, Aiming
from keyturn.services.rotation.deciding import next_rotation, token_of
from keyturn.services.rotation.failing import (
    AnotherTargetError,
    FormerTargetError,
    RetirementFailedError,
)
from keyturn.services.rotation.gating import frozen_by, keeps_previous
from keyturn.services.rotation.leadership import Leadership
from keyturn.services.rotation.ordering import Errand, Ordering, new_errand
from keyturn.services.rotation.pausing import pause_after
from keyturn.services.rotation.pending import Intended, PendingVersion, PendingVersions, Wanted
from keyturn.services.rotation.roles import USERNAME
from keyturn.services.rotation.run import Ended, Records, Run, Task
from keyturn.services.rotation.turn import Turn
from keyturn.services.rotation.uninterrupted import uninterrupted
from keyturn.services.targets import NativeView
from keyturn.services.versions import Versions
from keyturn.store.interface import SecretStore
from keyturn.store.journal import Beginning, Journal, RotationJournal, Telling

logger = logging.getLogger(__name__)


class Performing:
    """Takes the turns; everything that lasts is in the journal."""

    def __init__(  # noqa: PLR0913 - the composition root names each collaborator
        self,
        store: SecretStore,
        journal: RotationJournal,
        versions: Versions,
        *,
        aiming: Aiming,
        pending: PendingVersions,
        leadership: Leadership,
        view_of: Callable[[str], NativeView],
        channels: Collection[Channel],
        told: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._journal = journal
        self._aiming = aiming
        self._pending = pending
        self._ordering = Ordering(versions, pending.identities)
        self._leadership = leadership
        self._view_of = view_of
        self._channels = tuple(channels)
        self._told = told
        self._clock = clock
        self._issued: dict[UUID, PendingVersion] = {}
        """What targets made and the store did not take, by the errand: nobody makes it again."""

    async def perform(self, turn: Turn) -> None:
        """Take one turn; one that was decided on before something else happened is not taken.

        Raises:
            LeadershipLostError: another operator rotates now.
            RaceError: something happened meanwhile; look again.
            KeyturnError: the rotation could not begin, or the store does not answer; what goes
                wrong with one that has begun is in the journal.
        """
        async with self._aimed(turn) as aim:
            journal = await self._journal.journal(turn.secret_id)
            if journal.mark != turn.decided_on:
                return
            if journal.open is None and turn.wanted is not None:
                if not await self._is_still_due(turn, journal):
                    return
                await self._begun(turn, aim, journal)
                journal = await self._journal.journal(turn.secret_id)
            secret = await self._store.get(turn.secret_id)
            if journal.open is not None:
                if journal.open.step is not Step.PROJECT:
                    await self._go_on(turn, aim, secret, journal, journal.open)
            elif turn.retires:
                await self._retire(turn, aim, secret, journal)

    async def _is_still_due(self, turn: Turn, journal: Journal) -> bool:
        """Tell whether what waited for room may begin: meanwhile its window may have closed."""
        if turn.wanted is None or turn.wanted.cause is not Cause.SCHEDULE:
            return True
        secret, now = await self._store.get(turn.secret_id), self._clock()
        due = next_rotation(turn.spec, secret, journal, now)
        return due is not None and due <= now

    async def begin(self, turn: Turn) -> None:
        """Only begin the rotation that is wanted. Raises: as `perform`."""
        async with self._aimed(turn) as aim:
            journal = await self._journal.journal(turn.secret_id)
            await self._begun(turn, aim, journal)

    @asynccontextmanager
    async def _aimed(self, turn: Turn) -> AsyncIterator[Aim]:
        ref = turn.spec.rotator
        settings = await self._aiming.settings(turn.resource.name, ref) if ref else None
        async with self._aiming.aim(turn.resource, turn.spec, settings) as aim:
            yield aim

    async def _begun(self, turn: Turn, aim: Aim, journal: Journal) -> None:
        beginning = self._begin(turn, aim, journal)
        # What the target has made must reach the store; what was made here is made anew.
        await (uninterrupted(beginning) if aim.traits.issues else beginning)

    async def _begin(self, turn: Turn, aim: Aim, journal: Journal) -> None:
        secret = await self._store.get(turn.secret_id)
        wanted = turn.wanted or Wanted(Cause.REQUEST)
        frozen = frozen_by(wanted, secret)
        issues = aim.traits.issues and wanted.cause.renews
        errand = Errand.issuing(secret) if issues else new_errand()
        made = self._issued.pop(errand.id, None) or await self._pending.make(
            turn.resource,
            secret,
            self._view_of(turn.resource.namespace),
            aim=aim,
            journal=journal,
            wanted=wanted,
            prepare=partial(self._prepare, turn, aim, journal, errand, wanted),
        )
        identity = self._pending.identities.identity(made.base_username, aim)
        beginning = Beginning(
            rotation=Rotation(
                id=errand.id,
                secret_id=secret.id,
                number=made.sealed.version.number,
                step=Step.SET_PENDING,
                cause=wanted.cause,
                began_at=self._clock(),
                requested_by=wanted.requested_by,
                token=wanted.token,
            ),
            sealed=made.sealed,
            history_limit=turn.resource.spec.history_limit,
            identity="" if aim.traits.coexists else identity.base,
            base=identity.base,
            rotator=identity.rotator,
            base_user=identity.base_user,
            channels=self._channels,
            # Not that of a person: else the resource's own, handled before it, would be a new one.
            handled_token=wanted.token if wanted.token == token_of(turn.resource) else "",
            frozen=frozen,
        )
        failpoints.reach("before.createPending")
        try:
            await self._journal.begin(self._leadership.epoch, beginning)
        except StoreUnavailableError:
            if issues:
                self._issued[errand.id] = made
            raise
        failpoints.reach("after.createPending")
        # What follows may take minutes, and that it began is news now.
        self._told()
        logger.info("rotation of %s began (%s)", secret.name, wanted.cause)

    async def _prepare(
        self,
        turn: Turn,
        aim: Aim,
        journal: Journal,
        errand: Errand,
        wanted: Wanted,
        intended: Intended,
    ) -> Mapping[str, SecretValue]:
        """Make room for the next version in the target, and let that make the new values."""
        secret = await self._store.get(turn.secret_id)
        if not keeps_previous(wanted, secret) and await self._ordering.would_forget(
            aim, secret, intended
        ):
            # Else nobody would remember the credential that the target still takes.
            try:
                await self._retire(turn, aim, secret, journal)
            except FormerTargetError as error:
                # It is told from now on that it stays there.
                logger.warning("a rotation of %s begins all the same: %s", secret.name, error)
            secret = await self._store.get(turn.secret_id)
        if aim.traits.issues and wanted.cause.renews:
            return await self._issue(turn, aim, secret, journal, errand)
        return {}

    async def _issue(
        self, turn: Turn, aim: Aim, secret: Secret, journal: Journal, errand: Errand
    ) -> Mapping[str, SecretValue]:
        await self._journal.check_epoch(self._leadership.epoch)
        async with self._order(turn, aim, secret, journal, errand) as order:
            if order.current is None:
                raise InvalidSpecError("there is no version from which the target could issue one")
            async with aim.rotator.session(aim.target, order) as session:
                failpoints.reach("before.issue")
                issued = await session.issue(order.current)
                failpoints.reach("after.issue")
                return issued

    async def _go_on(
        self, turn: Turn, aim: Aim, secret: Secret, journal: Journal, rotation: Rotation
    ) -> None:
        start = BACKWARD if rotation.give_up else FORWARD
        is_forward = start is FORWARD
        records = Records(
            record=lambda step: self._journal.record(self._leadership.epoch, rotation.id, step),
            promote=lambda: self._journal.promote(
                self._leadership.epoch, rotation.id, unless_given_up=is_forward
            ),
            drop=lambda: self._journal.drop(self._leadership.epoch, rotation.id, self._telling()),
            retired=_nothing,
        )
        async with self._order(turn, aim, secret, journal, Errand.of(rotation)) as whole:
            order = whole
            if self._is_of_another_target(whole, journal, aim):
                if is_forward:
                    raise AnotherTargetError(turn.resource.name, rotation.number)
                # It ends if the current credential works here; nothing else is this target's.
                order = replace(whole, pending=None, previous=None)
            ended = await self._run(aim, order, records, start)
        if ended.is_refused and await self._is_outdated(turn, secret, rotation):
            # There is nothing to be undone, and the next one follows.
            await self._give_up(rotation, "its values were changed")
            await records.drop()
        elif ended.is_refused and ended.failure and rotation.cause is Cause.ROLLBACK:
            # The same values come no closer by being tried again, and whoever asked waits. It is
            # undone like any other: what an earlier try sent may have arrived late.
            why = f"{ended.failure.message} ({ended.failure.code})"
            await self._give_up(rotation, f"the target does not take it: {why}")
        elif ended.failure is not None:
            await self._record_failure(turn, rotation, ended.failure)
        elif ended.phase is Phase.DROPPED:
            logger.warning("rotation of %s was given up: %s", secret.name, rotation.give_up)

    def _is_of_another_target(self, order: Order, journal: Journal, aim: Aim) -> bool:
        return self._pending.identities.is_another(order.base_username, journal.state, aim)

    async def _is_outdated(self, turn: Turn, secret: Secret, rotation: Rotation) -> bool:
        """Tell whether a first credential that is refused is another one by now."""
        if rotation.cause is not Cause.INITIAL:
            return False
        view = self._view_of(turn.resource.namespace)
        return await self._pending.is_outdated(turn.resource, secret, view, rotation.number)

    async def _give_up(self, rotation: Rotation, why: str) -> None:
        logger.warning("rotation to version %d is given up: %s", rotation.number, why)
        await self._journal.give_up(self._leadership.epoch, rotation.id, why)

    async def _record_failure(self, turn: Turn, rotation: Rotation, failure: Failure) -> None:
        # One that does not lead any more has cut itself off, and tells of no failure.
        epoch = self._leadership.epoch
        logger.warning(
            "rotation of %s failed at %s: %s", turn.resource.name, failure.step, failure.code
        )
        retry_at = self._clock() + pause_after(rotation.failures + 1)
        failed = await self._journal.fail(epoch, rotation.id, failure, retry_at, self._telling())
        # A first credential has nothing that could be gone back to.
        is_first = rotation.cause is Cause.INITIAL
        if failed.failures >= turn.spec.max_failures and not failed.give_up and not is_first:
            why = f"it failed {failed.failures} times, last with {failure.code}"
            await self._give_up(rotation, why)

    async def _retire(self, turn: Turn, aim: Aim, secret: Secret, journal: Journal) -> None:
        """End the previous credential in the target.

        Raises:
            KeyturnError: it could not be ended; it stays Previous.
        """
        number = secret.stages.previous
        if number is None:
            return
        records = Records(
            # There is no journal row of a retirement: only the epoch and the user are checked.
            record=lambda _: self._journal.hold_user(self._leadership.epoch, secret.id),
            promote=_nothing,
            drop=_nothing,
            retired=lambda: self._journal.record_retired(self._leadership.epoch, secret.id, number),
        )
        errand = Errand.retiring(secret, number)
        async with self._order(turn, aim, secret, journal, errand) as order:
            if order.previous is None or self._is_of_another_target(order, journal, aim):
                if journal.state is None or journal.state.rotator != NO_ROTATOR:
                    raise FormerTargetError(number)
                await records.retired()
                return
            ended = await self._run(aim, order, records, RETIREMENT)
        if ended.failure is not None:
            raise RetirementFailedError(ended.failure)
        if ended.phase is Phase.RETIRED:
            logger.info("version %d of %s is retired in its target", number, secret.name)

    async def _run(self, aim: Aim, order: Order, records: Records, start: Phase) -> Ended:
        run = Run(
            Task(
                rotator=aim.rotator,
                target=aim.target,
                order=order,
                records=records,
                may_set=aim.may_set(order.base_username),
                coexists=aim.traits.coexists,
                names=aim.traits.rotated | {USERNAME},
                call_seconds=aim.traits.call_seconds,
            )
        )
        ended = await run.go(start)
        if run.lost is not None:
            raise run.lost
        return ended

    def _order(
        self, turn: Turn, aim: Aim, secret: Secret, journal: Journal, errand: Errand
    ) -> AbstractAsyncContextManager[Order]:
        return self._ordering.order(turn.spec.strategy, aim, secret, journal.state, errand)

    def _telling(self) -> Telling:
        return Telling(self._clock(), self._channels)


async def _nothing() -> None:
    """Stands for what a run of this kind never writes."""
