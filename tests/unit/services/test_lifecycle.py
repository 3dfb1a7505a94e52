"""What becomes of secrets whose resource is gone, on a real store and by a clock of the test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.recovery import ReclaimPolicy, Retention
from keyturn.domain.secret import Secret, SecretName
from keyturn.kube.facts import ClusterFacts
from keyturn.kube.managed_secrets import ManagedSecrets
from keyturn.services.lifecycle import Lifecycle, Manifests
from keyturn.services.purging import Purging
from keyturn.store.interface import Attachment
from keyturn.store.sqlite import SQLiteStore

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
WINDOW = timedelta(days=14)
LAST_LOOK = 2
"""So often the clock is read before the purge goes to sleep: for what is due, and for the next."""


@dataclass
class House:
    """A store, and a lifecycle that needs no cluster for what is tested here."""

    store: SQLiteStore
    now: datetime = BEGIN
    clock: Callable[[], datetime] | None = None
    lifecycle: Lifecycle = field(init=False)

    def __post_init__(self) -> None:
        nowhere: Any = None
        self.lifecycle = Lifecycle(
            self.store,
            Manifests(nowhere),
            ClusterFacts(nowhere),
            ManagedSecrets(nowhere),
            lambda: self.clock() if self.clock else self.now,
        )

    async def deleted(self, name: str, retention: Retention, at: datetime) -> Secret:
        named = SecretName("shop", name)
        secret = await self.store.attach(
            Attachment("uid-of-shop", named, f"uid-of-{name}", retention, b"sealed"), now=BEGIN
        )
        return await self.store.mark_deleted(secret.id, resource_uid=f"uid-of-{name}", now=at)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = await SQLiteStore.open(tmp_path / "store.sqlite3")
    yield House(store)
    await store.close()


async def a_slow_mass_deletion(house: House, count: int = 60) -> None:
    """Delete one secret each second: at no moment many are due."""
    for number in range(count):
        at = BEGIN + timedelta(seconds=number)
        await house.deleted(f"s{number:03}", Retention(window=WINDOW), at)


async def test_what_is_due_is_destroyed_and_nothing_else(house: House) -> None:
    await house.deleted("early", Retention(window=WINDOW), BEGIN)
    await house.deleted("late", Retention(window=WINDOW), BEGIN + timedelta(seconds=1))
    await house.deleted("kept", Retention(ReclaimPolicy.RETAIN), BEGIN)
    house.now = BEGIN + WINDOW

    purged = await house.lifecycle.purge_due()

    assert purged == 1
    assert [secret.name.name async for secret in house.store.secrets()] == ["kept", "late"]


async def test_many_that_come_due_one_after_the_other_are_as_suspicious(house: House) -> None:
    await a_slow_mass_deletion(house)
    house.now = BEGIN + WINDOW

    with pytest.raises(InvalidParameterError, match=r"60 secrets .* keyturn purge --confirm"):
        await house.lifecycle.purge_due()

    assert await house.store.count() == 60


async def test_a_confirmation_holds_for_what_comes_due_with_it(house: House) -> None:
    await a_slow_mass_deletion(house)
    house.now = BEGIN + WINDOW
    assert await house.lifecycle.purge_due(confirmed=True) == 1

    house.now = BEGIN + WINDOW + timedelta(minutes=30)

    assert await house.lifecycle.purge_due() == 59


async def test_a_confirmation_does_not_hold_for_the_next_day(house: House) -> None:
    house.now = BEGIN
    await house.lifecycle.purge_due(confirmed=True)
    await a_slow_mass_deletion(house)
    house.now = BEGIN + WINDOW

    with pytest.raises(InvalidParameterError):
        await house.lifecycle.purge_due()


@asynccontextmanager
async def purging(house: House) -> AsyncIterator[None]:
    task = asyncio.create_task(Purging(house.lifecycle).run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def emptied(house: House) -> None:
    async with asyncio.timeout(60):
        while await house.store.count() > 0:  # noqa: ASYNC110 - a store tells nobody
            await asyncio.sleep(0.01)


async def test_a_deletion_ends_the_wait_for_the_next_purge(house: House) -> None:
    async with purging(house):
        await asyncio.sleep(0.1)
        await house.deleted("now", Retention(ReclaimPolicy.DELETE), BEGIN)

        house.lifecycle.deleted.set()

        await emptied(house)


async def test_a_deletion_during_the_look_is_not_forgotten(house: House) -> None:
    await house.deleted("later", Retention(window=WINDOW), BEGIN)
    looks = 0

    def clock() -> datetime:
        nonlocal looks
        looks += 1
        if looks == LAST_LOOK:
            house.lifecycle.deleted.set()
        return BEGIN if looks <= LAST_LOOK else BEGIN + WINDOW

    house.clock = clock

    async with purging(house):
        await emptied(house)
