"""What goes to an authorization server and comes from it: forms, headers and JSON.

An answer's texts are those of the other side: a code is quoted where a standard knows it, and
nothing else.
"""

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from keyturn.domain.errors import KeyturnError, TargetRefusedError, TargetUnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.http import Answer

FORM = "application/x-www-form-urlencoded"

_MAX_TOKEN = 16 * 1024
_MAX_LIFETIME = 10 * 365 * 24 * 3600
# RFC 6749, appendix A: VSCHAR.
_TOKEN = re.compile(r"[ -~]+")
_JSON = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json")
# RFC 6749 section 5.2, RFC 7009 section 2.2.1, RFC 8707 section 2.
_CODES = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "unsupported_token_type",
    }
)
_ANEW = (
    "the server refuses the refresh token (invalid_grant): it has expired, was revoked, or was "
    "used before; a person must authorise anew and put the new token in"
)


@dataclass(frozen=True, slots=True)
class Issued:
    """A token response; `refresh_token` is None where the server keeps the old one."""

    access_token: SecretValue
    refresh_token: SecretValue | None
    expires_at: str


Fields = Mapping[str, str | SecretValue]


def form(fields: Fields) -> SecretValue:
    """Write a form; what is empty is left out, as RFC 6749 section 3.2 says."""
    pairs = {name: _text(value) for name, value in fields.items()}
    written = "&".join(f"{name}={_escaped(value)}" for name, value in pairs.items() if value)
    return SecretValue(written.encode())


def basic(client_id: SecretValue, client_secret: SecretValue) -> str:
    """Write the header of HTTP Basic; both parts are encoded as in a form (RFC 6749, 2.3.1)."""
    pair = ":".join(_escaped(_text(part)) for part in (client_id, client_secret))
    return f"Basic {b64encode(pair.encode()).decode()}"


def bearer(access_token: SecretValue) -> str:
    """Write the header of RFC 6750.

    Raises:
        TargetRefusedError: the value cannot stand in a header.
    """
    text = _text(access_token)
    if not _TOKEN.fullmatch(text):
        raise TargetRefusedError("the value accessToken is no token: it has other characters")
    return f"Bearer {text}"


def is_over(expires_at: SecretValue, now: datetime) -> bool:
    """Tell whether a time that `Issued` holds is over; one that nobody told is not."""
    try:
        end = datetime.fromisoformat(_text(expires_at))
    except ValueError:
        return False
    return (end if end.tzinfo else end.replace(tzinfo=UTC)) <= now


def read_issued(answer: Answer, now: datetime) -> Issued:
    """Read a token response (RFC 6749 section 5.1).

    Raises:
        TargetRefusedError: the server refuses, by a code that it may not change its mind about.
        TargetUnavailableError: it says nothing that can be relied on.
    """
    if answer.status != HTTPStatus.OK:
        raise refusal(answer)
    found = read_object(answer)
    if str(found.get("token_type")).lower() != "bearer":
        raise TargetUnavailableError("the server issues tokens of a type that is not Bearer")
    return Issued(
        access_token=_token(found.get("access_token")),
        refresh_token=_token(found["refresh_token"]) if found.get("refresh_token") else None,
        expires_at=_expires_at(found.get("expires_in"), now),
    )


def refusal(answer: Answer) -> KeyturnError:
    """Make the error that an answer other than 200 stands for (RFC 6749 section 5.2)."""
    code = ""
    if answer.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        try:
            code = str(read_object(answer).get("error"))
        except TargetUnavailableError:
            code = ""
    if code == "invalid_grant":
        return TargetRefusedError(_ANEW)
    if code in _CODES:
        return TargetRefusedError(f"the server refuses the request ({code}, RFC 6749)")
    return TargetUnavailableError(f"the server answers {answer.status}, without a code of RFC 6749")


def read_object(answer: Answer) -> Mapping[str, Any]:
    """Read an answer that is a JSON object.

    Raises:
        TargetUnavailableError: it is none.
    """
    if _JSON.fullmatch(answer.media_type):
        try:
            found = json.loads(bytes(answer.body.reveal()), object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
    raise TargetUnavailableError("the server answers with something that is no JSON object")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two readers of one name twice may read two things.
    if len(dict(pairs)) != len(pairs):
        raise ValueError
    return dict(pairs)


def _token(found: object) -> SecretValue:
    if not isinstance(found, str) or len(found) > _MAX_TOKEN or not _TOKEN.fullmatch(found):
        raise TargetUnavailableError("the server's answer has a token that is none (RFC 6749)")
    return SecretValue(found.encode())


def _expires_at(seconds: object, now: datetime) -> str:
    # Some servers write the number as text.
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdigit():
        seconds = int(seconds[:12])
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return ""
    if not 0 <= seconds <= _MAX_LIFETIME:
        return ""
    end = (now + timedelta(seconds=seconds)).astimezone(UTC)
    return end.isoformat(timespec="seconds").replace("+00:00", "Z")


def _escaped(text: str) -> str:
    # A blank as %20 is read alike by those who read a form here and those who read a URL.
    return quote(text, safe="")


def _text(value: str | SecretValue) -> str:
    if isinstance(value, str):
        return value
    try:
        return str(value.reveal(), "utf-8")
    except UnicodeDecodeError:
        raise TargetRefusedError("a value of the secret is no text, as OAuth needs it") from None
