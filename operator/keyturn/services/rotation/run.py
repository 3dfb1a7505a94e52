"""One run of the rotation machine against one target."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import NamedTuple

from keyturn.domain.errors import (
    KeyturnError,
    LeadershipLostError,
    StageMovedError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.rotation import Failure, Step, Strategy
from keyturn.domain.rotation_machine import ENDS, Phase, Reply, advance, step_of
from keyturn.observability import failpoints
from keyturn.observability.failures import describe
from keyturn.rotators.interface import Credential, Order, Rotator, Session, Target

logger = logging.getLogger(__name__)

UNEXPECTED = "Unexpected"
"""The code of what nobody foresaw, for example in a rotator of another package."""

ACT_TIMEOUTS = 6
"""An act takes at most so many times the target's own deadline: it connects and asks some times."""

ACT_CALLS = 3
"""An act calls the session at most so often: it proves the user by two logins, and sets it."""

REFUSALS: Mapping[Phase, tuple[str, str]] = {
    Phase.PROVE: (
        "CurrentRefused",
        "the target takes neither the pending nor the current credential, and the rotator's "
        "allowedUsernames does not list the user; put the right password in, or list the user",
    ),
    Phase.TEST: ("PendingRefused", "the target does not take the credential that was just set"),
    Phase.UNDO_TEST_CURRENT: (
        "CurrentRefused",
        "the target does not take the current credential although it was just set",
    ),
    Phase.FORWARD_PROBE: (
        "BothRefused",
        "the target takes neither the current nor the pending credential; give it one of them, "
        "list the user in the rotator's allowedUsernames, or name the rotator again that the "
        "rotation began with",
    ),
}
"""The code and the text of each phase in which the target said no, and a person has to act."""


class Records(NamedTuple):
    """What a run writes to the store.

    Each raises `LeadershipLostError` or `StageMovedError` once it is not this run's turn any more.
    """

    record: Callable[[Step], Awaitable[None]]
    promote: Callable[[], Awaitable[object]]
    drop: Callable[[], Awaitable[object]]
    retired: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Task:
    """What a run is about; `may_set` says that the user may be set without a proof.

    `coexists` and `call_seconds` are the rotator's traits. Two versions whose values of these
    `names` are the same are one credential to the target.
    """

    rotator: Rotator
    target: Target
    order: Order
    records: Records
    may_set: bool
    coexists: bool
    names: frozenset[str]
    call_seconds: float = 0.0


class Ended(NamedTuple):
    """How a run ended; with `Phase.FAILED` comes what went wrong.

    `is_refused` tells that the target does not take the pending credential, and that nothing was
    changed in it.
    """

    phase: Phase
    failure: Failure | None = None
    is_refused: bool = False


class Run:
    """Does the acts that the machine asks for."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._order = task.order
        self._stack = AsyncExitStack()
        self._session: Session | None = None
        self._failure: Failure | None = None
        self._deadline = task.target.timeout * ACT_TIMEOUTS + task.call_seconds * ACT_CALLS
        self.lost: LeadershipLostError | StageMovedError | None = None
        """Why the run was superseded: by another operator, or because the rotation was ended."""

    async def go(self, start: Phase) -> Ended:
        """Run from a beginning of the machine to an end; the target's lock is released there."""
        phase, last, reply = start, start, Reply.YES
        try:
            while phase not in ENDS:
                failpoints.reach(f"before.{phase.value}")
                reply = await self._reply(phase)
                failpoints.reach(f"after.{phase.value}")
                last, phase = phase, advance(phase, reply)
        finally:
            await self._close()
        if phase is not Phase.FAILED:
            return Ended(phase)
        is_refused = reply is Reply.NO and last in (Phase.PROVE, Phase.SET)
        return Ended(phase, self._failure, is_refused=is_refused)

    async def _close(self) -> None:
        """End the session; that it does not end cleanly changes nothing of what was done."""
        try:
            async with asyncio.timeout(self._deadline):
                await self._stack.aclose()
        except Exception as error:  # noqa: BLE001 - as in `_reply`
            secret = self._order.secret_id
            logger.warning("the session for %s did not end cleanly: %s", secret, describe(error))

    async def _reply(self, phase: Phase) -> Reply:
        try:
            async with asyncio.timeout(self._deadline):
                reply = await self._act(phase)
        # A rotator of another package may fail in any way, and must not end the others.
        except Exception as error:  # noqa: BLE001
            return self._failed(phase, error)
        if reply is Reply.NO and phase in REFUSALS:
            self._note(phase, *REFUSALS[phase])
        return reply

    def _failed(self, phase: Phase, error: Exception) -> Reply:
        match error:
            case LeadershipLostError() | StageMovedError():
                self.lost = error
                return Reply.LOST
            case KeyturnError():
                self._note(phase, error.code, error.message)
            case TimeoutError():
                late = "the target takes too long to answer"
                self._note(phase, TargetUnavailableError.code, late)
            case _:
                # Its text may hold a value; the log tells the place.
                logger.error("%s failed: %s", phase, describe(error))
                self._note(phase, UNEXPECTED, "the rotator failed unexpectedly; see the log")
        refused = isinstance(error, TargetRefusedError) and phase in _CHANGES
        return Reply.NO if refused else Reply.DOUBT

    def _note(self, phase: Phase, code: str, message: str) -> None:
        self._failure = Failure(step_of(phase), code, message)

    async def _act(self, phase: Phase) -> Reply:
        if phase in _RECORDS:
            await self._record(phase)
        elif phase in _LOCKS:
            session = self._task.rotator.session(self._task.target, self._order)
            self._session = await self._stack.enter_async_context(session)
        elif phase in _VERIFIES:
            await self._verify()
        elif phase in _CHANGES:
            await self._change(phase)
        else:
            return await (self._prove() if phase is Phase.PROVE else self._probe(phase))
        return Reply.YES

    async def _record(self, phase: Phase) -> None:
        records = self._task.records
        match phase:
            case Phase.PROMOTE:
                await records.promote()
            case Phase.DROP:
                await records.drop()
            case Phase.RECORD_RETIRE:
                await records.retired()
            case _:
                await records.record(_RECORDS[phase])

    async def _verify(self) -> None:
        if not await self._open.holds_lock():
            raise TargetUnavailableError(
                "the lock in the target was lost; it may be behind a pooler"
            )

    async def _probe(self, phase: Phase) -> Reply:
        about_current = phase in (Phase.UNDO_PROBE_CURRENT, Phase.UNDO_TEST_CURRENT)
        credential = self._order.current if about_current else self._order.pending
        if credential is None:
            # Where there is no current credential, none can be lost.
            return Reply.YES if about_current else Reply.NO
        return Reply.YES if await self._open.accepts(credential) else Reply.NO

    async def _prove(self) -> Reply:
        is_proved = await self._owns(self._order.current, self._order.previous)
        return Reply.YES if is_proved else Reply.NO

    async def _owns(self, *credentials: Credential | None) -> bool:
        """Prove that the secret owns the user, before an admin credential is used for it."""
        if self._task.may_set:
            # A login that tells nothing must not be waited for where no proof is needed.
            return True
        for credential in credentials:
            if credential is not None and await self._open.accepts(credential):
                return True
        return False

    async def _change(self, phase: Phase) -> None:
        order = self._order
        match phase:
            case Phase.SET:
                await self._open.set(_there(order.pending))
            case Phase.UNDO_SET_CURRENT:
                # Else whoever names another user would have its password set by giving up. Nothing
                # is pending where the rotation began in another target: here nothing was changed.
                if order.pending is None or not await self._owns(order.pending, order.previous):
                    raise TargetRefusedError("the secret cannot prove that it owns the user")
                await self._open.set(_there(order.current))
            case Phase.UNDO_RETIRE:
                await self._retire(_there(order.pending), order.current, order.previous)
            case _:
                # Nor may a user be locked out by whoever only names it.
                if not await self._owns(order.current):
                    raise TargetRefusedError(
                        "the target does not take the current credential: in it the previous one "
                        "is not ended"
                    )
                await self._retire(_there(order.previous), order.current)

    async def _retire(self, old: Credential, *others: Credential | None) -> None:
        stay = [each for each in others if each is not None]
        # After a change of what stands beside it the credential is that of the version before; and
        # what was to be gone back to is the previous one itself, which is held still.
        if not any(self._are_one(old, each) for each in stay):
            await self._open.retire(old, self._kept(stay))

    def _are_one(self, one: Credential, other: Credential) -> bool:
        mine, others = one.values, other.values
        shared = self._task.names & mine.keys()
        return shared == self._task.names & others.keys() and all(
            mine[name].matches(others[name]) for name in shared
        )

    def _kept(self, stay: list[Credential]) -> list[Credential]:
        """List what stays; of alternating users the other one's credential is gone already."""
        if not self._task.coexists and self._order.strategy is Strategy.ALTERNATING_USERS:
            return [each for each in stay if each is self._order.current]
        return stay

    @property
    def _open(self) -> Session:
        if self._session is None:
            raise TargetUnavailableError("there is no session with the target")
        return self._session


_LOCKS = frozenset({Phase.LOCK, Phase.UNDO_LOCK, Phase.RETIRE_LOCK})
_VERIFIES = frozenset({Phase.VERIFY, Phase.UNDO_VERIFY, Phase.RETIRE_VERIFY})
_CHANGES = frozenset({Phase.SET, Phase.UNDO_SET_CURRENT, Phase.UNDO_RETIRE, Phase.RETIRE})

_RECORDS: Mapping[Phase, Step] = {
    Phase.CLAIM: Step.SET_PENDING,
    Phase.RECORD_SET: Step.TEST_PENDING,
    Phase.RECORD_TEST: Step.PROMOTE,
    Phase.PROMOTE: Step.PROJECT,
    Phase.UNDO_CLAIM: Step.UNDO,
    Phase.DROP: Step.UNDO,
    Phase.RETIRE_CLAIM: Step.RETIRE,
    Phase.RECORD_RETIRE: Step.RETIRE,
}
"""The phases that write to the store, and the step that the journal stands on afterwards."""


def _there(credential: Credential | None) -> Credential:
    if credential is None:
        raise TargetUnavailableError("the version that is to be set is not there any more")
    return credential
