"""Every store keeps the promises of the interface."""

from functools import partial
from pathlib import Path

import pytest

from keyturn.store.sqlite import SQLiteStore
from keyturn.testing.store_identity import Opener
from keyturn.testing.stores import StoreContract


class TestSQLiteStore(StoreContract):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        return partial(SQLiteStore.open, tmp_path / "store" / "keyturn.db")
