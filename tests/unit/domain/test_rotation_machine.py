import pytest

from keyturn.domain.rotation import Step
from keyturn.domain.rotation_machine import (
    BACKWARD,
    ENDS,
    FORWARD,
    RETIREMENT,
    Phase,
    Reply,
    advance,
    step_of,
)


def path(start: Phase, *replies: Reply) -> list[Phase]:
    phases = [start]
    for reply in replies:
        phases.append(advance(phases[-1], reply))
    return phases


Y, N, D = Reply.YES, Reply.NO, Reply.DOUBT


def test_a_rotation_sets_tests_and_promotes() -> None:
    phases = path(FORWARD, Y, Y, N, Y, Y, Y, Y, Y, Y, Y)

    assert [phase.value for phase in phases] == [
        "lock",
        "claim",
        "probe",
        "prove",
        "set",
        "recordSet",
        "test",
        "recordTest",
        "verify",
        "promote",
        "promoted",
    ]


def test_what_an_earlier_run_set_is_not_set_again() -> None:
    assert Phase.SET not in path(FORWARD, Y, Y, Y, Y, Y, Y)
    assert path(FORWARD, Y, Y, Y, Y, Y, Y)[-1] is Phase.PROMOTED


def test_an_unproven_current_credential_ends_the_run_before_the_target_is_changed() -> None:
    assert path(FORWARD, Y, Y, N, N)[-1] is Phase.FAILED


def test_giving_up_proves_the_current_credential_first() -> None:
    assert path(BACKWARD, Y, Y, Y, N, Y, Y)[-1] is Phase.DROPPED
    assert path(BACKWARD, Y, Y, N, Y, Y, Y, Y, Y, Y)[-1] is Phase.DROPPED


def test_giving_up_rolls_forward_where_the_target_does_not_take_the_current_one_back() -> None:
    assert path(BACKWARD, Y, Y, N, N, Y, Y, Y, Y)[-1] is Phase.PROMOTED
    assert path(BACKWARD, Y, Y, N, N, N)[-1] is Phase.FAILED


def test_retiring_verifies_the_lock_before_it_is_recorded() -> None:
    assert path(RETIREMENT, Y, Y, Y, Y, Y)[-1] is Phase.RETIRED
    assert path(RETIREMENT, Y, Y, Y, D)[-1] is Phase.FAILED


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in ENDS])
def test_a_doubt_ends_the_run_and_a_lost_epoch_supersedes_it(phase: Phase) -> None:
    assert advance(phase, Reply.DOUBT) is Phase.FAILED
    assert advance(phase, Reply.LOST) is Phase.SUPERSEDED


@pytest.mark.parametrize("start", [FORWARD, BACKWARD, RETIREMENT])
def test_every_run_ends(start: Phase) -> None:
    reached, waiting = {start}, [start]
    while waiting:
        phase = waiting.pop()
        for reply in () if phase in ENDS else Reply:
            after = advance(phase, reply)
            if after not in reached:
                reached.add(after)
                waiting.append(after)

    assert reached & ENDS
    assert len(reached) < len(Phase)


@pytest.mark.parametrize(
    ("phase", "step"),
    [
        (Phase.LOCK, Step.SET_PENDING),
        (Phase.PROVE, Step.SET_PENDING),
        (Phase.TEST, Step.TEST_PENDING),
        (Phase.PROMOTE, Step.PROMOTE),
        (Phase.UNDO_LOCK, Step.UNDO),
        (Phase.DROP, Step.UNDO),
        (Phase.RETIRE, Step.RETIRE),
        (Phase.RECORD_RETIRE, Step.RETIRE),
    ],
)
def test_a_phase_tells_its_step(phase: Phase, step: Step) -> None:
    assert step_of(phase) is step
