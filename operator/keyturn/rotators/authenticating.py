"""User name and password, as the drivers of servers take them.

A driver keeps what it is given for as long as its connection lives, and cannot be made to zero it:
so the plaintext is taken out of its `SecretValue` here, right before a login, and only here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Target

USERNAME, PASSWORD = "username", "password"


@dataclass(frozen=True, slots=True)
class Login:
    """A user name, and a password that shows in no representation."""

    username: str
    password: bytes = field(repr=False)


def login_of(credential: Credential) -> Login:
    """Take the login out of a credential.

    Raises:
        InvalidParameterError: a value is missing, or the user name is no text.
    """
    return _login(credential.values, f"version {credential.version}")


def username_of(credential: Credential) -> str:
    """Name the user of a credential. Raises: as `login_of`."""
    return _username(credential.values, f"version {credential.version}")


def logins(target: Target, order: Order) -> Sequence[Login]:
    """List who may open a session, the likeliest first.

    That is the admin; where there is none, a user may change its own password: with the current
    credential, or with the pending or previous one, whichever the target takes after a crash.

    Raises:
        InvalidParameterError: there is no admin, and one is needed.
    """
    if target.admin:
        return [_login(target.admin, "the admin credential")]
    if order.strategy is not Strategy.SINGLE_USER:
        raise InvalidParameterError(
            f"{order.strategy} needs an admin credential; write adminRef in the Rotator"
        )
    known = (order.current, order.pending, order.previous)
    return [login_of(credential) for credential in known if credential is not None]


def _login(values: Mapping[str, SecretValue], whose: str) -> Login:
    username = _username(values, whose)
    if not values.get(PASSWORD):
        raise InvalidParameterError(f"{whose} has no {PASSWORD}")
    return Login(username, bytes(values[PASSWORD].reveal()))


def _username(values: Mapping[str, SecretValue], whose: str) -> str:
    if not values.get(USERNAME):
        raise InvalidParameterError(f"{whose} has no {USERNAME}")
    try:
        return bytes(values[USERNAME].reveal()).decode()
    except UnicodeDecodeError:
        raise InvalidParameterError(f"the {USERNAME} of {whose} is no text") from None
