from collections.abc import Iterator
from http import HTTPStatus

import pytest

from keyturn.api.errors import STATUS, UNEXPECTED, from_answer, to_answer
from keyturn.domain import errors
from keyturn.domain.errors import KeyturnError


def tree(kind: type[KeyturnError] = KeyturnError) -> Iterator[type[KeyturnError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


DOMAIN = [kind for kind in tree() if kind.__module__ == errors.__name__]


def test_the_table_covers_the_whole_tree() -> None:
    assert set(STATUS) == set(DOMAIN)


def test_no_two_errors_share_a_code() -> None:
    assert len({kind.code for kind in DOMAIN}) == len(DOMAIN)


@pytest.mark.parametrize("kind", DOMAIN)
def test_an_error_comes_back_as_the_same_class_with_its_message(kind: type[KeyturnError]) -> None:
    _, body = to_answer(kind("what is wrong"))

    again = from_answer(body)

    assert type(again) is kind
    assert again.message == "what is wrong"


@pytest.mark.parametrize(
    ("branch", "status"),
    [
        (errors.InvalidError, {400, 413}),
        (errors.NotFoundError, {404}),
        (errors.ConflictError, {409}),
        (errors.DeniedError, {403}),
        (errors.UnavailableError, {503}),
        (errors.IntegrityError, {500}),
    ],
)
def test_a_branch_has_one_kind_of_status(branch: type[KeyturnError], status: set[int]) -> None:
    assert {int(STATUS[kind]) for kind in tree(branch) if kind in STATUS} == status


def test_an_error_that_a_mechanism_made_goes_by_its_branch() -> None:
    class GoneError(errors.NotFoundError):
        code = "Gone"

    status, body = to_answer(GoneError("it is gone"))

    assert status is HTTPStatus.NOT_FOUND
    assert body == {"code": "NotFound", "message": "it is gone"}


@pytest.mark.parametrize("body", [None, [], "text", {}, {"code": 1}, {"code": "OfNextYear"}])
def test_an_answer_that_is_not_understood_is_no_special_error(body: object) -> None:
    error = from_answer(body)

    assert type(error) is KeyturnError
    assert error.message == UNEXPECTED.message
