"""Trouble between the operator and the apiserver: it recovers, and nothing is missed or lost."""

import pytest

from cluster.faults.life import Life
from cluster.faults.surviving import REFUSALS, survives
from cluster.operating import OperatorProcess
from faulty_proxy import (
    CUT_OFF,
    GONE,
    NO_JSON,
    NO_LEADER,
    NO_OBJECT,
    Answers,
    Delays,
    Fault,
    FaultyProxy,
    Resets,
)


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
    "fault", [pytest.param(Resets(), id="reset"), pytest.param(Answers(503), id="unavailable")]
)
def test_a_fault_of_everything_is_survived(
    fault: Fault, proxy: FaultyProxy, life: Life, operator: OperatorProcess
) -> None:
    survives(fault, ["read", "watch", "write"], proxy, life, operator)
