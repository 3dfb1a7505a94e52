"""Every phase of a run, with every kind of error that its act may end in."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from keyturn.domain.errors import (
    LeadershipLostError,
    StageMovedError,
    StoreUnavailableError,
    TargetLockedError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Step, Strategy
from keyturn.domain.rotation_job import JobResult, RotationJob
from keyturn.domain.rotation_machine import BACKWARD, FORWARD, RETIREMENT, Phase, step_of
from keyturn.rotators.interface import Credential, Order, Target, Traits
from keyturn.rotators.job.rotator import JobRotator
from keyturn.services.rotation.run import UNEXPECTED, Ended, Records, Run, Task

TIMEOUT = 0.02
CANARY = "hunter2"
NAMES = frozenset({"username", "password"})


def credential(version: int, password: str, username: str = "app") -> Credential:
    values = {"username": username, "password": password}
    return Credential(version, {k: SecretValue(v.encode()) for k, v in values.items()})


def order_of(strategy: Strategy, *, is_first: bool = False, same: bool = False) -> Order:
    return Order(
        uuid4(),
        uuid4(),
        strategy,
        "app",
        pending=credential(3, "two" if same else "three"),
        current=None if is_first else credential(2, "two"),
        previous=None if is_first else credential(1, "one"),
    )


class Scripted:
    """A rotator and its session; `takes` are the versions that the target lets in.

    `fails` maps an act to what it raises: `lock`, `accepts 2`, `set`, `retire`, `verify`, `close`,
    and what the store is told.
    """

    def __init__(self, *takes: int, **fails: BaseException) -> None:
        self.takes = set(takes)
        self.fails: dict[str, BaseException] = dict(fails)
        self.done: list[str] = []
        self.kept: list[int] = []
        self.has_lock = True
        self.hangs = ""

    async def _act(self, act: str) -> None:
        self.done.append(act)
        if act == self.hangs:
            await asyncio.Event().wait()
        if act in self.fails:
            raise self.fails[act]

    def check(self, parameters: Mapping[str, Any]) -> None: ...

    def traits(self, parameters: Mapping[str, Any]) -> Traits:
        raise NotImplementedError

    @asynccontextmanager
    async def session(self, target: Target, order: Order) -> AsyncIterator["Scripted"]:
        await self._act("lock")
        yield self
        await self._act("close")

    async def accepts(self, credential: Credential) -> bool:
        await self._act(f"accepts {credential.version}")
        return credential.version in self.takes

    async def set(self, pending: Credential) -> None:
        await self._act("set")
        self.takes.add(pending.version)

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        await self._act("retire")
        self.kept = [each.version for each in kept]
        self.takes.discard(old.version)

    async def holds_lock(self) -> bool:
        await self._act("verify")
        return self.has_lock

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:
        raise NotImplementedError

    # The store

    @property
    def records(self) -> Records:
        return Records(self.record, self.promote, self.drop, self.retired)

    async def record(self, step: Step) -> None:
        await self._act(f"record {step}")

    async def promote(self) -> None:
        await self._act("promote")

    async def drop(self) -> None:
        await self._act("drop")

    async def retired(self) -> None:
        await self._act("retired")

    def run(
        self,
        *,
        may_set: bool = False,
        strategy: Strategy = Strategy.SINGLE_USER,
        coexists: bool = False,
        is_first: bool = False,
        same: bool = False,
    ) -> Run:
        order = order_of(strategy, is_first=is_first, same=same)
        target = Target({}, timeout=TIMEOUT)
        return Run(Task(self, target, order, self.records, may_set, coexists, NAMES))

    async def go(self, start: Phase = FORWARD, **task: Any) -> Ended:
        return await self.run(**task).go(start)


# What a run does


async def test_forward(caplog: pytest.LogCaptureFixture) -> None:
    target = Scripted(2)

    assert await target.go() == Ended(Phase.PROMOTED)
    assert target.done == [
        "lock",
        "record setPending",
        "accepts 3",
        "accepts 2",
        "set",
        "record testPending",
        "accepts 3",
        "record promote",
        "verify",
        "promote",
        "close",
    ]


@pytest.mark.parametrize(("start", "end"), [(FORWARD, Phase.PROMOTED), (BACKWARD, Phase.DROPPED)])
async def test_a_user_that_may_be_set_anyway_is_asked_for_no_proof(
    start: Phase, end: Phase
) -> None:
    """The other user may be barred in a way that tells nothing of its password, and for ever."""
    barred = TargetUnavailableError("the account is barred")
    target = Scripted(**{"accepts 1": barred})

    assert await target.go(start, strategy=Strategy.ALTERNATING_USERS, may_set=True) == Ended(end)
    assert "accepts 1" not in target.done


async def test_what_was_set_before_is_only_promoted() -> None:
    target = Scripted(3)

    assert await target.go() == Ended(Phase.PROMOTED)
    assert "set" not in target.done


async def test_backward_where_nothing_was_set() -> None:
    target = Scripted(2)

    assert await target.go(BACKWARD) == Ended(Phase.DROPPED)
    assert not {"set", "retire"} & set(target.done)


@pytest.mark.parametrize(("coexists", "kept"), [(False, [2]), (True, [2, 1])])
async def test_backward_retires_what_was_set(coexists: bool, kept: list[int]) -> None:
    target = Scripted(2, 3)

    ended = await target.go(BACKWARD, strategy=Strategy.ALTERNATING_USERS, coexists=coexists)

    assert ended == Ended(Phase.DROPPED)
    assert target.takes == {2}
    assert target.kept == kept


async def test_backward_sets_the_current_credential_again() -> None:
    target = Scripted(3)

    await target.go(BACKWARD, may_set=False)

    assert "set" in target.done
    assert 2 in target.takes


async def test_backward_goes_forward_where_the_current_one_is_refused() -> None:
    target = Scripted(3, set=TargetRefusedError("no"))

    assert await target.go(BACKWARD) == Ended(Phase.PROMOTED)


async def test_retirement() -> None:
    target = Scripted(1, 2)

    assert await target.go(RETIREMENT) == Ended(Phase.RETIRED)
    assert target.takes == {2}
    begun, ended = ["lock", "record retire"], ["retire", "verify", "retired", "close"]
    assert target.done == [*begun, "accepts 2", *ended]


async def test_nothing_is_retired_where_the_current_one_is_not_taken() -> None:
    target = Scripted(1)

    ended = await target.go(RETIREMENT)

    assert ended.failure is not None
    assert ended.failure.step is Step.RETIRE
    assert target.takes == {1}
    assert "retire" not in target.done


async def test_but_of_a_user_whom_the_administrator_lists() -> None:
    target = Scripted(1)

    assert await target.go(RETIREMENT, may_set=True) == Ended(Phase.RETIRED)
    assert target.takes == set()


async def test_the_same_credential_in_two_versions_is_not_retired() -> None:
    target = Scripted(2, 3)

    assert await target.go(BACKWARD, same=True) == Ended(Phase.DROPPED)
    assert "retire" not in target.done


# Whose user it is


@pytest.mark.parametrize("proved_by", [1, 2])
async def test_the_admin_is_used_when_the_secret_proved_its_own(proved_by: int) -> None:
    target = Scripted(proved_by)

    assert await target.go() == Ended(Phase.PROMOTED)


async def test_else_it_is_not_used_before_the_administrator_lists_the_user() -> None:
    target = Scripted()

    ended = await target.go()

    assert ended.phase is Phase.FAILED
    assert ended.failure is not None
    assert ended.failure.code == "CurrentRefused"
    assert ended.is_refused
    assert "set" not in target.done
    assert await target.go(may_set=True) == Ended(Phase.PROMOTED)


async def test_nor_to_undo() -> None:
    target = Scripted()

    ended = await target.go(BACKWARD)

    assert ended.failure is not None
    assert ended.failure.code == "BothRefused"
    assert not {"set", "drop"} & set(target.done)
    await target.go(BACKWARD, may_set=True)
    assert 2 in target.takes


async def test_a_first_credential_has_no_other_proof_than_itself() -> None:
    assert (await Scripted(3).go(is_first=True)).phase is Phase.PROMOTED
    assert (await Scripted().go(is_first=True)).phase is Phase.FAILED


# Errors

ACTS = {
    "lock": Phase.LOCK,
    "record setPending": Phase.CLAIM,
    "accepts 3": Phase.PROBE,
    "accepts 2": Phase.PROVE,
    "set": Phase.SET,
    "record testPending": Phase.RECORD_SET,
    "record promote": Phase.RECORD_TEST,
    "verify": Phase.VERIFY,
    "promote": Phase.PROMOTE,
}
ERRORS = {
    "TargetUnavailable": TargetUnavailableError("it does not answer"),
    "TargetLocked": TargetLockedError("another holds the lock"),
    "TargetRefused": TargetRefusedError("it refused"),
    "StoreUnavailable": StoreUnavailableError("the disk is away"),
    UNEXPECTED: ValueError(CANARY),
}


@pytest.mark.parametrize("code", ERRORS)
@pytest.mark.parametrize("act", ACTS)
async def test_every_error_ends_the_run_and_is_told(
    act: str, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    target = Scripted(2)
    target.fails[act] = ERRORS[code]

    ended = await target.go()

    assert ended.phase is Phase.FAILED
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.step) == (code, step_of(ACTS[act]))
    assert CANARY not in ended.failure.message + caplog.text
    assert ("promote" in target.done) is (act == "promote")
    # Nothing is guessed: only what was refused counts as not done.
    assert ended.is_refused is (act == "set" and code == "TargetRefused")


@pytest.mark.parametrize("error", [LeadershipLostError("another"), StageMovedError("over")])
@pytest.mark.parametrize("act", [a for a in ACTS if a.startswith(("record", "promote"))])
async def test_a_run_whose_turn_it_is_not_any_more_is_superseded(act: str, error: Any) -> None:
    target = Scripted(2)
    target.fails[act] = error
    run = target.run()

    assert await run.go(FORWARD) == Ended(Phase.SUPERSEDED)
    assert run.lost is error
    assert target.done[-2:] == [act, "close"] if act != "lock" else True


@pytest.mark.parametrize("act", ["lock", "accepts 3", "set", "verify"])
async def test_an_act_that_hangs_ends(act: str) -> None:
    target = Scripted(2)
    target.hangs = act

    async with asyncio.timeout(10):
        ended = await target.go()

    assert ended.failure is not None
    assert ended.failure.code == "TargetUnavailable"


class SlowJobs:
    """Jobs that each end in the last second of their deadline, with the next of the `results`."""

    namespace = "keyturn-jobs"

    def __init__(self, passes: Callable[[float], None], *results: JobResult) -> None:
        self.passes, self.results = passes, list(results)
        self.steps: list[str] = []

    async def run(self, job: RotationJob) -> JobResult:
        self.steps.append(job.step)
        self.passes(job.pod.deadline - 1)
        # Whatever is due by now comes first.
        for _ in range(3):
            await asyncio.sleep(0)
        return self.results.pop(0)


@pytest.mark.parametrize("deadline", [60, 3600])
async def test_each_job_of_a_rotation_may_take_as_long_as_its_deadline(
    passes: Callable[[float], None], deadline: int
) -> None:
    no, yes = JobResult.REFUSED, JobResult.DONE
    # It is proved by the previous credential only, so that one act runs two Jobs.
    jobs = SlowJobs(passes, no, no, yes, yes, yes)
    parameters = {"image": "rotate:1", "activeDeadlineSeconds": deadline}
    target, rotator = Target(parameters, timeout=1.0, jobs=jobs), JobRotator()
    order, records = order_of(Strategy.SINGLE_USER), Scripted().records
    seconds = rotator.traits(parameters).call_seconds
    task = Task(rotator, target, order, records, False, False, NAMES, seconds)

    assert await Run(task).go(FORWARD) == Ended(Phase.PROMOTED)
    assert jobs.steps == ["test", "test", "test", "set", "test"]


async def test_a_lock_that_was_lost_is_seen_before_the_promotion() -> None:
    target = Scripted(2)
    target.has_lock = False

    ended = await target.go()

    assert ended.failure is not None
    assert ended.failure.step is Step.PROMOTE
    assert "promote" not in target.done


async def test_what_was_set_and_is_not_let_in_is_told() -> None:
    target = Scripted(2)

    async def set_nothing(pending: Credential) -> None:
        target.done.append("set")

    target.set = set_nothing  # type: ignore[method-assign]
    ended = await target.go()

    assert ended.failure is not None
    assert ended.failure.code == "PendingRefused"
    assert not ended.is_refused


@pytest.mark.parametrize("error", [ValueError(CANARY), TargetUnavailableError("gone")])
async def test_a_session_that_ends_badly_changes_nothing_of_what_was_done(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    target = Scripted(2)
    target.fails["close"] = error

    assert await target.go() == Ended(Phase.PROMOTED)
    assert CANARY not in caplog.text


async def test_nor_does_one_that_does_not_end() -> None:
    target = Scripted(2)
    target.hangs = "close"

    async with asyncio.timeout(10):
        assert await target.go() == Ended(Phase.PROMOTED)


@pytest.mark.parametrize(
    ("act", "ended"),
    [("retire", Phase.FAILED), ("verify", Phase.FAILED), ("retired", Phase.FAILED)],
)
async def test_a_retirement_that_fails_stays_to_be_done(act: str, ended: Phase) -> None:
    target = Scripted(1, 2)
    target.fails[act] = TargetUnavailableError("no")

    reached = await target.go(RETIREMENT)

    assert reached.phase is ended
    assert reached.failure is not None
    assert reached.failure.step is Step.RETIRE
