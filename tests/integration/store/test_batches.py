"""Pieces of work that share a commit: one that fails is undone, and alone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from keyturn.domain.errors import ConflictError
from keyturn.store.disk import Disk
from keyturn.store.writer import Writer


class BrokenError(Exception):
    """A piece of work that fails."""


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[Writer]:
    writer = Writer(tmp_path / "keyturn.db", Disk())
    await writer.open()
    yield writer
    await writer.close()


def count(connection: apsw.Connection) -> int:
    number: int = connection.execute("UPDATE store SET checks = checks + 1 RETURNING checks").get
    return number


def count_and_break(connection: apsw.Connection) -> None:
    count(connection)
    raise BrokenError


def break_first(_: apsw.Connection) -> None:
    raise BrokenError


def contradict(connection: apsw.Connection) -> None:
    count(connection)
    connection.execute("INSERT INTO store SELECT * FROM store")


def counted(connection: apsw.Connection) -> int:
    number: int = connection.execute("SELECT checks FROM store").get
    return number


async def test_a_piece_that_fails_after_a_change_is_undone_alone(writer: Writer) -> None:
    first, broken, middle, contradicting, last, read = await asyncio.gather(
        writer.write(count),
        writer.write(count_and_break),
        writer.write(count),
        writer.write(contradict),
        writer.write(count),
        writer.read(counted),
        return_exceptions=True,
    )

    assert isinstance(broken, BrokenError)
    assert isinstance(contradicting, ConflictError)
    assert [first, middle, last, read] == [1, 2, 3, 3]
    assert await writer.read(counted) == 3


async def test_a_piece_that_fails_before_a_change_keeps_none_from_being_done(
    writer: Writer,
) -> None:
    first, broken, last = await asyncio.gather(
        writer.write(count), writer.write(break_first), writer.write(count), return_exceptions=True
    )

    assert isinstance(broken, BrokenError)
    assert [first, last] == [1, 2]
