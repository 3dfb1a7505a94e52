import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from keyturn.bootstrap.vault import Vault
from rotation_office import Operator, World, world_of
from vaults import opened


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with opened(tmp_path) as vault:
        yield vault


@pytest.fixture
async def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time pass for the event loop, by seconds, without a wait."""
    loop, ahead = asyncio.get_running_loop(), [0.0]
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + sum(ahead))
    return ahead.append


@pytest.fixture
def world() -> World:
    """A user that has one password; a test may change the world before its operator starts."""
    return world_of()


@pytest.fixture
async def operator(vault: Vault, world: World) -> AsyncIterator[Operator]:
    operator = await Operator(vault, world).start()
    yield operator
    await operator.stop()
