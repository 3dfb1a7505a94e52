from datetime import UTC, datetime, timedelta

import pytest

from keyturn.domain.recovery import ReclaimPolicy, Retention, is_purge_suspicious

DELETED = datetime(2030, 1, 1, tzinfo=UTC)


def test_the_default_keeps_a_secret_for_14_days() -> None:
    assert Retention().purge_after(DELETED) == DELETED + timedelta(days=14)


def test_recover_keeps_it_for_its_window() -> None:
    retention = Retention(ReclaimPolicy.RECOVER, timedelta(hours=1))

    assert retention.purge_after(DELETED) == DELETED + timedelta(hours=1)


def test_retain_keeps_it_for_ever() -> None:
    assert Retention(ReclaimPolicy.RETAIN, timedelta(hours=1)).purge_after(DELETED) is None


def test_delete_destroys_it_at_once_whatever_the_window() -> None:
    assert Retention(ReclaimPolicy.DELETE, timedelta(days=365)).purge_after(DELETED) == DELETED


@pytest.mark.parametrize(
    ("due", "total", "suspicious"),
    [
        pytest.param(0, 0, False, id="an empty store"),
        pytest.param(10, 10, False, id="all of a few"),
        pytest.param(11, 11, True, id="all of some more"),
        pytest.param(11, 55, False, id="just the share"),
        pytest.param(11, 54, True, id="just over the share"),
        pytest.param(1_000, 10_000, False, id="many, but a small share"),
    ],
)
def test_a_purge_of_a_large_share_is_suspicious(due: int, total: int, suspicious: bool) -> None:
    assert is_purge_suspicious(due, total) is suspicious
