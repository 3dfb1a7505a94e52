"""Rotation in a real PostgreSQL, from `kubectl apply` to what a pod would log in with."""

import pytest

from canary import Canary
from cluster.operating import OperatorProcess, eventually
from cluster.rotation.postgresql import NAME, RotatedDatabase


@pytest.fixture(autouse=True)
def operator(shared_operator: OperatorProcess) -> OperatorProcess:
    return shared_operator


@pytest.mark.parametrize("strategy", ["SingleUser", "AlternatingUsers"])
def test_a_secret_is_set_in_the_database_and_rotated(
    database: RotatedDatabase, canary: Canary, strategy: str
) -> None:
    database.apply(strategy)
    database.cluster.wait_ready(NAME)
    first = database.credential()
    assert database.logs_in()

    database.rotate("one")
    second = database.credential()
    assert database.logs_in()
    database.rotate("two")
    third = database.credential()
    assert database.logs_in()

    assert len({first[1], second[1], third[1]}) == 3
    users = [first[0], second[0], third[0]]
    alternates = strategy == "AlternatingUsers"
    clone = f"{database.username}_clone" if alternates else database.username
    assert users == [database.username, clone, database.username]
    for password in (first[1], second[1], third[1]):
        canary.register(password.encode())
    log = database.server.log()
    assert not [password for password in (first[1], second[1], third[1]) if password in log]


def test_a_failed_rotation_keeps_the_current_credential_and_says_why(
    database: RotatedDatabase,
) -> None:
    database.apply("AlternatingUsers")
    database.cluster.wait_ready(NAME)
    before = database.credential()
    database.server.run(f'REVOKE CREATE ON SCHEMA public FROM "{database.username}"')
    database.server.run(f'ALTER ROLE "{database.site.admin}" NOCREATEROLE')

    database.request("one")
    eventually(lambda: rotated(database).get("status") == "False", what="it says that it failed")

    condition = rotated(database)
    assert condition["reason"] == "SetPendingFailed"
    assert "TargetRefused" in condition["message"]
    assert database.credential() == before
    assert database.logs_in()
    database.server.run(f'ALTER ROLE "{database.site.admin}" CREATEROLE')
    eventually(lambda: database.status["currentVersion"] == 2, what="it went on")
    assert database.logs_in()


def rotated(database: RotatedDatabase) -> dict[str, str]:
    conditions = database.status.get("conditions", [])
    return next((each for each in conditions if each["type"] == "Rotated"), {})
