"""Writes that fail, one kind after another, before an operator that lives through them all."""

from collections.abc import Iterator

import pytest

from cluster.faults.life import Life, token_of
from cluster.faults.surviving import REFUSALS, survives
from cluster.operating import OperatorProcess
from faulty_proxy import Answers, Delays, Fault, FaultyProxy, LosesReply, Resets
from keyturn_controlplane.cluster import ControlPlane


@pytest.fixture(scope="module")
def proxy(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultyProxy]:
    folder = tmp_path_factory.mktemp("proxy")
    with FaultyProxy(control_plane.url, control_plane.ca_file, folder) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def operator(
    control_plane: ControlPlane, proxy: FaultyProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """One operator, which has to live through one fault after another."""
    folder = tmp_path_factory.mktemp("operator")
    kubeconfig = proxy.kubeconfig(token_of(control_plane))
    with OperatorProcess(control_plane, folder, kubeconfig=kubeconfig) as operator:
        yield operator


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
