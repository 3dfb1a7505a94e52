from datetime import UTC, datetime
from typing import Any

import pytest

from keyturn.kube.native_secrets import data_since


def entry(time: str | None, *fields: str) -> dict[str, Any]:
    stated = {} if time is None else {"time": time}
    return {"manager": "m", "fieldsV1": {field: {} for field in fields}, **stated}


@pytest.mark.parametrize(
    ("entries", "since"),
    [
        (None, None),
        ([], None),
        ([{}], None),
        ([entry(None, "f:data")], None),
        ([entry("2030-01-01T00:00:00Z", "f:metadata")], None),
        # The apiserver's times have no fractions, so the next second counts.
        ([entry("2030-01-01T00:00:00Z", "f:data", "f:type")], "2030-01-01T00:00:01+00:00"),
        (
            [
                entry("2030-01-01T00:00:00Z", "f:data"),
                entry("2030-01-02T00:00:00Z", "f:data"),
                entry("2030-01-03T00:00:00Z", "f:metadata"),
            ],
            "2030-01-02T00:00:01+00:00",
        ),
    ],
)
def test_from_when_the_data_are_surely_there(
    entries: list[dict[str, Any]] | None, since: str | None
) -> None:
    metadata = {} if entries is None else {"managedFields": entries}

    expected = None if since is None else datetime.fromisoformat(since).astimezone(UTC)
    assert data_since({"metadata": metadata}) == expected
