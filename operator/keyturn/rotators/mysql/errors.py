"""The errors of the driver, as ours. Their texts stay here: some quote statements and values."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pymysql

from keyturn.domain.errors import (
    KeyturnError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.rotators.sql import LoginBarredError, LoginRefusedError

REFUSED_LOGIN = frozenset(
    {
        1045,  # access denied, with a password or without
        1698,  # access denied, by the plugin
        1820,  # the password has expired: logged in, but no statement is allowed
        1862,  # the password has expired
        3118,  # MySQL: the account is locked
        4151,  # MariaDB: the account is locked
    }
)
"""The codes by which the server itself refuses a credential. All others tell nothing about it."""

_BARRED_LOGIN = frozenset(
    {
        3955,  # MySQL: FAILED_LOGIN_ATTEMPTS of the account
        4150,  # MariaDB: max_password_errors
    }
)
"""Those by which it bars a user since logins failed, some for ever; ALTER USER ends that."""

_LOST = frozenset({0, 1927, 2006, 2013, 2014, 2055})
_UNKNOWN_OUTCOME = frozenset(
    {
        1040,  # too many connections
        1053,  # shutdown in progress
        1105,  # unknown error
        1152,  # aborted connection
        1203,  # too many connections of the user
        1205,  # a wait for a lock took too long
        1213,  # deadlock
        1226,  # a limit of the user is reached
        1317,  # interrupted
        1969,  # MariaDB: max_statement_time
        3024,  # MySQL: max_execution_time
    }
)
# The server has the numbers from 1000 on, but for those between, which are the driver's.
_FIRST, _FIRST_OF_DRIVER, _FIRST_AFTER_DRIVER = 1000, 2000, 3000


class StatementRefusedError(TargetRefusedError):
    """The server refused a statement; `number` is its own code for why."""

    def __init__(self, number: int) -> None:
        super().__init__(f"the server refuses it (error {number})")
        self.number = number


class ConnectionLostError(TargetUnavailableError):
    """The connection has ended, and with it all that it held."""


@contextmanager
def translated(*, login: bool = False) -> Iterator[None]:
    """Replace what the driver raises; with `login`, a refusal is one of the credential.

    Raises:
        LoginRefusedError: the server refuses the credential.
        LoginBarredError: it bars the user since logins failed.
        StatementRefusedError: the server refuses the statement; nothing was done.
        ConnectionLostError, TargetUnavailableError: what was done is not known.
    """
    try:
        yield
    except KeyturnError:
        raise
    except pymysql.err.MySQLError as error:
        raise _of_driver(error, login=login) from None
    except Exception as error:  # noqa: BLE001 - a hostile server makes the driver fail in any way
        raise TargetUnavailableError(
            f"the server's answer makes no sense ({type(error).__name__})"
        ) from None


def _of_driver(error: pymysql.err.MySQLError, *, login: bool) -> KeyturnError:
    if isinstance(getattr(error, "original_exception", None), ssl.SSLCertVerificationError):
        return TargetUnavailableError("the server's certificate cannot be verified")
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if login and code in REFUSED_LOGIN | _BARRED_LOGIN:
        return _of_login(code)
    if code in _LOST:
        return ConnectionLostError(f"the connection to the server was lost (error {code})")
    is_driver = code < _FIRST or _FIRST_OF_DRIVER <= code < _FIRST_AFTER_DRIVER
    if login or is_driver or code in _UNKNOWN_OUTCOME:
        return TargetUnavailableError(f"the server cannot be used now (error {code})")
    return StatementRefusedError(code)


def _of_login(code: int) -> LoginRefusedError | LoginBarredError:
    if code in _BARRED_LOGIN:
        return LoginBarredError(f"the server bars the user since logins failed (error {code})")
    return LoginRefusedError(f"the server refuses the login (error {code})")
