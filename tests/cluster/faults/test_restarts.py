"""The apiserver, the token or the operator goes away, and comes back."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import randbelow

import pytest

from canary_scan import CanaryScan
from cluster.faults.life import SPEC, Life, live, token_of
from cluster.installing import installed
from cluster.operating import Cluster, OperatorProcess, eventually
from faulty_proxy import FaultyProxy, Resets, requests
from keyturn_controlplane.binaries import Binaries
from keyturn_controlplane.cluster import ControlPlane

MANY = 100


MORE = 200
"""So many are not all made in the time in which somebody who looks now and then sees the first."""


def names(prefix: str, many: int = MANY) -> list[str]:
    return [f"{prefix}-{number}" for number in range(many)]


@pytest.fixture(scope="module")
def control_plane(binaries: Binaries, canary_scan: CanaryScan) -> Iterator[ControlPlane]:
    """A control plane of their own for these tests, which stop its apiserver."""
    with installed(binaries, canary_scan) as control_plane:
        yield control_plane


@contextmanager
def applying(cluster: Cluster, made: list[str]) -> Iterator[None]:
    """Make ManagedSecrets, one after another, beside what the `with` does."""
    work = threading.Thread(target=lambda: [cluster.apply(name, SPEC) for name in made])
    work.start()
    try:
        yield
    finally:
        work.join()


@pytest.mark.parametrize(
    "grace", [pytest.param(5.0, id="asked to stop"), pytest.param(0.0, id="killed")]
)
def test_the_apiserver_is_restarted(
    grace: float, control_plane: ControlPlane, life: Life, operator: OperatorProcess
) -> None:
    life.begin()

    control_plane.stop_apiserver(grace=grace)
    time.sleep(3)
    assert live(operator) == (200, "ok")
    control_plane.start_apiserver()
    life.go_on()

    life.comes_right()
    assert live(operator) == (200, "ok")


def test_the_operator_starts_before_the_apiserver(
    control_plane: ControlPlane, life: Life, operator: OperatorProcess
) -> None:
    life.begin()
    assert operator.stop() == 0

    control_plane.stop_apiserver()
    operator.start(ready=False)
    eventually(lambda: "waiting: " in operator.log, within=30, what="it waits")
    assert live(operator) == (200, "ok")
    control_plane.start_apiserver()
    life.go_on()

    life.comes_right()


def test_a_token_that_is_revoked_is_replaced_by_the_one_in_its_place(
    control_plane: ControlPlane, proxy: FaultyProxy, life: Life, operator: OperatorProcess
) -> None:
    life.begin()

    control_plane.kubectl("delete", "serviceaccount", "keyturn", "-n", "keyturn-system")
    control_plane.kubectl("create", "serviceaccount", "keyturn", "-n", "keyturn-system")
    with proxy.failing(requests("watch"), Resets()):
        life.go_on()
    eventually(lambda: " 401 " in operator.log, within=60, what="the old token is refused")
    proxy.kubeconfig(token_of(control_plane))

    life.comes_right()
    assert live(operator) == (200, "ok")


def test_a_stop_under_load_is_clean(
    cluster: Cluster, life: Life, operator: OperatorProcess
) -> None:
    made = names("load", MORE)
    with applying(cluster, made):
        eventually(lambda: len(cluster.all("secrets")) >= 20, what="it is at work")

        exit_code = operator.stop()

    assert exit_code == 0
    acknowledged = {s["metadata"]["name"]: s["data"] for s in cluster.all("secrets")}
    assert 20 <= len(acknowledged) < MORE
    operator.start()
    for name in made:
        cluster.wait_ready(name, within=60)
        life.is_version_1(name)
    assert all(cluster.data(name) == data for name, data in acknowledged.items())


@pytest.mark.parametrize("round_", range(10))
def test_a_kill_at_any_moment_loses_nothing(
    round_: int, cluster: Cluster, life: Life, operator: OperatorProcess
) -> None:
    made = names("killed")
    with applying(cluster, made):
        time.sleep(randbelow(2000) / 1000)

        operator.kill()

    before = {secret["metadata"]["name"]: secret["data"] for secret in cluster.all("secrets")}
    operator.start()
    for name in made:
        cluster.wait_ready(name, within=60)
        life.is_version_1(name)
    assert all(cluster.data(name) == data for name, data in before.items())
