"""One turn of a secret's rotation: begin what is wanted, run the machine, record how it ended."""

import logging
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from secrets import randbelow
from uuid import UUID, uuid4

from keyturn.domain.errors import (
    InvalidSpecError,
    KeyturnError,
    TargetUnavailableError,
)
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.rotation import Cause, Failure, Rotation, RotationSpec, Step
from keyturn.domain.rotation_event import Channel
from keyturn.domain.rotation_machine import BACKWARD, FORWARD, RETIREMENT, Phase
from keyturn.domain.secret import Secret
from keyturn.observability import failpoints
from keyturn.rotators.interface import Credential, Order
from keyturn.services.backoff import doubled
from keyturn.services.clock import Clock
from keyturn.services.rotation.aiming import Aim, Aiming
from keyturn.services.rotation.deciding import token_of
from keyturn.services.rotation.gating import frozen_by, keeps_previous
from keyturn.services.rotation.leadership import Leadership
from keyturn.services.rotation.pending import PendingVersions, Wanted
from keyturn.services.rotation.roles import USERNAME, text_of
from keyturn.services.rotation.run import Ended, Records, Run, Task
from keyturn.services.rotation.uninterrupted import uninterrupted
from keyturn.services.targets import NativeView
from keyturn.services.versions import Versions
from keyturn.store.interface import SecretStore
from keyturn.store.journal import Beginning, Journal, RotationJournal, Telling

logger = logging.getLogger(__name__)

FIRST_RETRY, LAST_RETRY = 2.0, 900.0
"""Seconds before the first and the longest pause between two tries of a rotation."""


def pause_after(failures: int) -> timedelta:
    """Tell how long to wait after so many failures: doubling, with jitter of a quarter."""
    seconds = doubled(FIRST_RETRY, failures - 1, LAST_RETRY)
    return timedelta(seconds=seconds * (0.75 + randbelow(1000) / 2000))


@dataclass(frozen=True, slots=True)
class Turn:
    """What is to be done for a secret: a rotation that is to begin, a retirement, or go on.

    `decided_on` is the mark of the journal that it was decided on, `step` is what it begins with.
    """

    resource: ManagedSecret
    secret_id: UUID
    wanted: Wanted | None = None
    retires: bool = False
    decided_on: Hashable = None
    step: Step = Step.CREATE_PENDING

    @property
    def spec(self) -> RotationSpec:
        return self.resource.spec.rotation or RotationSpec()


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
        self._versions = versions
        self._aiming = aiming
        self._pending = pending
        self._leadership = leadership
        self._view_of = view_of
        self._channels = tuple(channels)
        self._told = told
        self._clock = clock

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
                await uninterrupted(self._begin(turn, aim, journal))
                journal = await self._journal.journal(turn.secret_id)
            secret = await self._store.get(turn.secret_id)
            if journal.open is not None:
                if journal.open.step is not Step.PROJECT:
                    await self._go_on(turn, aim, secret, journal, journal.open)
            elif turn.retires:
                await self._retire(turn, aim, secret, journal)

    async def begin(self, turn: Turn) -> None:
        """Only begin the rotation that is wanted. Raises: as `perform`."""
        async with self._aimed(turn) as aim:
            journal = await self._journal.journal(turn.secret_id)
            await uninterrupted(self._begin(turn, aim, journal))

    @asynccontextmanager
    async def _aimed(self, turn: Turn) -> AsyncIterator[Aim]:
        ref = turn.spec.rotator
        settings = await self._aiming.settings(turn.resource.name, ref) if ref else None
        async with self._aiming.aim(turn.resource, turn.spec, settings) as aim:
            yield aim

    async def _begin(self, turn: Turn, aim: Aim, journal: Journal) -> None:
        secret = await self._store.get(turn.secret_id)
        wanted = turn.wanted or Wanted(Cause.REQUEST)
        frozen = frozen_by(wanted, secret)
        returns = keeps_previous(wanted, secret)
        if aim.traits.coexists and secret.stages.previous is not None and not returns:
            # Else nobody would remember the credential that the target still takes.
            await self._retire(turn, aim, secret, journal)
            secret = await self._store.get(turn.secret_id)
        made = await self._pending.make(
            turn.resource,
            secret,
            self._view_of(turn.resource.namespace),
            aim=aim,
            journal=journal,
            wanted=wanted,
            issue=partial(self._issue, turn, aim, secret, journal, wanted),
        )
        digest = self._pending.digest_of(made.base_username, aim)
        beginning = Beginning(
            rotation=Rotation(
                id=uuid4(),
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
            identity="" if aim.traits.coexists else digest,
            base=digest,
            channels=self._channels,
            # Not that of a person: else the resource's own, handled before it, would be a new one.
            handled_token=wanted.token if wanted.token == token_of(turn.resource) else "",
            frozen=frozen,
        )
        failpoints.reach("before.createPending")
        await self._journal.begin(self._leadership.epoch, beginning)
        failpoints.reach("after.createPending")
        # What follows may take minutes, and that it began is news now.
        self._told()
        logger.info("rotation of %s began (%s)", secret.name, wanted.cause)

    async def _issue(
        self, turn: Turn, aim: Aim, secret: Secret, journal: Journal, wanted: Wanted
    ) -> Mapping[str, SecretValue]:
        """Let the target make the new values, where it is one that does."""
        if not aim.traits.issues or wanted.cause not in (Cause.SCHEDULE, Cause.REQUEST):
            return {}
        await self._journal.check_epoch(self._leadership.epoch)
        async with self._order(turn, aim, secret, journal.state_base, None) as order:
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
        async with self._order(turn, aim, secret, journal.state_base, rotation) as order:
            if self._is_of_another_target(order, journal, aim):
                raise InvalidSpecError(
                    f"the rotation to version {rotation.number} began with another rotator or "
                    "user: put spec.rotation back as it was until it is over"
                )
            ended = await self._run(aim, order, records, start)
        if ended.is_refused and await self._is_outdated(turn, secret, rotation):
            await self._begin_anew(rotation)
        elif ended.failure is not None:
            await self._record_failure(turn, rotation, ended.failure)
        elif ended.phase is Phase.DROPPED:
            logger.warning("rotation of %s was given up: %s", secret.name, rotation.give_up)

    def _is_of_another_target(self, order: Order, journal: Journal, aim: Aim) -> bool:
        """Tell whether the rotator or the user that is named now is another one than before.

        An admin credential must not change the user of whoever only names it, nor a second target
        be half of a rotation.
        """
        return self._pending.digest_of(order.base_username, aim) != journal.state_base

    async def _is_outdated(self, turn: Turn, secret: Secret, rotation: Rotation) -> bool:
        """Tell whether a first credential that is refused is another one by now."""
        if rotation.cause is not Cause.INITIAL:
            return False
        view = self._view_of(turn.resource.namespace)
        return await self._pending.is_outdated(turn.resource, secret, view, rotation.number)

    async def _begin_anew(self, rotation: Rotation) -> None:
        """End a first rotation whose credential was mended meanwhile; the next one follows.

        Its target has just refused it and was not changed, so that nothing is to be undone.
        """
        epoch = self._leadership.epoch
        await self._journal.give_up(epoch, rotation.id, "its values were changed")
        await self._journal.drop(epoch, rotation.id, self._telling())

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
            await self._journal.give_up(
                epoch, rotation.id, f"it failed {failed.failures} times, last with {failure.code}"
            )

    async def _retire(self, turn: Turn, aim: Aim, secret: Secret, journal: Journal) -> None:
        """End the previous credential in the target.

        Raises:
            KeyturnError: it could not be ended; it stays Previous.
        """
        number = secret.stages.previous
        if number is None:
            return
        records = Records(
            # There is no journal row of a retirement: only the epoch is checked.
            record=lambda _: self._journal.check_epoch(self._leadership.epoch),
            promote=_nothing,
            drop=_nothing,
            retired=lambda: self._journal.record_retired(self._leadership.epoch, secret.id, number),
        )
        async with self._order(turn, aim, secret, journal.state_base, None) as order:
            if order.previous is None or self._is_of_another_target(order, journal, aim):
                logger.warning(
                    "version %d of %s stays in the target that it was rotated in before",
                    number,
                    secret.name,
                )
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
            )
        )
        ended = await run.go(start)
        if run.lost is not None:
            raise run.lost
        return ended

    @asynccontextmanager
    async def _order(
        self,
        turn: Turn,
        aim: Aim,
        secret: Secret,
        base_digest: str,
        rotation: Rotation | None,
    ) -> AsyncIterator[Order]:
        """Open the credentials that a run may need; they are zeroed when the `with` ends."""
        stages = secret.stages
        numbers = (rotation.number if rotation else None, stages.current, stages.previous)
        payloads: list[Payload] = []
        try:
            credentials: list[Credential | None] = []
            for number in numbers:
                if number is None:
                    credentials.append(None)
                    continue
                payloads.append(await self._versions.open(secret, number))
                credentials.append(aim.roles.credential(number, payloads[-1]))
            pending, current, previous = credentials
            base = self._base(pending or current, base_digest, aim)
            if self._base(previous, base_digest, aim) != base:
                # Of another user, it proves nothing, and is not to be touched.
                previous = None
            if current is not None and self._base(current, base_digest, aim) != base:
                raise InvalidSpecError(
                    "the pending version is of another user than the current one: put "
                    "spec.rotation back as it was until the rotation is over"
                )
            yield Order(
                secret_id=secret.id,
                rotation_id=rotation.id if rotation else uuid4(),
                strategy=aim.strategy(turn.spec.strategy, pending, current),
                base_username=base,
                pending=pending,
                current=current,
                previous=previous,
            )
        finally:
            for payload in payloads:
                payload.zero()

    def _base(self, credential: Credential | None, base_digest: str, aim: Aim) -> str:
        if credential is None or aim.roles.username is None:
            return ""
        value = credential.values.get(USERNAME)
        if value is None:
            return ""
        return self._pending.base_of(text_of(value), base_digest, aim)

    def _telling(self) -> Telling:
        return Telling(self._clock(), self._channels)


class RetirementFailedError(TargetUnavailableError):
    """The previous credential could not be ended in the target; it is tried again."""

    code = "RetirementFailed"

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def failure_of(error: KeyturnError, step: Step) -> Failure:
    """Say of an error that it kept a rotation from going on with a step, or a retirement."""
    if isinstance(error, RetirementFailedError):
        return error.failure
    return Failure(step, error.code, error.message)


async def _nothing() -> None:
    """Stands for what a run of this kind never writes."""
