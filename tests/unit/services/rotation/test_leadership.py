import asyncio

import pytest

from keyturn.bootstrap.vault import Vault
from keyturn.domain.errors import LeadershipLostError, StoreUnavailableError, UnavailableError
from keyturn.services.rotation import leadership
from keyturn.services.rotation.leadership import Leadership
from rotation_office import FakeLease

WITHIN = 60


class SeenLease(FakeLease):
    """A lease that tells when somebody was told that it is not sure."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = asyncio.Event()

    def may_act(self) -> bool:
        may = super().may_act()
        if not may:
            self.refused.set()
        return may


@pytest.fixture
def lease() -> SeenLease:
    return SeenLease()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadership, "PAUSE", 0.01)


async def test_without_an_epoch_nobody_leads(vault: Vault, lease: FakeLease) -> None:
    leading = Leadership(vault.store.rotations, lease)

    assert not leading.is_leading()
    with pytest.raises(UnavailableError):
        leading.require()
    await leading.take()

    assert leading.is_leading()
    await vault.store.rotations.check_epoch(leading.epoch)


async def test_an_unsure_lease_is_no_loss(vault: Vault, lease: FakeLease) -> None:
    leading = Leadership(vault.store.rotations, lease)
    await leading.take()
    lease.is_sure = False

    with pytest.raises(UnavailableError):
        _ = leading.epoch
    assert not leading.lost.is_set()
    lease.is_sure = True
    assert leading.epoch


async def test_what_is_lost_is_lost_for_good(vault: Vault, lease: FakeLease) -> None:
    leading = Leadership(vault.store.rotations, lease)
    await leading.take()

    leading.lose()

    assert not leading.is_leading()
    with pytest.raises(LeadershipLostError):
        leading.require()


async def test_it_begins_when_the_lease_is_held_and_again_when_it_is_sure_again(
    vault: Vault, lease: SeenLease
) -> None:
    lease.held.clear()
    leading, begun = Leadership(vault.store.rotations, lease), asyncio.Queue[None]()
    running = asyncio.create_task(leading.lead(lambda: begun.put_nowait(None)))
    await asyncio.sleep(0.05)
    assert begun.empty()

    lease.held.set()
    await asyncio.wait_for(begun.get(), WITHIN)
    lease.is_sure = False
    await asyncio.wait_for(lease.refused.wait(), WITHIN)
    assert begun.empty()
    lease.is_sure = True
    await asyncio.wait_for(begun.get(), WITHIN)

    lease.lost.set()
    await asyncio.wait_for(leading.lost.wait(), WITHIN)
    assert not running.done()
    running.cancel()


async def test_an_epoch_that_cannot_be_taken_is_tried_again(
    vault: Vault, lease: FakeLease, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, tries = vault.store.rotations, 0
    take = journal.take_epoch

    async def fails_first() -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise StoreUnavailableError("the disk is away")
        return await take()

    monkeypatch.setattr(journal, "take_epoch", fails_first)
    leading, begun = Leadership(journal, lease), asyncio.Event()
    running = asyncio.create_task(leading.lead(begun.set))

    await asyncio.wait_for(begun.wait(), WITHIN)

    assert tries == 2
    running.cancel()
