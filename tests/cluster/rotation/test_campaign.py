"""`keyturn rotate --all`: what is selected, interrupted, and taken up again."""

import json
import shlex
import signal
import subprocess
import sys
from typing import Any

import pytest

from cluster.conftest import Kubectl
from cluster.operating import Cluster, OperatorProcess, eventually
from cluster.rotation.test_regenerate import rotated_spec
from terminals import Terminal

Completed = subprocess.CompletedProcess[bytes]
Json = dict[str, Any]

MANY = 12
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
    for number, name in enumerate(NAMES):
        labels = {"tier": ("db", "cache", "")[number % 3]}
        if number % 4 == 0:
            labels["canary"] = "yes"
        cluster.apply(name, rotated_spec(), labels=labels)
    for name in NAMES:
        cluster.wait_ready(name)
    return NAMES


def rotate_all(operator: OperatorProcess, cluster: Cluster, *options: str) -> Completed:
    where = () if "-A" in options else ("-n", cluster.namespace)
    return operator.keyturn("rotate", "--all", *where, *options, check=False)


def versions(cluster: Cluster) -> dict[str, int]:
    return {
        each["metadata"]["name"]: each["status"]["currentVersion"]
        for each in cluster.all("managedsecrets")
    }


def rotations(operator: OperatorProcess, cluster: Cluster, name: str) -> list[Json]:
    answer = operator.keyturn("rotations", name, "-n", cluster.namespace, "-o", "json")
    items: list[Json] = json.loads(answer.stdout)["items"]
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
    assert versions(cluster) == {name: 2 if name in expected else 1 for name in NAMES}


def test_an_interrupted_campaign_is_taken_up_and_nothing_is_rotated_twice(
    cluster: Cluster, operator: OperatorProcess, names: list[str]
) -> None:
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
    _, told = process.communicate(timeout=20)

    assert process.returncode == 130
    assert b"Traceback" not in told
    command = told.decode().strip().rpartition("take the rest up: ")[2]
    words = shlex.split(command)
    assert words[:3] == ["keyturn", "rotate", "--all"]
    begun = [name for name in NAMES if len(rotations(operator, cluster, name)) == 1]
    assert 2 <= len(begun) < MANY

    dry = operator.keyturn(*words[1:], "--dry-run").stdout.decode()
    assert dry.count("to be rotated") == MANY - len(begun)
    resumed = operator.keyturn(*words[1:])
    again = operator.keyturn(*words[1:])

    assert f"secrets rotated: {MANY} of {MANY}".encode() in resumed.stdout
    assert f"secrets rotated: {MANY} of {MANY}".encode() in again.stdout
    assert set(versions(cluster).values()) == {2}
    journals = [rotations(operator, cluster, name) for name in NAMES]
    assert [len(journal) for journal in journals] == [1] * MANY
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
    assert {v for name, v in versions_or_none(cluster).items() if name != "broken"} == {2}


def test_a_terminal_shows_how_far_it_is(
    cluster: Cluster, operator: OperatorProcess, names: list[str]
) -> None:
    words = ("rotate", "--all", "-n", cluster.namespace)
    terminal = Terminal([sys.executable, "-m", "keyturn", *words], operator.environment)

    assert terminal.finish(within=60) == 0
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
    assert versions(cluster)["db"] == before + 2
