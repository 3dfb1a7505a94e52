"""What the driver's errors become: errors of our own, which quote no more than a code.

The codes are the SQLSTATEs of PostgreSQL's documentation, appendix A.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from keyturn.domain.errors import (
    KeyturnError,
    TargetLockedError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.rotators.postgresql.settings import Dialect

LOCK_NOT_AVAILABLE = "55P03"
UNDEFINED_OBJECT = "42704"

_WRONG_PASSWORD, _BARRED = "28P01", "28000"

_REFUSED_LOGIN = {
    Dialect.POSTGRESQL: frozenset({_WRONG_PASSWORD}),
    # As old as PostgreSQL 8.0, it has one code for both. Its pg_hba.conf is Amazon's.
    Dialect.REDSHIFT: frozenset({_WRONG_PASSWORD, _BARRED}),
}
"""The password is wrong, or the user is missing."""

_NO_ANSWER = frozenset({"08", "25", "40", "53", "54", "55", "57", "58", "XX"})
"""Classes of errors that say nothing about the request: it may work later."""

_LOGIN_ADVICE = {
    "3D000": "the database does not exist; correct database or lockDatabase of the Rotator",
    "42501": "the user may not connect to the database; GRANT CONNECT to it",
    "53300": "the server, the database or the user has no connection left",
    "57P03": "the server is starting, stopping or recovering",
}

_CODE = re.compile(r": +([0-9A-Z]{5})\s*\Z")


class LoginRefusedError(Exception):
    """The server itself refused a login. It does not leave this folder."""


class LoginBarredError(TargetUnavailableError):
    """The user may not log in, or not from here: of the password that says nothing."""

    def __init__(self) -> None:
        super().__init__(
            "the server bars the user, whatever its password: the role has NOLOGIN, or no line of "
            f"pg_hba.conf lets it in from Keyturn's address (SQLSTATE {_BARRED})"
        )


def login_failure(said: str, dialect: Dialect) -> LoginRefusedError | TargetUnavailableError:
    """Tell by what libpq said, with nothing but codes in it, why a login failed."""
    found = _CODE.search(said)
    if found is None:
        if "authentication method" in said or "channel binding" in said:
            return TargetUnavailableError(
                "the server asks for a way to log in that would give the password away, or is not "
                "the one that ends the TLS connection; let it ask for scram-sha-256 in pg_hba.conf,"
                " and reach it without a proxy between"
            )
        return TargetUnavailableError(
            "the server cannot be reached, or its certificate is not one for this host by the "
            "authority of caRef"
        )
    code = found[1]
    if code in _REFUSED_LOGIN[dialect]:
        return LoginRefusedError()
    if code == _BARRED:
        return LoginBarredError()
    advice = _LOGIN_ADVICE.get(code, "the server does not let anybody in")
    return TargetUnavailableError(f"{advice} (SQLSTATE {code})")


@contextmanager
def replaced(doing: str) -> Iterator[None]:
    """Replace the errors of the driver while `doing` something with an open connection.

    Raises:
        TargetRefusedError: the server refused a statement; its transaction did not happen.
        TargetLockedError: another session holds what the statement needs.
        TargetUnavailableError: it cannot be told whether it happened.
    """
    try:
        yield
    except psycopg.Error as error:
        raise _failure(error.sqlstate, doing) from None


def _failure(code: str | None, doing: str) -> KeyturnError:
    if code is None:
        return TargetUnavailableError(
            f"{doing}: the connection was lost, or there was no answer in time"
        )
    message = f"{doing}: the server answered with SQLSTATE {code}"
    if code == LOCK_NOT_AVAILABLE:
        return TargetLockedError(f"{message}: another session holds a lock on it")
    if code[:2] in _NO_ANSWER:
        return TargetUnavailableError(message)
    if code == "42501":
        return TargetRefusedError(
            f"{message}: the user that the rotator logs in as lacks a right; see "
            "docs/rotators-postgresql.md for those that it needs"
        )
    return TargetRefusedError(message)
