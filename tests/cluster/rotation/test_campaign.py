"""`keyturn rotate --all`: what is selected, interrupted, and taken up again."""

import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from cluster.conftest import Kubectl
from cluster.operating import Cluster, OperatorProcess, eventually
from cluster.rotation.test_regenerate import rotated_spec
from keyturn.api import routes
from keyturn.api.routes import Asked
from keyturn.cli.client import ask_running
from keyturn.domain.secret import SecretName
from keyturn.settings import Settings
from terminals import Terminal

Completed = subprocess.CompletedProcess[bytes]
Json = dict[str, Any]

MANY, MORE = 12, 30
NAMES = [f"s{number:02}" for number in range(MANY)]
SELECTORS = (
    *("tier=db", "tier!=db", "tier in (db, cache)", "tier notin (db)", "canary", "!canary"),
    *("tier in (db,cache),!canary", "tier=,canary", "tier in (,db)", "tier in ()", "a.b/c"),
)


@pytest.fixture(autouse=True)
def operator(shared_operator: OperatorProcess) -> OperatorProcess:
    return shared_operator


@pytest.fixture
def names(cluster: Cluster) -> list[str]:
    """Twelve secrets with labels of three tiers, of which each fourth is a canary."""
    applied(cluster, NAMES)
    return NAMES


def applied(cluster: Cluster, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        labels = {"tier": ("db", "cache", "")[number % 3]}
        if number % 4 == 0:
            labels["canary"] = "yes"
        cluster.apply(name, rotated_spec(), labels=labels)
    for name in names:
        cluster.wait_ready(name)


def rotate_all(operator: OperatorProcess, cluster: Cluster, *options: str) -> Completed:
    where = () if "-A" in options else ("-n", cluster.namespace)
    return operator.keyturn("rotate", "--all", *where, *options, check=False)


def versions(cluster: Cluster) -> dict[str, int]:
    return {
        each["metadata"]["name"]: each["status"]["currentVersion"]
        for each in cluster.all("managedsecrets")
    }


def rotations(operator: OperatorProcess, cluster: Cluster, name: str) -> list[Json]:
    asked = Asked(SecretName(cluster.namespace, name))
    answer = ask_running(Settings.load(operator.environment), routes.ROTATIONS, asked)
    items: list[Json] = answer["items"]
    return items


def planned(done: Completed) -> list[str]:
    return [line.split()[1] for line in done.stdout.decode().splitlines()[1:]]


def test_what_is_selected_is_what_kubectl_selects(
    cluster: Cluster, operator: OperatorProcess, kubectl: Kubectl, names: list[str]
) -> None:
    for selector in SELECTORS:
        where = ("-n", cluster.namespace, "-l", selector)
        told = kubectl("get", "managedsecrets", *where, "-o", "name").stdout.split()

        done = rotate_all(operator, cluster, "-l", selector, "--dry-run")

        assert planned(done) == [name.partition("/")[2] for name in told], selector
        assert done.returncode == (0 if told else 3)
    assert set(versions(cluster).values()) == {1}


def test_all_that_are_selected_are_rotated_and_no_other(
    cluster: Cluster, operator: OperatorProcess, names: list[str]
) -> None:
    done = rotate_all(operator, cluster, "-l", "tier in (db,cache),!canary")

    expected = {n for i, n in enumerate(NAMES) if i % 3 != 2 and i % 4 != 0}
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    told = {f"{cluster.namespace}/{name}: version 2 is Current" for name in expected}
    assert set(lines[:-1]) == told
    assert lines[-1] == f"secrets rotated: {len(expected)} of {len(expected)}"
    wanted = {name: 2 if name in expected else 1 for name in NAMES}
    # Each status comes after the end of its rotation, on which the command ends.
    eventually(lambda: versions(cluster) == wanted, what="they and no other are rotated")


def test_an_interrupted_campaign_is_taken_up_and_nothing_is_rotated_twice(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    # So many that it is not done before somebody who was told of two of them interrupts it.
    names = [f"s{number:02}" for number in range(MORE)]
    applied(cluster, names)
    where = ("-n", cluster.namespace, "--max-concurrent", "1")
    process = subprocess.Popen(
        [sys.executable, "-m", "keyturn", "rotate", "--all", *where],
        env=operator.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    for _ in range(2):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)

    assert process.returncode == 130
    assert b"Traceback" not in told
    command = told.decode().strip().rpartition("take the rest up: ")[2]
    words = shlex.split(command)
    assert words[:3] == ["keyturn", "rotate", "--all"]
    begun = [name for name in names if len(rotations(operator, cluster, name)) == 1]
    assert 2 <= len(begun) < MORE

    dry = operator.keyturn(*words[1:], "--dry-run").stdout.decode()
    assert dry.count("to be rotated") == MORE - len(begun)
    resumed = operator.keyturn(*words[1:])
    again = operator.keyturn(*words[1:])

    assert f"secrets rotated: {MORE} of {MORE}".encode() in resumed.stdout
    assert f"secrets rotated: {MORE} of {MORE}".encode() in again.stdout
    eventually(lambda: set(versions(cluster).values()) == {2}, what="all statuses say so")
    journals = [rotations(operator, cluster, name) for name in names]
    assert [len(journal) for journal in journals] == [1] * MORE
    assert {journal[0]["token"] for journal in journals} == {words[words.index("--campaign") + 1]}


def test_a_failure_does_not_stop_the_others(
    cluster: Cluster, operator: OperatorProcess, names: list[str]
) -> None:
    spec = rotated_spec(
        interval=None, strategy="SingleUser", rotatorRef={"kind": "Rotator", "name": "nobody"}
    )
    cluster.apply("broken", spec)
    eventually(lambda: "nobody" in cluster.condition("broken").get("message", ""))

    done = rotate_all(operator, cluster, "--campaign", "after-the-leak")

    assert done.returncode == 7
    lines = done.stdout.decode().splitlines()
    header = lines.index(f"secrets rotated: {MANY} of {MANY + 1}") + 1
    assert lines[header].split() == ["NAMESPACE", "NAME", "CODE", "WHY", "NOT"]
    assert lines[header + 1].split()[:2] == [cluster.namespace, "broken"]
    assert b"--campaign after-the-leak" in done.stderr
    eventually(
        lambda: {v for n, v in versions_or_none(cluster).items() if n != "broken"} == {2},
        what="all others are rotated",
    )


def test_a_terminal_shows_how_far_it_is(
    cluster: Cluster, operator: OperatorProcess, names: list[str]
) -> None:
    words = ("rotate", "--all", "-n", cluster.namespace)
    terminal = Terminal([sys.executable, "-m", "keyturn", *words], operator.environment)

    assert terminal.finish() == 0
    assert b"12/12" in terminal.seen
    assert b"secrets rotated: 12 of 12" in terminal.seen


def versions_or_none(cluster: Cluster) -> dict[str, int | None]:
    return {
        each["metadata"]["name"]: each.get("status", {}).get("currentVersion")
        for each in cluster.all("managedsecrets")
    }


def test_a_token_of_the_command_line_does_not_wake_an_older_one_of_the_resource(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    cluster.apply("db", rotated_spec(), annotations={"keyturn.dev/rotate": "one"})
    cluster.wait_ready("db")
    before = versions(cluster)["db"]

    rotate_all(operator, cluster, "--campaign", "two")
    cluster.patch("managedsecrets", "db", {"metadata": {"labels": {"a": "b"}}})
    rotate_all(operator, cluster, "--campaign", "three")

    causes = [each["token"] for each in rotations(operator, cluster, "db")]
    assert causes[:2] == ["three", "two"]
    eventually(lambda: versions(cluster)["db"] == before + 2, what="it is rotated twice")
