"""What a look makes of a namespace that cannot be read, or is slow to read."""

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from keyturn.domain.consumers import Inventory
from keyturn.domain.errors import ClusterUnavailableError, DeniedError, KeyturnError
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.stage import Stages
from keyturn.kube.resources import parse
from keyturn.services.consumers.inventory import DENIED, LONGEST, SHARE, UNANSWERED, Consumers, View

SECRET = Secret(
    UUID(int=1), "u", SecretName("shop", "db"), "u", datetime(2026, 3, 1, tzinfo=UTC), Stages()
)
RESOURCE = parse(
    {
        "metadata": {"name": "db", "namespace": "shop", "uid": "u", "generation": 1},
        "spec": {"data": [{"key": "password", "value": "p"}]},
    },
    outputs_of=lambda *_: {},
)


class Around:
    """A store without spells, and an apiserver whose answer takes its time, or is an error."""

    def __init__(self, *, took: float = 0.0, error: KeyturnError | None = None) -> None:
        self._took, self._error = took, error

    async def spells(self, _: UUID) -> tuple[()]:
        return ()

    async def running(self, namespace: str, *, recent: bool) -> Inventory:
        if self._error is not None:
            raise self._error
        return Inventory(namespace)

    def took(self, _: str) -> float:
        return self._took


async def look(around: Around) -> View:
    return await Consumers(cast("Any", around), cast("Any", around)).look(RESOURCE, SECRET)


@pytest.mark.parametrize(
    ("error", "rest"),
    [
        (DeniedError("the operator may not list pods"), DENIED),
        (ClusterUnavailableError("the apiserver answers 429 (TooManyRequests)"), UNANSWERED),
    ],
    ids=["denied", "unanswered"],
)
async def test_what_cannot_be_read_leaves_nothing_but_the_reason(
    error: KeyturnError, rest: float
) -> None:
    """All else of a ManagedSecret goes on: a list of pods is the heaviest request."""
    found = await look(Around(error=error))

    assert found == View(frozenset({"db"}), (), why=error.message, rest=rest)
    assert UNANSWERED < DENIED


@pytest.mark.parametrize(("took", "rest"), [(0.0, 0.0), (2.0, 2.0 * SHARE), (LONGEST, LONGEST)])
async def test_a_reading_that_takes_long_leaves_a_longer_rest(took: float, rest: float) -> None:
    found = await look(Around(took=took))

    assert found.rest == rest
    assert found.inventory is not None
