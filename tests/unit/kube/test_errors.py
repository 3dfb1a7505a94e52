import json
from typing import Any

import pytest

from keyturn.domain.errors import ClusterUnavailableError, DeniedError, InvalidError, KeyturnError
from keyturn.kube.errors import (
    AlreadyExistsError,
    AnswerError,
    ChangedError,
    KindNotFoundError,
    ObjectNotFoundError,
    error_of,
)


def answer(status: int, headers: dict[str, str] | None = None, **fields: Any) -> KeyturnError:
    return error_of(status, json.dumps(fields).encode(), headers or {})


@pytest.mark.parametrize(
    ("status", "fields", "expected"),
    [
        pytest.param(404, {"details": {"name": "x"}}, ObjectNotFoundError, id="no such object"),
        pytest.param(404, {}, KindNotFoundError, id="no such kind"),
        pytest.param(409, {"reason": "AlreadyExists"}, AlreadyExistsError, id="exists"),
        pytest.param(409, {"reason": "Conflict"}, ChangedError, id="changed"),
        pytest.param(403, {"reason": "Forbidden", "message": "no"}, DeniedError, id="forbidden"),
        pytest.param(422, {"message": "ValidatingAdmissionPolicy x"}, DeniedError, id="policy"),
        pytest.param(422, {"message": "bad"}, InvalidError, id="invalid"),
        pytest.param(413, {}, InvalidError, id="too large"),
        pytest.param(500, {}, ClusterUnavailableError, id="server"),
        pytest.param(429, {}, ClusterUnavailableError, id="throttled"),
    ],
)
def test_an_answer_is_an_error_by_what_to_do(
    status: int, fields: dict[str, Any], expected: type[KeyturnError]
) -> None:
    assert type(answer(status, **fields)) is expected or isinstance(
        answer(status, **fields), expected
    )


def test_what_an_invalid_answer_quotes_is_not_repeated() -> None:
    error = answer(
        422,
        message='Secret "x" is invalid: data[p]: Invalid value: "hunter2"',
        details={"causes": [{"field": "data[p]", "message": 'Invalid value: "hunter2"'}]},
    )

    assert "hunter2" not in str(error)
    assert "data[p]" in str(error)


def test_the_time_to_wait_is_kept() -> None:
    error = answer(429, {"Retry-After": "7"})

    assert isinstance(error, AnswerError)
    assert (error.status, error.retry_after) == (429, 7.0)


def test_an_answer_that_is_no_json_is_an_error_all_the_same() -> None:
    assert isinstance(error_of(502, b"<html>", {}), ClusterUnavailableError)
