"""Rotation from the command line: one secret, in a real PostgreSQL."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from cluster.operating import OperatorProcess, eventually
from cluster.rotation.postgresql import NAME, RotatedDatabase
from terminals import Terminal

Completed = subprocess.CompletedProcess[bytes]
Json = dict[str, Any]

TOKEN = {"key": "token", "input": {}}


@pytest.fixture(autouse=True)
def operator(shared_operator: OperatorProcess) -> OperatorProcess:
    return shared_operator


class Typed:
    """What a person types about the secret, beside the operator."""

    def __init__(self, operator: OperatorProcess, database: RotatedDatabase) -> None:
        self._operator = operator
        self.where = ("-n", database.cluster.namespace)
        self.name = f"{database.cluster.namespace}/{NAME}"

    def __call__(self, command: str, *options: str, stdin: bytes = b"") -> Completed:
        arguments = (command, NAME, *self.where, *options)
        return self._operator.keyturn(*arguments, stdin=stdin, check=False)

    def at_terminal(self, command: str) -> Terminal:
        words = [sys.executable, "-m", "keyturn", command, NAME, *self.where]
        return Terminal(words, self._operator.environment)

    def rotations(self) -> list[Json]:
        items: list[Json] = json.loads(self("rotations", "-o", "json").stdout)["items"]
        return items


@pytest.fixture
def typed(operator: OperatorProcess, database: RotatedDatabase) -> Typed:
    return Typed(operator, database)


def apply(database: RotatedDatabase, strategy: str = "AlternatingUsers") -> None:
    database.apply(strategy)
    database.cluster.wait_ready(NAME)


def refuse_to_set(database: RotatedDatabase) -> None:
    """Take the admin's right to set passwords away."""
    database.server.run(f'ALTER ROLE "{database.site.admin}" NOCREATEROLE')


def test_rotate_waits_for_the_end_and_the_new_credential_is_in_use(
    database: RotatedDatabase, typed: Typed
) -> None:
    apply(database)
    before = database.credential()

    done = typed("rotate")

    assert (done.returncode, done.stdout) == (0, f"{typed.name}: version 2 is Current\n".encode())
    assert database.credential() != before
    assert database.logs_in()
    (newest, first) = typed.rotations()
    assert (newest["cause"], newest["outcome"], newest["version"]) == ("Request", "Succeeded", 2)
    assert newest["by"].startswith("keyturn rotate by ")
    assert newest["duration"].endswith("s")
    assert first["cause"] == "Initial"
    table = typed("rotations").stdout.decode().splitlines()
    assert table[0].split()[:4] == ["VERSION", "CAUSE", "BY", "BEGAN"]
    assert table[1].split()[:3] == ["2", "Request", "keyturn"]


def test_a_description_tells_of_the_rotation(database: RotatedDatabase, typed: Typed) -> None:
    database.apply("AlternatingUsers", interval="30d")
    database.cluster.wait_ready(NAME)
    typed("rotate")

    told = typed("describe").stdout.decode()

    assert "AlternatingUsers by Rotator/pg" in told
    assert "version 2, Succeeded (Request, keyturn rotate by " in told
    due = json.loads(typed("describe", "-o", "json").stdout)["rotation"]["nextTime"]
    # The status comes after the end of the rotation, on which the command ends.
    eventually(lambda: database.status["nextRotationTime"] == due, what="the status says so")


def test_without_waiting_it_goes_on_by_itself(database: RotatedDatabase, typed: Typed) -> None:
    apply(database)

    done = typed("rotate", "--no-wait")

    assert done.returncode == 0
    assert done.stdout == f"{typed.name}: the rotation to version 2 has begun\n".encode()
    eventually(lambda: typed.rotations()[0]["outcome"] == "Succeeded", what="it is rotated")


def test_a_try_that_failed_is_told_and_the_rotation_is_cancelled(
    database: RotatedDatabase, typed: Typed
) -> None:
    apply(database)
    before = database.credential()
    refuse_to_set(database)

    failed = typed("rotate")
    cancelled = typed("rotate", "--cancel")

    assert failed.returncode == 7
    assert b"setPending failed" in failed.stderr
    assert b"(TargetRefused); it is tried again by itself" in failed.stderr
    assert f"keyturn rotate {NAME} -n {typed.where[1]} --cancel".encode() in failed.stderr
    assert (cancelled.returncode, cancelled.stdout) == (
        0,
        f"{typed.name}: the rotation to version 2 is undone\n".encode(),
    )
    assert typed.rotations()[0]["outcome"] == "Abandoned"
    assert typed.rotations()[0]["givenUp"].startswith("cancelled by ")
    assert database.credential() == before
    assert database.logs_in()
    assert b"given up" in typed("describe").stdout
    assert b"no rotation" in typed("rotate", "--cancel").stderr


def test_while_the_database_is_stopped_nothing_else_is_begun_and_a_cancel_waits_for_it(
    database: RotatedDatabase, typed: Typed
) -> None:
    apply(database)
    before = database.credential()
    database.server.stop()
    try:
        failed = typed("rotate")
        refused = [
            typed("rotate"),
            typed("rollback", "--to", "1"),
        ]
        cancelled = typed("rotate", "--cancel")
    finally:
        database.server.start()

    assert failed.returncode == 7
    assert b"TargetUnavailable" in failed.stderr
    assert [done.returncode for done in refused] == [4, 4]
    assert all(b"is under way" in done.stderr for done in refused)
    assert cancelled.returncode == 7
    assert b"is not undone yet" in cancelled.stderr
    eventually(lambda: typed.rotations()[0]["outcome"] == "Abandoned", what="it is undone")
    assert database.credential() == before
    assert database.logs_in()


def test_an_interrupt_ends_the_waiting_and_not_the_rotation(
    database: RotatedDatabase, typed: Typed
) -> None:
    apply(database)
    process = database.server._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        waiting = typed.at_terminal("rotate")
        waiting.expect(b"version 2 is being set in the target")
        waiting.interrupt()
        code = waiting.finish()
    finally:
        os.kill(process.pid, signal.SIGCONT)

    assert code == 130
    assert b"the rotation goes on by itself" in waiting.seen
    assert b"Traceback" not in waiting.seen
    eventually(lambda: typed.rotations()[0]["outcome"] == "Succeeded", what="it went on")
    assert database.logs_in()


@pytest.mark.parametrize("key", ["password", "username"])
def test_a_value_for_what_the_rotator_sets_is_refused(
    database: RotatedDatabase, typed: Typed, key: str
) -> None:
    apply(database)
    before = database.credential()

    done = typed("put", "--key", key, stdin=b"mine")

    assert done.returncode == 2
    assert f"{key} of {typed.name} belongs to the rotator".encode() in done.stderr
    assert b"keyturn rotate" in done.stderr
    assert database.credential() == before


def test_values_beside_the_credential_are_put_by_a_rotation_that_leaves_it(
    database: RotatedDatabase, typed: Typed
) -> None:
    database.apply("AlternatingUsers")
    stood = database.cluster.get("managedsecrets", NAME)
    assert stood is not None
    spec = {**stood["spec"], "data": [*stood["spec"]["data"], TOKEN]}
    database.cluster.wait_ready(NAME)
    database.cluster.delete("managedsecrets", NAME)
    eventually(lambda: database.cluster.data(NAME) is None, what="it is gone")
    database.cluster.apply("other", spec)
    eventually(
        lambda: "token" in database.cluster.condition("other").get("message", ""),
        what=f"it waits: {database.cluster.condition('other')}",
    )
    other = Typed(typed._operator, database)

    def put(value: bytes) -> Completed:
        return other._operator.keyturn(
            *("put", "other", *other.where, "--key", "token"), stdin=value, check=False
        )

    first = put(b"one")
    database.cluster.wait_ready("other")
    before = database.cluster.data("other")
    second = put(b"two")
    after = database.cluster.data("other")

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert before is not None
    assert after is not None
    assert (before.pop("token"), after.pop("token")) == ("b25l", "dHdv")
    assert before == after


def test_put_is_refused_while_a_rotation_is_open(database: RotatedDatabase, typed: Typed) -> None:
    database.cluster.apply(
        NAME,
        {
            "data": [
                {"key": "username", "value": database.username},
                {"key": "password", "generate": {"password": {"symbols": 0}}},
                {"key": "token", "generate": {"hex": {"bytes": 8}}},
            ],
            "rotation": {
                "strategy": "SingleUser",
                "rotatorRef": {"kind": "Rotator", "name": "pg"},
            },
        },
    )
    database.cluster.wait_ready(NAME)
    refuse_to_set(database)
    typed("rotate")

    done = typed("put", "--key", "token", stdin=b"mine")

    assert done.returncode == 4
    assert b"is under way" in done.stderr


def test_a_rollback_sets_the_old_values_in_the_target_again(
    database: RotatedDatabase, typed: Typed
) -> None:
    apply(database)
    first = database.credential()
    typed("rotate")

    done = typed("rollback", "--to", "1")

    assert (done.returncode, done.stdout) == (0, f"{typed.name}: version 3 is Current\n".encode())
    assert database.credential() == first
    assert database.logs_in()
    assert typed.rotations()[0]["cause"] == "Rollback"
    assert typed.rotations()[0]["by"].startswith("keyturn rollback by ")


def test_a_rollback_under_the_consumers_of_the_current_user_is_refused(
    database: RotatedDatabase, typed: Typed
) -> None:
    apply(database)
    typed("rotate")
    typed("rotate")
    before = database.credential()

    done = typed("rollback", "--to", "1")

    assert done.returncode == 2
    assert b"is of the user that is current" in done.stderr
    assert database.credential() == before
    assert database.logs_in()
    assert len(typed.rotations()) == 3


def test_a_rollback_that_the_target_does_not_take_leaves_current_as_it_is(
    database: RotatedDatabase, typed: Typed
) -> None:
    apply(database)
    typed("rotate")
    before = database.credential()
    database.server.run(f'ALTER ROLE "{database.username}" PASSWORD NULL')
    refuse_to_set(database)

    done = typed("rollback", "--to", "1")

    assert done.returncode == 7
    assert b"it was given up" in done.stderr
    assert b"TargetRefused" in done.stderr
    assert typed.rotations()[0]["outcome"] == "Abandoned"
    assert database.credential() == before
    assert database.logs_in()
