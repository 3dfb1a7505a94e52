import pytest

from keyturn.domain.secret import SecretName
from keyturn.handlers.witness import LONG, Witness

ONE, TWO = SecretName("shop", "one"), SecretName("shop", "two")

PATIENCE = 20.0
LATER = PATIENCE + 1


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def witness(clock: Clock) -> Witness:
    return Witness(patience=PATIENCE, clock=clock)


def test_what_kopf_hands_over_in_time_is_not_overdue(witness: Witness, clock: Clock) -> None:
    witness.saw(ONE, 10)
    witness.heard(ONE, 10)
    clock.passes(LATER)

    assert witness.overdue() == []


def test_it_does_not_matter_who_comes_first(witness: Witness, clock: Clock) -> None:
    witness.heard(ONE, 10)
    witness.saw(ONE, 10)
    clock.passes(LATER)

    assert witness.overdue() == []


def test_what_kopf_skips_on_the_way_to_the_newest_is_not_overdue(
    witness: Witness, clock: Clock
) -> None:
    witness.saw(ONE, 10)
    witness.heard(ONE, 11)
    witness.saw(ONE, 11)
    clock.passes(LATER)

    assert witness.overdue() == []


def test_a_list_that_tells_nothing_new_makes_nothing_overdue(
    witness: Witness, clock: Clock
) -> None:
    witness.saw(ONE, 10)
    witness.heard(ONE, 10)

    witness.saw(ONE, 10)
    clock.passes(LATER)

    assert witness.overdue() == []


def test_what_kopf_keeps_for_itself_is_overdue_once_the_patience_is_over(
    witness: Witness, clock: Clock
) -> None:
    witness.saw(ONE, 10)

    assert witness.overdue() == []
    clock.passes(LATER)
    assert witness.overdue() == [ONE]


def test_a_single_thing_that_is_late_is_told_once_while_kopf_talks(
    witness: Witness, clock: Clock
) -> None:
    witness.saw(ONE, 10)
    clock.passes(LATER)
    witness.heard(TWO, 11)

    assert witness.overdue() == [ONE]
    assert not witness.finds_deaf(alive_at=clock.now)
    clock.passes(LATER)
    assert witness.overdue() == []


def test_a_resource_that_is_gone_is_not_waited_for(witness: Witness, clock: Clock) -> None:
    witness.saw(ONE, 10)

    witness.saw_end(ONE, 12)
    clock.passes(LATER)

    assert witness.overdue() == []


def test_the_end_of_a_resource_does_not_hide_its_successor(witness: Witness, clock: Clock) -> None:
    witness.heard(ONE, 10, gone=True)
    witness.heard(ONE, 12)
    witness.saw_end(ONE, 10)
    witness.saw(ONE, 12)
    clock.passes(LATER)

    assert witness.overdue() == []


@pytest.mark.parametrize("kopf_is_first", [True, False], ids=["kopf first", "kopf last"])
def test_nothing_is_kept_of_what_is_gone(witness: Witness, kopf_is_first: bool) -> None:
    witness.saw(ONE, 10)
    witness.heard(ONE, 10)

    if kopf_is_first:
        witness.heard(ONE, 12, gone=True)
        witness.saw_end(ONE, 12)
    else:
        witness.saw_end(ONE, 12)
        witness.heard(ONE, 12, gone=True)

    assert witness.known() == set()


def test_what_is_younger_than_a_list_is_not_forgotten_by_it(witness: Witness, clock: Clock) -> None:
    witness.heard(ONE, 10)
    witness.heard(TWO, 20)

    witness.forget([ONE, TWO], 15)

    assert witness.known() == {TWO}


def test_kopf_is_deaf_when_it_says_nothing_at_all(witness: Witness, clock: Clock) -> None:
    witness.saw(ONE, 10)
    clock.passes(LATER)

    assert witness.overdue() == [ONE]
    assert witness.finds_deaf(alive_at=clock.now)


def test_kopf_begun_anew_has_time_again(witness: Witness, clock: Clock) -> None:
    witness.saw(ONE, 10)
    clock.passes(LATER)
    witness.overdue()
    witness.finds_deaf(alive_at=clock.now)

    clock.passes(1)

    assert witness.overdue() == []
    assert not witness.finds_deaf(alive_at=clock.now)


def test_nobody_is_called_deaf_while_the_apiserver_is_away(witness: Witness, clock: Clock) -> None:
    witness.saw(ONE, 10)
    last_sign = clock.now

    for _ in range(10):
        clock.passes(LATER)
        witness.overdue()
        assert not witness.finds_deaf(alive_at=last_sign)

    assert not witness.finds_deaf_for_good()


def test_one_change_is_enough_to_find_kopf_deaf_for_good(witness: Witness, clock: Clock) -> None:
    witness.saw(ONE, 10)

    for _ in range(LONG + 1):
        assert not witness.finds_deaf_for_good()
        clock.passes(LATER)
        assert witness.overdue() == [ONE]
        assert witness.finds_deaf(alive_at=clock.now)

    assert witness.finds_deaf_for_good()


def test_whoever_hears_again_is_not_deaf(witness: Witness, clock: Clock) -> None:
    witness.saw(ONE, 10)
    for _ in range(LONG + 1):
        clock.passes(LATER)
        witness.overdue()
        witness.finds_deaf(alive_at=clock.now)

    witness.heard(ONE, 10)

    assert not witness.finds_deaf_for_good()
