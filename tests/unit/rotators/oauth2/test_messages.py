"""The forms, headers and answers of OAuth 2, by the letter of its standards."""

import json
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.errors import TargetRefusedError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.http import Answer
from keyturn.rotators.oauth2.messages import basic, bearer, form, is_over, read_issued
from keyturn.rotators.oauth2.metadata import places

NOW = datetime(2026, 11, 27, 12, 0, 0, 999, tzinfo=UTC)


def secret(text: str) -> SecretValue:
    return SecretValue(text.encode())


def answer_of(**fields: Any) -> Answer:
    body = json.dumps({"access_token": "a", "token_type": "bearer", **fields}).encode()
    return Answer(200, "application/json", {}, SecretValue(body))


@given(st.dictionaries(st.sampled_from(["token", "scope", "resource"]), st.text()))
def test_a_form_is_read_as_it_was_meant(fields: dict[str, str]) -> None:
    written = form({name: secret(value) for name, value in fields.items()})

    read = dict(parse_qsl(bytes(written.reveal()).decode(), keep_blank_values=True))
    assert read == {name: value for name, value in fields.items() if value}


def test_basic_encodes_both_parts_before_they_are_joined() -> None:
    # The colon, the plus and the blank are why: RFC 6749 section 2.3.1.
    header = basic(secret("a:b"), secret("c+d e%"))

    assert b64decode(header.removeprefix("Basic ")) == b"a%3Ab:c%2Bd%20e%25"


@pytest.mark.parametrize("token", ["", "a\nb", "a\x7f", "ä"])
def test_a_token_that_could_leave_its_header_is_refused(token: str) -> None:
    with pytest.raises(TargetRefusedError):
        bearer(secret(token))


@pytest.mark.parametrize(
    ("told", "end"),
    [
        (3600, "2026-11-27T13:00:00Z"),
        ("3600", "2026-11-27T13:00:00Z"),
        (0, "2026-11-27T12:00:00Z"),
        (1.5, "2026-11-27T12:00:01Z"),
        (None, ""),
        (-1, ""),
        (True, ""),
        ("soon", ""),
        ("9" * 100, ""),
        (1e300, ""),
        ([3600], ""),
    ],
)
def test_the_end_is_counted_from_now_where_it_is_told(told: object, end: str) -> None:
    assert read_issued(answer_of(expires_in=told), NOW).expires_at == end


@pytest.mark.parametrize(
    ("end", "over"),
    [
        ("2026-11-27T11:59:59Z", True),
        ("2026-11-27T12:00:00Z", True),
        ("2026-11-27T12:00:01Z", False),
        ("2026-11-27T13:30:00+02:00", True),
        ("", False),
        ("soon", False),
        ("2026-11-27T11:00:00", True),
    ],
)
def test_a_time_is_over_when_it_is_known_to_be(end: str, over: bool) -> None:
    assert is_over(secret(end), NOW) is over


def test_what_the_server_leaves_out_is_not_made_up() -> None:
    for left_out in ({}, {"refresh_token": None}, {"refresh_token": ""}):
        assert read_issued(answer_of(**left_out), NOW).refresh_token is None


@pytest.mark.parametrize(
    ("issuer", "oauth", "openid"),
    [
        (
            "https://a.example",
            "https://a.example/.well-known/oauth-authorization-server",
            "https://a.example/.well-known/openid-configuration",
        ),
        (
            "https://a.example:8443/realms/shop/",
            "https://a.example:8443/.well-known/oauth-authorization-server/realms/shop",
            "https://a.example:8443/realms/shop/.well-known/openid-configuration",
        ),
    ],
)
def test_metadata_stands_where_the_two_standards_say(issuer: str, oauth: str, openid: str) -> None:
    assert places(issuer) == (oauth, openid)
