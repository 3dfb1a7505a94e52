from typing import Any

import pytest

from keyturn_controlplane.crds import are_established


def a_crd(status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "status": status}


SERVED = a_crd({"conditions": [{"type": "Established", "status": "True"}]})


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(a_crd({}), id="nobody looked at it yet"),
        pytest.param(a_crd({"conditions": None}), id="no conditions yet"),
        pytest.param(
            a_crd({"conditions": [{"type": "Established", "status": "False"}]}), id="not yet"
        ),
    ],
)
def test_waits_for_every_crd(other: dict[str, Any]) -> None:
    assert not are_established({"items": [SERVED, other]})


def test_is_content_when_all_are_served() -> None:
    assert are_established({"items": [SERVED, SERVED]})
