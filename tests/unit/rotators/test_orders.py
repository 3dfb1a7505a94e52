"""By whose user a refused login is judged: the one that `set` makes the other like."""

from uuid import uuid4

import pytest

from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order

PREVIOUS, CURRENT, PENDING = (
    Credential(version, {"username": SecretValue(username)})
    for version, username in ((1, b"orders_clone"), (2, b"orders"), (3, b"orders_clone"))
)


def order(strategy: Strategy, pending: Credential | None, current: Credential | None) -> Order:
    return Order(uuid4(), uuid4(), strategy, "orders", pending, current, PREVIOUS)


def test_the_pending_one_of_two_users_is_made_like_the_current_one() -> None:
    rotation = order(Strategy.ALTERNATING_USERS, PENDING, CURRENT)

    assert rotation.original_of(PENDING) is CURRENT
    assert rotation.original_of(CURRENT) is CURRENT
    assert rotation.original_of(PREVIOUS) is PREVIOUS


@pytest.mark.parametrize(
    "alone",
    [
        order(Strategy.SINGLE_USER, PENDING, CURRENT),
        order(Strategy.ALTERNATING_USERS, PENDING, None),
        order(Strategy.ALTERNATING_USERS, None, CURRENT),
    ],
    ids=["one user", "first rotation", "retirement"],
)
def test_all_others_are_made_like_nobody(alone: Order) -> None:
    for credential in (PENDING, CURRENT, PREVIOUS):
        assert alone.original_of(credential) is credential
