"""The rotation machine: which act comes next, whatever the last one replied. Pure, without I/O.

The engine does the act of a phase and hands the reply to `advance`; nothing else decides. A run
begins anew after each crash and each failure, from the journal: it looks first (probes by fresh
logins) and then does what is missing, so that every act may have happened already.

What keeps a credential from being lost; a model check of this very table turns red without it
(tests/unit/domain/test_rotation_model.py):

- the pending version is durable before the target hears of it, and there is one per rotation;
- every write to the store carries the epoch of the operator, and is refused if another took over;
- the lock in the target is held from before the epoch is checked until after the promotion, so
  that a statement which is still under way in the target ends before anybody else acts; where
  several credentials stand side by side, the model is safe without it;
- after any doubt nothing is guessed: the run ends, and the next one probes and rolls forward.

That the lock is verified once more before the promotion is for what the model does not hold: a
connection pooler between us and the target, or another installation with a store of its own.
"""

from collections.abc import Mapping
from enum import StrEnum

from keyturn.domain.rotation import Step


class Phase(StrEnum):
    """What is done next, or, for the last four, how the run ended."""

    LOCK = "lock"
    CLAIM = "claim"
    PROBE = "probe"
    PROVE = "prove"
    SET = "set"
    RECORD_SET = "recordSet"
    TEST = "test"
    RECORD_TEST = "recordTest"
    VERIFY = "verify"
    PROMOTE = "promote"

    UNDO_LOCK = "undoLock"
    UNDO_CLAIM = "undoClaim"
    UNDO_PROBE_CURRENT = "undoProbeCurrent"
    UNDO_SET_CURRENT = "undoSetCurrent"
    UNDO_TEST_CURRENT = "undoTestCurrent"
    UNDO_PROBE = "undoProbe"
    UNDO_RETIRE = "undoRetire"
    UNDO_VERIFY = "undoVerify"
    DROP = "drop"
    FORWARD_PROBE = "forwardProbe"

    RETIRE_LOCK = "retireLock"
    RETIRE_CLAIM = "retireClaim"
    RETIRE = "retire"
    RETIRE_VERIFY = "retireVerify"
    RECORD_RETIRE = "recordRetire"

    PROMOTED = "promoted"
    DROPPED = "dropped"
    RETIRED = "retired"
    FAILED = "failed"
    SUPERSEDED = "superseded"


class Reply(StrEnum):
    """What an act replied.

    `YES` also means done; `NO` also means refused, and that nothing happened. `DOUBT`: it may have
    happened or not. `LOST`: another operator has the store's epoch.
    """

    YES = "yes"
    NO = "no"
    DOUBT = "doubt"
    LOST = "lost"


FORWARD = Phase.LOCK
"""Where a run begins that is to make the pending version current."""

BACKWARD = Phase.UNDO_LOCK
"""Where a run begins whose rotation was given up or cancelled."""

RETIREMENT = Phase.RETIRE_LOCK
"""Where a run begins that ends the previous credential in the target."""

ENDS = frozenset({Phase.PROMOTED, Phase.DROPPED, Phase.RETIRED, Phase.FAILED, Phase.SUPERSEDED})

_YES: Mapping[Phase, Phase] = {
    # Forward. A pending credential that is accepted at once was set by a run that did not live to
    # tell; the probe is its test.
    Phase.LOCK: Phase.CLAIM,
    Phase.CLAIM: Phase.PROBE,
    Phase.PROBE: Phase.RECORD_TEST,
    Phase.PROVE: Phase.SET,
    Phase.SET: Phase.RECORD_SET,
    Phase.RECORD_SET: Phase.TEST,
    Phase.TEST: Phase.RECORD_TEST,
    Phase.RECORD_TEST: Phase.VERIFY,
    Phase.VERIFY: Phase.PROMOTE,
    Phase.PROMOTE: Phase.PROMOTED,
    # Backward: the target must take the current credential before the pending one is dropped.
    Phase.UNDO_LOCK: Phase.UNDO_CLAIM,
    Phase.UNDO_CLAIM: Phase.UNDO_PROBE_CURRENT,
    Phase.UNDO_PROBE_CURRENT: Phase.UNDO_PROBE,
    Phase.UNDO_SET_CURRENT: Phase.UNDO_TEST_CURRENT,
    Phase.UNDO_TEST_CURRENT: Phase.UNDO_PROBE,
    Phase.UNDO_PROBE: Phase.UNDO_RETIRE,
    Phase.UNDO_RETIRE: Phase.UNDO_VERIFY,
    Phase.UNDO_VERIFY: Phase.DROP,
    Phase.DROP: Phase.DROPPED,
    # Where it will not take the current one back, and takes the pending one: forward after all.
    Phase.FORWARD_PROBE: Phase.RECORD_TEST,
    # Retirement.
    Phase.RETIRE_LOCK: Phase.RETIRE_CLAIM,
    Phase.RETIRE_CLAIM: Phase.RETIRE,
    Phase.RETIRE: Phase.RETIRE_VERIFY,
    Phase.RETIRE_VERIFY: Phase.RECORD_RETIRE,
    Phase.RECORD_RETIRE: Phase.RETIRED,
}

_NO: Mapping[Phase, Phase] = {
    Phase.PROBE: Phase.PROVE,
    Phase.UNDO_PROBE_CURRENT: Phase.UNDO_SET_CURRENT,
    Phase.UNDO_SET_CURRENT: Phase.FORWARD_PROBE,
    Phase.UNDO_PROBE: Phase.UNDO_VERIFY,
}

_STEPS: Mapping[Phase, Step] = {
    Phase.TEST: Step.TEST_PENDING,
    Phase.RECORD_TEST: Step.TEST_PENDING,
    Phase.VERIFY: Step.PROMOTE,
    Phase.PROMOTE: Step.PROMOTE,
}


def advance(phase: Phase, reply: Reply) -> Phase:
    """Tell the phase that follows when the act of this one replied so.

    >>> advance(Phase.PROBE, Reply.NO), advance(Phase.SET, Reply.DOUBT)
    (<Phase.PROVE: 'prove'>, <Phase.FAILED: 'failed'>)
    """
    if reply is Reply.LOST:
        return Phase.SUPERSEDED
    if reply is Reply.YES:
        return _YES[phase]
    if reply is Reply.NO:
        return _NO.get(phase, Phase.FAILED)
    return Phase.FAILED


def step_of(phase: Phase) -> Step:
    """Tell which step of the rotation a phase belongs to, to say where it failed."""
    if phase.value.startswith("undo") or phase in (Phase.DROP, Phase.FORWARD_PROBE):
        return Step.UNDO
    if phase.value.startswith("retire") or phase is Phase.RECORD_RETIRE:
        return Step.RETIRE
    return _STEPS.get(phase, Step.SET_PENDING)
