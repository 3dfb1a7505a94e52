"""Trouble between the operator and the apiserver: it recovers, and nothing is missed or lost."""

import time
from collections.abc import Sequence

import pytest

from cluster.faults.life import Life, live
from cluster.operating import Cluster, OperatorProcess, eventually
from faulty_proxy import (
    CUT_OFF,
    GONE,
    NO_JSON,
    NO_LEADER,
    NO_OBJECT,
    Answers,
    Delays,
    FallsSilent,
    Fault,
    FaultyProxy,
    LosesReply,
    Resets,
    requests,
)

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

    with proxy.failing(requests(*verbs), fault):
        life.go_on()
        eventually(lambda: proxy.befallen > 0, what="the fault was met")
        time.sleep(MEANWHILE)
        assert live(operator) == (200, "ok")

    life.comes_right()
    assert live(operator) == (200, "ok")
    assert operator.log.count("the probes are answered on port") == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(CUT_OFF, id="a line cut off"),
        pytest.param(NO_JSON, id="a line that is no JSON"),
        pytest.param(NO_OBJECT, id="a line without an object"),
        pytest.param(NO_LEADER, id="etcd has no leader"),
        pytest.param(GONE, id="the resource version is too old"),
        pytest.param(Resets(), id="reset"),
        *REFUSALS,
    ],
)
def test_a_fault_of_the_watches_is_survived(
    fault: Fault, proxy: FaultyProxy, life: Life, operator: OperatorProcess
) -> None:
    survives(fault, ["watch"], proxy, life, operator)


@pytest.mark.parametrize(
    "fault",
    [
        *REFUSALS,
        pytest.param(Resets(), id="reset"),
        pytest.param(Answers(200, body=b'{"metadata":{"resou'), id="an answer cut off"),
        pytest.param(Answers(200, body=b"[]"), id="an answer that is no object"),
        pytest.param(Delays(1.5), id="slow"),
    ],
)
def test_a_fault_of_reads_and_watches_is_survived(
    fault: Fault, proxy: FaultyProxy, life: Life, operator: OperatorProcess
) -> None:
    survives(fault, ["read", "watch"], proxy, life, operator)


@pytest.mark.parametrize(
    "fault",
    [
        *REFUSALS,
        pytest.param(Answers(409), id="conflict"),
        pytest.param(Answers(422), id="invalid"),
        pytest.param(Resets(), id="reset"),
        pytest.param(LosesReply(), id="the reply is lost"),
        pytest.param(Delays(1.5), id="slow"),
    ],
)
def test_a_fault_of_writes_is_survived(
    fault: Fault, proxy: FaultyProxy, life: Life, operator: OperatorProcess
) -> None:
    survives(fault, ["write"], proxy, life, operator)


@pytest.mark.parametrize(
    "fault", [pytest.param(Resets(), id="reset"), pytest.param(Answers(503), id="unavailable")]
)
def test_a_fault_of_everything_is_survived(
    fault: Fault, proxy: FaultyProxy, life: Life, operator: OperatorProcess
) -> None:
    survives(fault, ["read", "watch", "write"], proxy, life, operator)


def test_watches_that_fall_silent_are_begun_anew(
    proxy: FaultyProxy, life: Life, operator: OperatorProcess
) -> None:
    life.begin()

    with proxy.failing(requests("watch"), FallsSilent()):
        life.go_on()

    # Nobody can tell a dead watch from a quiet one before the next bookmark is overdue.
    life.comes_right(within=150)
    assert live(operator) == (200, "ok")


def test_kopf_gone_deaf_is_found_out_by_what_it_does_not_tell(
    proxy: FaultyProxy, life: Life, operator: OperatorProcess
) -> None:
    life.begin()

    with proxy.failing(requests("watch", sender="kopf"), FallsSilent()):
        life.go_on()

    life.comes_right()
    assert "its watch begins anew" in operator.log
    assert live(operator) == (200, "ok")


def test_liveness_tells_when_kopf_stays_deaf(
    proxy: FaultyProxy, cluster: Cluster, operator: OperatorProcess
) -> None:
    numbers = iter(range(1000))

    def is_found_dead() -> bool:
        name = f"made-{next(numbers)}"
        cluster.apply(name, {"data": [{"key": "user", "value": "orders"}]})
        # The work goes on, by what our own watch sees.
        cluster.wait_ready(name, within=60)
        return live(operator) == (503, "the watch of ManagedSecrets stays deaf")

    with proxy.failing(
        requests("read", "watch", path="/managedsecrets", sender="kopf"), FallsSilent()
    ):
        eventually(is_found_dead, within=200, what="the watch is found dead")

    eventually(lambda: live(operator) == (200, "ok"), within=90, what="it hears again")
