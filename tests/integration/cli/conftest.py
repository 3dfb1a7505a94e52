"""An operator that answers on its socket, for each test anew."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from office import Office


@pytest.fixture
def closed_office(tmp_path: Path) -> Iterator[Office]:
    """A folder without a store, until a test opens it."""
    office = Office(tmp_path)
    yield office
    office.stop()


@pytest.fixture
def office(closed_office: Office) -> Office:
    """An operator that answers, with one secret `db` that waits for `password` and `user`."""
    closed_office.start()
    closed_office.apply("db", "password", "user")
    return closed_office
