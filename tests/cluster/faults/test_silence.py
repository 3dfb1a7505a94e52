"""Watches that say nothing and do not end: found out, and the more so by who watches the watch."""

from cluster.faults.life import Life, live
from cluster.operating import Cluster, OperatorProcess, eventually
from faulty_proxy import FallsSilent, FaultyProxy, requests


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
