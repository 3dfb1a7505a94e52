"""The apiserver's answers, as errors by what the caller should do.

The text of a 422 about a Secret can quote what was sent, so of an answer's text only what the
apiserver itself worded is used: the reason, and for a refusal by a policy its message.
"""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from keyturn.domain.errors import (
    ClusterUnavailableError,
    DeniedError,
    InvalidError,
    KeyturnError,
    NotFoundError,
    RaceError,
)

Answer = Mapping[str, Any]
"""A Status object of the apiserver."""

POLICY_MARK = "ValidatingAdmissionPolicy"


class ObjectNotFoundError(NotFoundError):
    """The apiserver serves the kind, and has no such object."""

    code = "ObjectNotFound"


class KindNotFoundError(NotFoundError):
    """The apiserver does not serve the kind: its CRD is missing."""

    code = "KindNotFound"


class AlreadyExistsError(RaceError):
    """An object of that name exists."""

    code = "AlreadyExists"


class ChangedError(RaceError):
    """A precondition (the UID or the resource version) does not hold any more."""

    code = "Changed"


class AnswerError(ClusterUnavailableError):
    """The apiserver refuses for now, with a status and perhaps a time to wait."""

    code = "ClusterRefuses"

    def __init__(self, message: str, *, status: int, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


def error_of(status: int, content: bytes, headers: Mapping[str, str]) -> KeyturnError:
    """Translate an answer whose status says that it failed."""
    answer = _parsed(content)
    translate = _TRANSLATIONS.get(status)
    if translate is not None:
        return translate(answer)
    return AnswerError(
        f"the apiserver answers {status} ({answer.get('reason') or 'no reason given'})",
        status=status,
        retry_after=_seconds(headers.get("Retry-After", "")),
    )


def _not_found(answer: Answer) -> KeyturnError:
    details = answer.get("details") or {}
    if not details.get("name"):
        return KindNotFoundError("the apiserver does not serve this kind")
    return ObjectNotFoundError(
        f"{details.get('kind', 'object')} {details['name']!r} does not exist"
    )


def _conflict(answer: Answer) -> KeyturnError:
    if answer.get("reason") == "AlreadyExists":
        return AlreadyExistsError("the object exists already")
    return ChangedError("the object was changed meanwhile")


def _forbidden(answer: Answer) -> KeyturnError:
    return DeniedError(_refusal(answer) or "the apiserver forbids it: a right is missing")


def _invalid(answer: Answer) -> KeyturnError:
    if refusal := _refusal(answer):
        return DeniedError(refusal)
    return InvalidError(f"the apiserver refuses it as invalid{_fields(answer)}")


def _too_large(_: Answer) -> KeyturnError:
    return InvalidError("the apiserver refuses it as too large")


_TRANSLATIONS: Mapping[int, Callable[[Answer], KeyturnError]] = {
    HTTPStatus.NOT_FOUND: _not_found,
    HTTPStatus.CONFLICT: _conflict,
    HTTPStatus.FORBIDDEN: _forbidden,
    HTTPStatus.BAD_REQUEST: _invalid,
    HTTPStatus.UNPROCESSABLE_ENTITY: _invalid,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _too_large,
}


def _parsed(content: bytes) -> Answer:
    try:
        answer = json.loads(content)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _refusal(answer: Answer) -> str:
    """Return the words of a policy or of the authorizer; both hold names only."""
    message = str(answer.get("message", ""))
    if POLICY_MARK in message or answer.get("reason") == "Forbidden":
        return message
    return ""


def _fields(answer: Answer) -> str:
    causes = (answer.get("details") or {}).get("causes") or []
    fields = sorted({str(cause["field"]) for cause in causes if cause.get("field")})
    return f": see {', '.join(fields)}" if fields else ""


def _seconds(text: str) -> float:
    return min(float(text), 60.0) if text.isdecimal() else 0.0
