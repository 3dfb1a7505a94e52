"""A fault, and an operator that lives through it."""

import time
from collections.abc import Sequence

import pytest

from cluster.faults.life import Life, live
from cluster.operating import OperatorProcess, eventually
from faulty_proxy import Answers, Fault, FaultyProxy, requests

MEANWHILE = 2.0
"""Seconds that a fault goes on after the changes, so that it meets the second tries too."""

REFUSALS = (
    pytest.param(Answers(401), id="unauthorized"),
    pytest.param(Answers(403), id="forbidden"),
    pytest.param(Answers(404), id="not found"),
    pytest.param(Answers(410), id="gone"),
    pytest.param(Answers(429, headers={"Retry-After": "1"}), id="too many requests"),
    pytest.param(Answers(500), id="internal error"),
    pytest.param(Answers(502, body=b"<html>Bad Gateway</html>"), id="bad gateway"),
    pytest.param(Answers(503), id="unavailable"),
    pytest.param(Answers(504), id="gateway timeout"),
)


def survives(
    fault: Fault, verbs: Sequence[str], proxy: FaultyProxy, life: Life, operator: OperatorProcess
) -> None:
    """Live through a fault, and see that all came right in one and the same process."""
    life.begin()
    before = proxy.befallen

    with proxy.failing(requests(*verbs), fault):
        life.go_on()
        eventually(lambda: proxy.befallen > before, what="the fault was met")
        time.sleep(MEANWHILE)
        assert live(operator) == (200, "ok")

    life.comes_right()
    assert live(operator) == (200, "ok")
    assert operator.log.count("the probes are answered on port") == 1
