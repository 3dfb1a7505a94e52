"""Which login opens a session, and what of it shows."""

from uuid import uuid4

import pytest

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.authenticating import login_of, logins, username_of
from keyturn.rotators.interface import Credential, Order, Target


def credential(username: bytes, password: bytes, version: int = 1) -> Credential:
    values = {"username": SecretValue(username), "password": SecretValue(password)}
    return Credential(version, values)


CURRENT, PENDING, PREVIOUS = (
    credential(b"orders", password, version)
    for version, password in ((2, b"current"), (3, b"pending"), (1, b"previous"))
)


def order(strategy: Strategy, current: Credential | None = CURRENT) -> Order:
    return Order(uuid4(), uuid4(), strategy, "orders", PENDING, current, PREVIOUS)


def test_a_password_shows_nowhere() -> None:
    assert "current" not in repr(login_of(CURRENT))
    assert login_of(CURRENT).password == b"current"


def test_the_admin_alone_opens_a_session_where_there_is_one() -> None:
    admin = credential(b"root", b"admin").values

    for strategy in (Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS):
        found = logins(Target({}, admin), order(strategy))
        assert [(each.username, each.password) for each in found] == [("root", b"admin")]


def test_a_single_user_opens_its_own_session() -> None:
    def passwords(current: Credential | None) -> list[bytes]:
        return [each.password for each in logins(Target({}), order(Strategy.SINGLE_USER, current))]

    assert passwords(CURRENT) == [b"current", b"pending", b"previous"]
    assert passwords(None) == [b"pending", b"previous"]


def test_alternating_users_need_an_admin() -> None:
    with pytest.raises(InvalidParameterError, match="adminRef"):
        logins(Target({}), order(Strategy.ALTERNATING_USERS))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "has no username"),
        ({"username": b"", "password": b"x"}, "has no username"),
        ({"username": b"\xff", "password": b"x"}, "is no text"),
        ({"username": b"a"}, "has no password"),
        ({"username": b"a", "password": b""}, "has no password"),
    ],
)
def test_what_is_missing_is_named(values: dict[str, bytes], says: str) -> None:
    broken = Credential(4, {name: SecretValue(value) for name, value in values.items()})

    with pytest.raises(InvalidParameterError, match=says):
        login_of(broken)


def test_a_user_name_is_read_without_the_password() -> None:
    assert username_of(Credential(1, {"username": SecretValue("ö".encode())})) == "ö"
