import asyncio

import pytest

from keyturn.domain.errors import ClusterUnavailableError, RaceError
from keyturn.kube.leases import LeaseRecord
from keyturn.services.rotation.leading import DEADLINE, DURATION, Leading


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeLeases:
    """One Lease, written by whoever saw its newest version."""

    def __init__(self) -> None:
        self.stands: LeaseRecord | None = None
        self.is_down = False
        self.written = 0

    async def read(self) -> LeaseRecord | None:
        if self.is_down:
            raise ClusterUnavailableError("it does not answer")
        return self.stands

    async def write(
        self, holder: str, store_id: str, seconds: float, stood: LeaseRecord | None
    ) -> None:
        if stood != self.stands:
            raise RaceError("somebody was first")
        assert seconds == DURATION
        self.written += 1
        moves = stood.transitions + (stood.holder != holder) if stood else 0
        version = str(self.written)
        self.stands = LeaseRecord(holder, store_id, version, moves, version)


class Office:
    def __init__(self) -> None:
        self.clock, self.leases = Clock(), FakeLeases()

    def operator(self, holder: str, store: str = "a store") -> Leading:
        return Leading(self.leases, holder, store, clock=self.clock)  # type: ignore[arg-type]


@pytest.fixture
def office() -> Office:
    return Office()


async def test_a_lease_that_nobody_has_is_made_and_renewed(office: Office) -> None:
    leading = office.operator("me")
    assert not leading.may_act()

    await leading.turn()
    office.clock.now += 3
    await leading.turn()

    assert leading.held.is_set()
    assert leading.may_act()
    assert office.leases.written == 2
    assert office.leases.stands is not None
    assert office.leases.stands.transitions == 0


async def test_its_holder_stops_to_act_before_others_may_take_it(office: Office) -> None:
    leading = office.operator("me")
    await leading.turn()
    office.leases.is_down = True

    office.clock.now += DEADLINE
    with pytest.raises(ClusterUnavailableError):
        await leading.turn()

    assert not leading.may_act()
    assert not leading.lost.is_set()
    assert DEADLINE < DURATION
    office.leases.is_down = False
    await leading.turn()
    assert leading.may_act()


async def test_a_slow_answer_counts_from_before_it_was_asked_for(office: Office) -> None:
    leading = office.operator("me")
    write = office.leases.write

    async def slowly(*args: object) -> None:
        office.clock.now += DEADLINE
        await write(*args)  # type: ignore[arg-type]

    office.leases.write = slowly  # type: ignore[assignment,method-assign]
    await leading.turn()

    assert not leading.may_act()


async def test_the_lease_of_another_store_is_taken_when_it_was_seen_not_to_change(
    office: Office,
) -> None:
    other, mine = office.operator("other", "another store"), office.operator("me")
    await other.turn()

    await mine.turn()
    office.clock.now += DURATION - 1
    await other.turn()
    await mine.turn()
    office.clock.now += DURATION - 1
    await mine.turn()
    assert not mine.held.is_set()
    office.clock.now += 1
    await mine.turn()

    assert mine.may_act()
    await other.turn()
    assert other.lost.is_set()
    assert not other.may_act()


async def test_the_lease_of_the_same_store_is_free_at_once(office: Office) -> None:
    before, after = office.operator("before"), office.operator("after")
    await before.turn()

    await after.turn()

    assert after.may_act()


async def test_of_two_that_see_it_free_one_takes_it(office: Office) -> None:
    first, second = office.operator("one", "x"), office.operator("two", "y")
    read = office.leases.read

    async def read_then_lose() -> LeaseRecord | None:
        stood = await read()
        office.leases.read = read  # type: ignore[method-assign]
        await first.turn()
        return stood

    office.leases.read = read_then_lose  # type: ignore[method-assign]
    with pytest.raises(RaceError):
        await second.turn()
    await second.turn()

    assert first.may_act()
    assert not second.held.is_set()


async def test_one_that_lost_it_never_takes_it_again(office: Office) -> None:
    mine, other = office.operator("me", "x"), office.operator("other", "y")
    await mine.turn()
    await other.turn()
    office.clock.now += DURATION
    await other.turn()
    written = office.leases.written

    running = asyncio.create_task(mine.run())
    await asyncio.wait_for(mine.lost.wait(), 5)
    office.clock.now += 10 * DURATION
    await asyncio.sleep(0)

    assert office.leases.written == written
    assert not running.done()
    running.cancel()


async def test_a_lease_that_was_deleted_is_made_again(office: Office) -> None:
    leading = office.operator("me")
    await leading.turn()
    office.leases.stands = None

    await leading.turn()

    assert leading.may_act()
