from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.stage import Stage, Stages

numbers = st.integers(1, 6)
moves = st.lists(st.tuples(st.sampled_from(["promote", "begin", "retire"]), numbers), max_size=30)


def moved(steps: list[tuple[str, int]]) -> list[Stages]:
    """Every state on the way; a move that is refused changes nothing."""
    states = [Stages()]
    for move, number in steps:
        before = states[-1]
        try:
            match move:
                case "promote":
                    states.append(before.promote(number))
                case "begin":
                    states.append(before.begin(number))
                case _:
                    states.append(before.retire(list(Stage)[number % 3]))
        except InvalidParameterError:
            states.append(before)
    return states


class TestPromote:
    def test_the_first_version_becomes_current_and_nothing_is_previous(self) -> None:
        stages = Stages().promote(1)

        assert (stages.current, stages.previous) == (1, None)

    def test_current_drags_previous(self) -> None:
        stages = Stages().promote(1).promote(2).promote(3)

        assert (stages.current, stages.previous) == (3, 2)

    def test_unless_it_is_to_stay(self) -> None:
        stages = Stages().promote(1).promote(2)

        assert stages.promote(3, keeps_previous=True) == Stages(
            {Stage.CURRENT: 3, Stage.PREVIOUS: 1}
        )
        assert stages.promote(1, keeps_previous=True) == stages.promote(1)
        assert Stages().promote(1).promote(2, keeps_previous=True) == stages

    def test_a_rollback_swaps_current_and_previous(self) -> None:
        stages = Stages().promote(1).promote(2).promote(1)

        assert (stages.current, stages.previous) == (1, 2)

    def test_promoting_what_is_current_changes_nothing(self) -> None:
        stages = Stages().promote(1).promote(2)

        assert stages.promote(2) == stages

    def test_a_pending_version_that_becomes_current_is_pending_no_more(self) -> None:
        stages = Stages().promote(1).begin(2).promote(2)

        assert (stages.current, stages.previous, stages.pending) == (2, 1, None)

    def test_another_version_leaves_the_pending_one_pending(self) -> None:
        stages = Stages().promote(1).begin(2).promote(3)

        assert (stages.current, stages.previous, stages.pending) == (3, 1, 2)


class TestBegin:
    def test_makes_a_version_pending(self) -> None:
        assert Stages().promote(1).begin(2).pending == 2

    def test_repeating_it_changes_nothing(self) -> None:
        stages = Stages().promote(1).begin(2)

        assert stages.begin(2) == stages

    def test_refuses_a_second_pending_version(self) -> None:
        with pytest.raises(InvalidParameterError, match="version 2 is Pending already"):
            Stages().promote(1).begin(2).begin(3)

    @pytest.mark.parametrize(("number", "stage"), [(2, "Current"), (1, "Previous")])
    def test_refuses_a_version_that_is_in_use(self, number: int, stage: str) -> None:
        with pytest.raises(InvalidParameterError, match=f"holds the stage {stage}"):
            Stages().promote(1).promote(2).begin(number)


class TestRetire:
    @pytest.mark.parametrize("stage", [Stage.PREVIOUS, Stage.PENDING])
    def test_takes_a_stage_off(self, stage: Stage) -> None:
        stages = Stages().promote(1).promote(2).begin(3).retire(stage)

        assert stages.version(stage) is None
        assert stages.current == 2

    def test_refuses_to_take_current_off(self) -> None:
        with pytest.raises(InvalidParameterError, match="only moved"):
            Stages().promote(1).retire(Stage.CURRENT)

    def test_taking_off_what_is_not_there_changes_nothing(self) -> None:
        assert Stages().promote(1).retire(Stage.PENDING) == Stages().promote(1)


class TestRulesThatAlwaysHold:
    @given(moves)
    def test_a_version_holds_at_most_one_stage(self, steps: list[tuple[str, int]]) -> None:
        for stages in moved(steps):
            held = list(stages.versions.values())
            assert len(held) == len(set(held))

    @given(moves)
    def test_what_was_current_is_current_or_previous_afterwards(
        self, steps: list[tuple[str, int]]
    ) -> None:
        states = moved(steps)

        for before, after in pairwise(states):
            if before.current is not None:
                assert before.current in (after.current, after.previous)

    @given(moves)
    def test_once_there_is_a_current_version_there_always_is_one(
        self, steps: list[tuple[str, int]]
    ) -> None:
        states = moved(steps)

        for before, after in pairwise(states):
            assert before.current is None or after.current is not None


class TestStages:
    def test_tells_the_stage_of_a_version(self) -> None:
        stages = Stages().promote(1).promote(2).begin(3)

        assert [stages.of(number) for number in (1, 2, 3, 4)] == [
            Stage.PREVIOUS,
            Stage.CURRENT,
            Stage.PENDING,
            None,
        ]

    def test_cannot_be_changed_in_place(self) -> None:
        given_mapping = {Stage.CURRENT: 1}
        stages = Stages(given_mapping)

        given_mapping[Stage.CURRENT] = 2

        assert stages.current == 1
        with pytest.raises(TypeError):
            stages.versions[Stage.CURRENT] = 2  # type: ignore[index]

    def test_has_the_names_that_people_see(self) -> None:
        assert [str(stage) for stage in Stage] == ["Current", "Previous", "Pending"]
