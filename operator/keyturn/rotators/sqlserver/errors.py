"""The errors of the driver, as ours. Their texts stay here: some quote statements and values."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytds

from keyturn.domain.errors import (
    KeyturnError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.rotators.sql import LoginBarredError, LoginRefusedError

_WRONG_PASSWORD = 18456
REFUSED_LOGIN = frozenset(
    {
        18452,  # not a login of this server
        _WRONG_PASSWORD,  # or no such login, and in a contained database no such user
        18470,  # the login is disabled
        18487,  # the password has expired
        18488,  # the password must be changed
    }
)
"""The numbers by which the server refuses a credential."""

_BARRED_LOGIN = 18486
"""The login is locked since logins failed, by the policy maybe for ever; UNLOCK ends that."""

_UNKNOWN_OUTCOME = frozenset({0, 1204, 1205, 1222, 10928, 10929, 17809, 40197, 40501, 40613})
"""Deadlock, lock time-outs, too many connections, throttling: nothing is known of the statement."""


class DatabaseClosedError(TargetUnavailableError):
    """The login is good, but may not use the database that it asks for."""

    def __init__(self) -> None:
        super().__init__(
            "the server lets the login in, but not into the database; correct database of the "
            "Rotator, or make a user for the login there"
        )


@contextmanager
def translated(*, login: bool = False) -> Iterator[None]:
    """Replace what the driver raises; with `login`, a refusal is one of the credential.

    Raises:
        LoginRefusedError: the server refuses the credential.
        LoginBarredError: it has locked the login since logins failed.
        DatabaseClosedError: it refuses the database only.
        TargetRefusedError: the server refuses the statement; nothing was done.
        TargetUnavailableError: what was done is not known.
    """
    try:
        yield
    except KeyturnError:
        raise
    except ssl.SSLCertVerificationError:
        raise TargetUnavailableError("the server's certificate cannot be verified") from None
    except pytds.DatabaseError as error:
        raise _of_driver(error, login=login) from None
    except TimeoutError as error:
        # So the driver ends its loop of retries; the cause is what it was told.
        cause = error.__cause__ if isinstance(error.__cause__, pytds.DatabaseError) else None
        raise _of_driver(cause or pytds.DatabaseError(""), login=login) from None
    except Exception as error:  # noqa: BLE001 - a hostile server makes the driver fail in any way
        raise TargetUnavailableError(
            f"the server does not answer, or makes no sense ({type(error).__name__})"
        ) from None


def _of_driver(error: pytds.DatabaseError, *, login: bool) -> KeyturnError:
    number = int(error.msg_no or error.number or 0)
    if login and number == _WRONG_PASSWORD and not _is_alone(error):
        return DatabaseClosedError()
    if login and number in REFUSED_LOGIN:
        return LoginRefusedError(f"the server refuses the login (error {number})")
    if login and number == _BARRED_LOGIN:
        return LoginBarredError(f"the server bars the login since logins failed (error {number})")
    if login or number in _UNKNOWN_OUTCOME:
        return TargetUnavailableError(f"the server cannot be used now (error {number})")
    return TargetRefusedError(f"the server refuses it (error {number})")


def _is_alone(error: pytds.DatabaseError) -> bool:
    """Tell whether the server named one error: the driver keeps the last, and the words of all.

    Before 18456 it says 4060 or 4064 where it cannot open the database for the login.
    """
    return bool(error.args[0] == error.text)
