"""A vault of its own for a test: a store in a folder, and the keys to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from keyturn.bootstrap.vault import Vault, default_key, unlock
from keyturn.settings import Settings
from keyturn.store.sqlite import SQLiteStore


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Vault]:
    """Open the store in a folder, and the keys to it; no other process can then."""
    settings = Settings(
        data_dir=folder / "data",
        socket=folder / "socket",
        kubeconfig=None,
        key_file=folder / "key",
    )
    store = await SQLiteStore.open(settings.store_file)
    try:
        key = await default_key(settings, store, await store.identity(), None)
        yield await unlock(settings, store, key)
    finally:
        await store.close()
