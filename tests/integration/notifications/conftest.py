"""A receiver over TLS, and sinks that trust it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from integration.notifications.sinks import Sinks
from servers.certificates import Authority
from servers.event_receiver import Receiver, receiving


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "authority")


@pytest.fixture
async def receiver(authority: Authority) -> AsyncIterator[Receiver]:
    async with receiving(authority) as receiver:
        yield receiver


@pytest.fixture
async def sinks(receiver: Receiver, authority: Authority) -> AsyncIterator[Sinks]:
    async with AsyncExitStack() as stack:
        yield Sinks(receiver, authority, stack)
