"""The errors of the driver, as ours. Their texts stay here: some quote statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import oracledb

from keyturn.domain.errors import (
    KeyturnError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.rotators.sql import LoginRefusedError

_LOCKED = 28000
REFUSED_LOGIN = frozenset(
    {
        1017,  # invalid user name or password
        1045,  # the user may not create a session
        _LOCKED,
        28001,  # the password has expired
    }
)
"""The numbers of ORA- by which the database refuses a credential."""

_UNKNOWN_OUTCOME = frozenset(
    {
        0,  # an error of the driver itself: the network, TLS, a deadline
        54,  # busy
        60,  # deadlock
        1012,  # not logged on
        1013,  # cancelled
        1033,  # starting or stopping
        1034,  # not available
        1089,  # shutting down
        3113,  # end of file on the channel
        3114,  # not connected
        3135,  # the connection was lost
        4021,  # a lock on an object took too long
    }
)


class AccountLockedError(LoginRefusedError):
    """The account is locked: by somebody, or for a time since logins failed."""


@contextmanager
def translated(*, login: bool = False) -> Iterator[None]:
    """Replace what the driver raises; with `login`, a refusal is one of the credential.

    Raises:
        LoginRefusedError: the database refuses the credential.
        TargetRefusedError: the database refuses the statement; nothing was done.
        TargetUnavailableError: what was done is not known.
    """
    try:
        yield
    except KeyturnError:
        raise
    except oracledb.Error as error:
        raise _of_driver(error.args[0] if error.args else None, login=login) from None
    except Exception as error:  # noqa: BLE001 - a hostile server makes the driver fail in any way
        raise TargetUnavailableError(
            f"the database does not answer, or makes no sense ({type(error).__name__})"
        ) from None


def _of_driver(details: Any, *, login: bool) -> KeyturnError:
    number = getattr(details, "code", 0)
    number = number if isinstance(number, int) else 0
    if login and number in REFUSED_LOGIN:
        kind = AccountLockedError if number == _LOCKED else LoginRefusedError
        return kind(f"the database refuses the login (ORA-{number:05})")
    if login or number in _UNKNOWN_OUTCOME:
        return TargetUnavailableError(f"the database cannot be used now (ORA-{number:05})")
    return TargetRefusedError(f"the database refuses it (ORA-{number:05})")
