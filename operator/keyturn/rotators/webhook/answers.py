"""What the endpoint answers, read strictly: of its words only a short code is ever quoted."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from keyturn.domain.errors import (
    TargetLockedError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import MAX_PAYLOAD_BYTES, SecretValue
from keyturn.rotators.http import Answer

_CODE = re.compile(r"[A-Za-z0-9]{1,64}")
_DONE = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)
_LOCKED = (HTTPStatus.CONFLICT, HTTPStatus.LOCKED)
_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_RESULTS = {"accepted": True, "refused": False}


def check_done(step: str, answer: Answer) -> None:
    """Take an answer to a step that changes something.

    Raises:
        TargetRefusedError: the endpoint refused, and it did not happen.
        TargetLockedError: it works on the same credential for somebody else.
        TargetUnavailableError: it may have happened or not.
    """
    if answer.status in _DONE:
        return
    if answer.status in _LOCKED:
        raise TargetLockedError(f"the endpoint answers {step} with {_told(answer)}: not now")
    refused = HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
    if refused and answer.status not in _LATER:
        raise TargetRefusedError(f"the endpoint refuses {step} with {_told(answer)}")
    raise TargetUnavailableError(f"the endpoint answers {step} with {_told(answer)}")


def is_accepted(answer: Answer) -> bool:
    """Take an answer to a test.

    Raises:
        TargetLockedError: the endpoint works on the same credential for somebody else.
        TargetUnavailableError: it does not say whether the credential is accepted.
    """
    if answer.status in _LOCKED:
        raise TargetLockedError(f"the endpoint answers test with {_told(answer)}: not now")
    # A refusal of the question is no refusal of the credential.
    if answer.status != HTTPStatus.OK:
        raise TargetUnavailableError(f"the endpoint answers test with {_told(answer)}")
    result = _object(answer).get("result")
    if not isinstance(result, str) or result not in _RESULTS:
        raise TargetUnavailableError(
            'the endpoint answers test without {"result": "accepted"} or {"result": "refused"}'
        )
    return _RESULTS[result]


def issued_values(answer: Answer, names: frozenset[str]) -> Mapping[str, SecretValue]:
    """Take the new values, exactly those of the given names.

    Raises:
        As `check_done`.
    """
    check_done("issue", answer)
    content = _object(answer)
    texts, others = content.get("values", {}), content.get("binaryValues", {})
    if not isinstance(texts, Mapping) or not isinstance(others, Mapping):
        raise TargetUnavailableError("the endpoint answers issue without an object of values")
    if {*texts, *others} != names or len(texts) + len(others) != len(names):
        raise TargetUnavailableError(
            f"the endpoint must issue exactly these values: {', '.join(sorted(names))}"
        )
    made = {name: _encoded(name, text) for name, text in texts.items()}
    return made | {name: _decoded(name, text) for name, text in others.items()}


def _told(answer: Answer) -> str:
    """Name the status, and the endpoint's code where it is nothing but that."""
    try:
        code = _object(answer).get("code")
    except TargetUnavailableError:
        code = None
    is_code = isinstance(code, str) and _CODE.fullmatch(code)
    return f"{answer.status} {code}" if is_code else str(answer.status)


def _object(answer: Answer) -> dict[str, Any]:
    try:
        content = json.loads(
            bytes(answer.body.reveal()),
            object_pairs_hook=_distinct,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError):
        raise TargetUnavailableError("the endpoint's answer is no proper JSON") from None
    if answer.media_type != "application/json" or not isinstance(content, dict):
        raise TargetUnavailableError("the endpoint's answer is no object of application/json")
    return content


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _encoded(name: str, text: object) -> SecretValue:
    try:
        value = text.encode() if isinstance(text, str) else b""
    except UnicodeEncodeError:
        value = b""
    return _bounded(name, value)


def _decoded(name: str, text: object) -> SecretValue:
    try:
        value = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        value = b""
    return _bounded(name, value)


def _bounded(name: str, value: bytes) -> SecretValue:
    if not 0 < len(value) <= MAX_PAYLOAD_BYTES:
        raise TargetUnavailableError(f"the endpoint issues no proper value for {name}")
    return SecretValue(value)
