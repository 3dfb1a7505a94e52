"""An operator that answers on its socket, for each test anew."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from forked_commands import ForkedCommands
from office import Office


@pytest.fixture(scope="session")
def commands() -> Iterator[ForkedCommands]:
    with ForkedCommands() as commands:
        yield commands


@pytest.fixture
def closed_office(tmp_path: Path, commands: ForkedCommands) -> Iterator[Office]:
    """A folder without a store, until a test opens it."""
    office = Office(tmp_path, commands)
    yield office
    office.stop()


@pytest.fixture
def office(closed_office: Office) -> Office:
    """An operator that answers, with one secret `db` that waits for `password` and `user`."""
    closed_office.start()
    closed_office.apply("db", "password", "user")
    return closed_office
