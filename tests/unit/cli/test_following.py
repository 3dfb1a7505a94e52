"""How a command waits for a rotation, with a journal that the test writes."""

from typing import Any

import pytest

from keyturn.cli import account, following
from keyturn.cli.client import SilentOperatorError
from keyturn.domain.errors import ConflictError, SecretNotFoundError

Json = dict[str, Any]


def rotation(**changed: Any) -> Json:
    return {"id": "1", "outcome": None, "failures": 0, "step": "setPending", **changed}


class Journal:
    """Answers each look with the next of its answers."""

    def __init__(self, *answers: Json | Exception) -> None:
        self._answers = list(answers)

    def __call__(self) -> Json:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"namespace": "shop", "name": "db", "items": [{"id": "0"}, answer]}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(following, "LAST_PAUSE", 0.0)


def test_it_waits_until_the_rotation_is_over_and_shows_each_step() -> None:
    steps: list[str] = []
    look = Journal(rotation(step="promote"), rotation(step=None, outcome="Succeeded"))

    ended = following.follow(look, rotation(), lambda seen: steps.append(seen["step"]))

    assert ended["outcome"] == "Succeeded"
    assert steps == ["setPending", "promote", None]


def test_a_try_that_fails_ends_the_waiting() -> None:
    ended = following.follow(Journal(rotation(failures=1)), rotation(), lambda _: None)

    assert (ended["outcome"], ended["failures"]) == (None, 1)


def test_of_one_that_has_failed_before_the_next_try_is_waited_for() -> None:
    look = Journal(rotation(failures=2), rotation(failures=3))

    assert following.follow(look, rotation(failures=2), lambda _: None)["failures"] == 3


def test_an_operator_that_starts_anew_is_waited_for() -> None:
    look = Journal(SilentOperatorError("gone"), SilentOperatorError("gone"), rotation(outcome="x"))

    assert following.follow(look, rotation(), lambda _: None)["outcome"] == "x"


def test_it_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PATIENCE", 0.0)

    with pytest.raises(SilentOperatorError):
        following.patiently(Journal(SilentOperatorError("gone")))


def test_an_error_that_was_answered_is_not_asked_again() -> None:
    with pytest.raises(SecretNotFoundError):
        following.patiently(Journal(SecretNotFoundError("deleted"), rotation()))


def test_a_rotation_that_the_journal_forgot_is_an_error() -> None:
    with pytest.raises(ConflictError, match="shop/db is not in its journal"):
        following.follow(Journal(rotation(id="2")), rotation(), lambda _: None)


def test_the_account_has_a_name_also_where_the_system_knows_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)

    assert account.by("keyturn rotate") == "keyturn rotate by uid 4000000000"
