"""Consumers are restarted, or told to read anew; the controllers are real."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster.controlled import Controlled, by_env, by_volume, files_of
from cluster.operating import Cluster, OperatorProcess, Resource, eventually
from cluster.site import Site
from keyturn_controlplane.cluster import ControlPlane

RESTART: dict[str, Any] = {"action": "Restart", "coalesce": "8s"}
RBAC = Path(__file__).parents[2] / "rbac"
KEY = "keyturn.dev/version"


def password(length: int = 24) -> dict[str, Any]:
    return {"key": "password", "generate": {"password": {"length": length}}}


def apply(cluster: Cluster, version: int, *names: str, **spec: Any) -> None:
    """Let secrets (`db`, where none is named) have a version; wait until it is projected."""
    named = names or ("db",)
    for name in named:
        cluster.apply(name, {"data": [password(20 + version)], **spec})
    for name in named:
        eventually(
            lambda name=name: shown(cluster, name) == version,  # type: ignore[misc]
            what=f"{name} shows version {version}",
        )


def shown(cluster: Cluster, name: str = "db") -> int:
    resource = cluster.get("managedsecrets", name) or {}
    if cluster.condition(name).get("status") != "True":
        return 0
    return int(resource.get("status", {}).get("currentVersion", 0))


def moved(cluster: Cluster, name: str = "db") -> tuple[str, str]:
    condition = cluster.condition(name, "ConsumersUpToDate")
    return condition.get("reason", ""), condition.get("message", "")


def wait_moved(cluster: Cluster, *names: str) -> None:
    for name in names or ("db",):
        eventually(
            lambda name=name: moved(cluster, name)[0] == "AllMoved",  # type: ignore[misc]
            what=f"all have moved to {name}: {moved(cluster, name)}",
        )


def events(cluster: Cluster, reason: str) -> list[Resource]:
    return [event for event in cluster.all("events") if event["reason"] == reason]


def let_pods_be_older() -> None:
    """Wait until what is projected next is surely younger than the pods that run."""
    time.sleep(6)


@pytest.fixture
def controlled(control_plane: ControlPlane, namespace: str) -> Iterator[Controlled]:
    with Controlled.opened(control_plane, namespace) as made:
        yield made


@pytest.fixture
def site(quiet_control_plane: ControlPlane, quiet_site: Site) -> Iterator[Controlled]:
    with Controlled.opened(quiet_control_plane, quiet_site.namespace) as made:
        yield made


def test_two_secrets_of_one_workload_make_one_restart(
    shared_operator: OperatorProcess, cluster: Cluster, controlled: Controlled, enforced: None
) -> None:
    apply(cluster, 1, "db", "cache", consumers=RESTART)
    controlled.deploy("web", by_env("db", "cache"))
    controlled.deploy("queue", by_env("db"), kind="statefulsets")
    wait_moved(cluster, "db", "cache")
    let_pods_be_older()
    # At first sight nobody is restarted who runs with the current version.
    assert controlled.notes("web") == {}
    assert controlled.templates("web") == 1

    apply(cluster, 2, "db", "cache", consumers=RESTART)
    controlled.wait_restarted("web", "2")
    controlled.wait_restarted("queue", "2", kind="statefulsets")
    wait_moved(cluster, "db", "cache")

    assert controlled.notes("web") == {f"{KEY}.db": "2", f"{KEY}.cache": "2"}
    assert controlled.templates("web") == 2
    assert controlled.templates("queue", "statefulsets") == 2
    told = events(cluster, "RolloutRestartTriggered")
    assert sorted((event["regarding"]["name"], event["note"]) for event in told) == [
        ("cache", "Deployment/web is restarted for version 2."),
        ("db", "Deployment/web is restarted for version 2."),
        ("db", "StatefulSet/queue is restarted for version 2."),
    ]
    # One line for GitOps: nothing but these annotations has our field manager.
    (ours,) = [
        entry["fieldsV1"]
        for entry in controlled.body("web")["metadata"]["managedFields"]
        if entry["manager"] == "keyturn-consumers"
    ]
    written = ours["f:spec"]["f:template"]["f:metadata"]["f:annotations"]
    assert set(written) - {"."} == {f"f:{KEY}.db", f"f:{KEY}.cache"}

    # A change of something else is no new version.
    cluster.apply("db", {"data": [password(22)], "consumers": RESTART, "description": "more"})
    time.sleep(12)
    assert controlled.templates("web") == 2


def test_killed_in_the_middle_it_restarts_each_once_and_no_more_at_a_time(
    quiet_site: Site, site: Controlled
) -> None:
    names = ["a", "b", "c", "d"]
    operator = quiet_site.started()
    apply(quiet_site.cluster, 1, consumers=RESTART)
    for name in names:
        site.deploy(name, by_env("db"), replicas=1)
    wait_moved(quiet_site.cluster)
    let_pods_be_older()
    # The pods of the first two that are restarted do not become ready.
    site.held = "a-"
    apply(quiet_site.cluster, 2, consumers=RESTART)
    eventually(lambda: len(site.restarted(names)) >= 2, what="two are restarted")
    operator.kill()

    operator.start()
    eventually(lambda: "c" in site.restarted(names), what="the third has its turn")
    operator.kill()
    operator.start()
    time.sleep(15)
    # All but the one that is held are done, and it takes one place of two.
    assert "a" in site.restarted(names)
    site.wait_rolled_out("b")
    assert quiet_site.cluster.condition("db", "ConsumersUpToDate")["status"] == "False"
    site.held = ""
    wait_moved(quiet_site.cluster)

    assert site.restarted(names) == names
    assert [site.templates(name) for name in names] == [2, 2, 2, 2]
    operator.stop()
    operator.start()
    time.sleep(15)
    assert [site.templates(name) for name in names] == [2, 2, 2, 2]


def test_who_is_left_alone_and_who_asks_as_reloaders_users_do(
    quiet_site: Site, site: Controlled
) -> None:
    traced = {"env": [{"name": "STAKATER_DB_SECRET", "value": "5f1d"}]}
    quiet_site.started(KEYTURN_RELOADER="on")
    apply(quiet_site.cluster, 1, consumers=RESTART)
    apply(quiet_site.cluster, 1, "cache")
    out, auto = {"keyturn.dev/restart": "false"}, {"reloader.stakater.com/auto": "true"}
    site.deploy("out", by_env("db"), annotations=out)
    site.deploy("traced", {**by_env("db"), **traced})
    site.deploy("plain", by_env("db", "cache"))
    site.deploy("auto", by_env("cache"), annotations=auto)
    site.deploy("other", by_env("cache"))
    wait_moved(quiet_site.cluster)
    let_pods_be_older()

    apply(quiet_site.cluster, 2, consumers=RESTART)
    apply(quiet_site.cluster, 2, "cache")
    site.wait_restarted("plain", "2")
    site.wait_restarted("auto", "2", "cache")
    time.sleep(10)

    names = ["out", "traced", "plain", "auto", "other"]
    assert [site.templates(name) for name in names] == [1, 1, 2, 2, 1]
    assert site.notes("plain") == {f"{KEY}.db": "2"}
    # Nobody asked to be told of the consumers of the other one.
    assert "consumers" not in (quiet_site.cluster.get("managedsecrets", "cache") or {})["status"]


def test_a_window_is_waited_for(
    shared_operator: OperatorProcess, cluster: Cluster, controlled: Controlled, enforced: None
) -> None:
    def window(hour: int) -> dict[str, Any]:
        return {**RESTART, "window": {"schedule": f"0 {hour % 24} * * *", "duration": "2h"}}

    closed = window(datetime.now(UTC).hour + 6)
    apply(cluster, 1, consumers=closed)
    controlled.deploy("web", by_env("db"))
    wait_moved(cluster)
    let_pods_be_older()
    apply(cluster, 2, consumers=closed)
    eventually(lambda: moved(cluster)[0] == "WaitingForConsumers", what="it waits")
    time.sleep(15)
    assert controlled.templates("web") == 1

    apply(cluster, 2, consumers=window(datetime.now(UTC).hour))
    controlled.wait_restarted("web", "2")
    wait_moved(cluster)


def test_without_its_cage_or_its_right_it_restarts_nobody_and_says_so(
    fresh_site: Site, fresh_control_plane: ControlPlane
) -> None:
    kubectl, cluster = fresh_control_plane.kubectl, fresh_site.cluster
    kubectl("delete", "validatingadmissionpolicybinding", "keyturn-workloads")
    fresh_site.started()
    with Controlled.opened(fresh_control_plane, fresh_site.namespace) as controlled:
        apply(cluster, 1, consumers=RESTART)
        controlled.deploy("web", by_env("db"))
        wait_moved(cluster)
        let_pods_be_older()

        apply(cluster, 2, consumers=RESTART)
        eventually(
            lambda: moved(cluster)[0] == "RolloutRestartFailed", what="it says that it cannot"
        )
        assert "rbac/70-workload-policy.yaml" in moved(cluster)[1]
        assert controlled.templates("web") == 1
        (told,) = events(cluster, "RolloutRestartFailed")
        assert told["type"] == "Warning"

        # In this order: with both it would restart for version 2 as soon as that is tried again.
        take_patches_away(fresh_control_plane)
        kubectl("apply", "--server-side", "-f", str(RBAC / "70-workload-policy.yaml"))
        apply(cluster, 3, consumers=RESTART)
        eventually(lambda: "may not patch" in moved(cluster)[1], what="it says what is missing")
        assert moved(cluster)[1].startswith(
            f"Deployment/web: the operator may not patch deployments.apps in {cluster.namespace}"
        )

        kubectl("apply", "--server-side", "--force-conflicts", "-f", str(RBAC))
        apply(cluster, 4, consumers=RESTART)
        controlled.wait_restarted("web", "4")
        wait_moved(cluster)
        assert controlled.templates("web") == 2


def take_patches_away(control_plane: ControlPlane) -> None:
    role = json.loads(control_plane.kubectl("get", "clusterrole", "keyturn", "-o", "json").stdout)
    for rule in role["rules"]:
        if "deployments" in rule["resources"]:
            rule["verbs"] = ["list"]
    control_plane.kubectl("replace", "-f", "-", input=json.dumps(role))


# Reloads


@dataclass
class Program:
    """What all pods have on their port: it notes each call, and answers as it is told to."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    calls: list[tuple[str, str, datetime]] = field(default_factory=list)

    @classmethod
    @contextmanager
    def running(cls) -> "Iterator[Program]":
        program = cls()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                program.calls.append((self.command, self.path, datetime.now(UTC)))
                self.send_response(program.answers.pop(0) if program.answers else 204)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep the output of the tests clean."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        program.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield program
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def program() -> Iterator[Program]:
    with Program.running() as program:
        yield program


def reload(program: Program) -> dict[str, Any]:
    url = f"http://{{podIP}}:{program.port}/-/reload?all=1"
    return {"action": "Reload", "reload": {"url": url, "delay": "7s"}}


def test_each_pod_is_told_once_and_counts_as_moved(
    quiet_site: Site, site: Controlled, program: Program
) -> None:
    cluster, asked = quiet_site.cluster, reload(program)
    operator = quiet_site.started(KEYTURN_RELOAD_ALLOW="127.0.0.0/8")
    apply(cluster, 1, consumers=asked)
    site.deploy("web", by_volume("db"), **files_of("db"))
    wait_moved(cluster)
    let_pods_be_older()
    # The first call of one fails, and is repeated.
    program.answers = [503]
    before = datetime.now(UTC)
    apply(cluster, 2, consumers=asked)
    wait_moved(cluster)

    assert site.templates("web") == 1
    assert [call[:2] for call in program.calls] == [("POST", "/-/reload?all=1")] * 3
    assert program.calls[0][2] > before + timedelta(seconds=6)
    operator.kill()
    operator.start()
    time.sleep(8)
    assert len(program.calls) == 3

    # Who has it in its environment is not moved by any call.
    site.deploy("worker", by_env("db"), replicas=1)
    let_pods_be_older()
    apply(cluster, 3, consumers=asked)
    eventually(lambda: len(program.calls) == 5, what="both are told again")
    eventually(
        lambda: moved(cluster)[1].endswith(
            "started with another version than 3: Deployment/worker."
        ),
        what="only one is waited for",
    )


@pytest.mark.parametrize(
    ("answer", "allowed", "why"),
    [
        (302, "127.0.0.0/8", "the answer is 302, not 200 to 299"),
        (204, "10.0.0.0/8", "the address that the target's name stands for is the operator's own"),
    ],
    ids=["sent elsewhere", "to itself"],
)
def test_a_call_that_fails_or_may_not_be_made_is_told(
    quiet_site: Site, site: Controlled, program: Program, answer: int, allowed: str, why: str
) -> None:
    cluster, asked = quiet_site.cluster, reload(program)
    quiet_site.started(KEYTURN_RELOAD_ALLOW=allowed)
    apply(cluster, 1, consumers=asked)
    site.deploy("web", by_volume("db"), replicas=1, **files_of("db"))
    wait_moved(cluster)
    let_pods_be_older()
    program.answers = [answer] * 1000

    apply(cluster, 2, consumers=asked)

    eventually(lambda: moved(cluster)[0] == "ReloadFailed", what="it says that it cannot")
    assert why in moved(cluster)[1]
    assert bool(program.calls) == (answer == 302)
