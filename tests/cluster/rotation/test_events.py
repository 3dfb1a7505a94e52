"""What is told of rotations: as Events of a real apiserver, and to a receiver over TLS."""

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from canary import Canary
from cluster.operating import Cluster, OperatorProcess, Resource, eventually
from cluster.rotation.postgresql import NAME, TOKEN, RotatedDatabase
from cluster.site import Site
from keyturn.domain.rotation_event import EventKind
from servers.certificates import Authority
from servers.event_receiver import Receiver, receiving_beside, status

STARTED, SUCCEEDED, FAILED, ABANDONED, _ = (kind.value for kind in EventKind)


def posted(cluster: Cluster) -> list[Resource]:
    """The Events about rotations."""
    return [event for event in cluster.all("events") if event["reason"].startswith("Rotation")]


def counted(cluster: Cluster) -> Counter[str]:
    return Counter(event["reason"] for event in posted(cluster))


def rotations(cluster: Cluster, name: str = NAME) -> list[Resource]:
    """The rotations that are over, as the status tells them."""
    found = cluster.get("managedsecrets", name)
    assert found is not None
    over: list[Resource] = found.get("status", {}).get("rotations", [])
    return over


def test_each_event_of_a_rotation_is_posted_once_and_tells_no_value(
    shared_operator: OperatorProcess, database: RotatedDatabase, canary: Canary
) -> None:
    cluster = database.cluster
    database.apply("SingleUser", maxFailures=1)
    cluster.wait_ready(NAME)
    passwords = {database.credential()[1]}
    for token in ("one", "two"):
        database.rotate(token)
        passwords.add(database.credential()[1])
    database.server.run(f'ALTER ROLE "{database.site.admin}" NOCREATEROLE')
    try:
        database.request("three")
        eventually(lambda: rotations(cluster)[0]["outcome"] == "Abandoned", what="it is given up")
    finally:
        database.server.run(f'ALTER ROLE "{database.site.admin}" CREATEROLE')

    succeeded = len(rotations(cluster)) - 1
    wanted = {STARTED: succeeded + 1, SUCCEEDED: succeeded, FAILED: 1, ABANDONED: 1}
    eventually(lambda: counted(cluster).total() >= sum(wanted.values()), what="all are posted")
    shared_operator.keyturn("history", NAME, "-n", cluster.namespace)
    assert counted(cluster) == wanted
    for event in posted(cluster):
        assert event["regarding"]["name"] == NAME
        assert event["type"] == ("Normal" if event["reason"] in (STARTED, SUCCEEDED) else "Warning")
    for password in passwords:
        canary.register(password.encode())
    assert canary.scan_bytes(json.dumps(cluster.all("events")).encode()) == []


WAITING = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@pytest.mark.usefixtures("shared_operator")
def test_that_a_rotation_began_is_told_while_it_is_at_work(database: RotatedDatabase) -> None:
    database.apply("SingleUser")
    database.cluster.wait_ready(NAME)
    eventually(lambda: counted(database.cluster)[SUCCEEDED] == 1, what="the first is told")
    begun = counted(database.cluster)[STARTED]

    def is_told_early() -> bool:
        waits = database.server.query(WAITING)
        events = counted(database.cluster)
        return len(waits) == 1 and events[STARTED] == begun + 1 and not events[FAILED]

    with database.server.connect() as connection, connection.transaction():
        # Passwords can be checked, and none can be set.
        connection.execute("LOCK TABLE pg_authid IN SHARE MODE")
        database.request("one")
        eventually(is_told_early, what="it is told while it waits for the lock")
    eventually(lambda: counted(database.cluster)[SUCCEEDED] == begun + 1, what="it went on")


@pytest.mark.usefixtures("shared_operator")
def test_a_long_name_is_cut_where_an_event_can_be_named_by_it(cluster: Cluster) -> None:
    name = f"{'a' * 199}.{'b' * 40}"
    password = {"key": "password", "generate": {"password": {}}}
    cluster.apply(name, {"data": [password], "rotation": {"interval": "30d"}})
    cluster.wait_ready(name)

    cluster.patch("managedsecrets", name, {"metadata": {"annotations": {TOKEN: "one"}}})

    eventually(lambda: counted(cluster) == {STARTED: 1, SUCCEEDED: 1}, what="both are posted")


@pytest.fixture
def receiver(tmp_path: Path) -> Any:
    authority = Authority.create(tmp_path / "authority")
    with receiving_beside(authority) as receiver:
        yield receiver


def told(receiver: Receiver) -> list[Resource]:
    """What arrived, each event once."""
    events: dict[str, Resource] = {}
    for call in receiver.calls:
        event = json.loads(call.body)
        assert events.setdefault(event["id"], event) == event
    return list(events.values())


def test_an_endpoint_hears_of_all_rotations_also_of_those_before_a_crash(
    quiet_site: Site, receiver: Receiver, tmp_path: Path, canary: Canary
) -> None:
    key = tmp_path / "key"
    key.write_bytes(canary.make(40))
    operator = quiet_site.started(
        KEYTURN_EVENTS_URL=receiver.url(),
        KEYTURN_EVENTS_CA_FILE=str(tmp_path / "authority" / "ca.crt"),
        KEYTURN_EVENTS_KEY_FILE=str(key),
    )
    cluster = quiet_site.cluster
    values = [quiet_site.applied(rotation={"interval": "30d"})["password"]]

    def rotate(number: int) -> None:
        cluster.patch("managedsecrets", "db", {"metadata": {"annotations": {TOKEN: str(number)}}})
        eventually(lambda: len(rotations(cluster)) == number, what="it is rotated")
        values.append(quiet_site.data()["password"])

    rotate(1)
    eventually(lambda: len(told(receiver)) == 2, what="both events arrive")
    receiver.answer = status(503)
    rotate(2)
    eventually(lambda: len(receiver.calls) > 2, what="it was tried")
    operator.kill()
    receiver.answer = None
    operator.start()
    eventually(lambda: len(told(receiver)) == 4, what="what waited arrives")

    events = told(receiver)
    types = [event["type"].split(".")[-2] for event in events]
    assert types == ["started", "succeeded"] * 2
    assert [event["data"]["rotation"]["version"] for event in events] == [2, 2, 3, 3]
    assert {event["subject"] for event in events} == {f"{quiet_site.namespace}/db"}
    assert all("webhook-signature" in call.headers for call in receiver.calls)
    # Each channel delivers on its own.
    eventually(lambda: counted(cluster) == {STARTED: 2, SUCCEEDED: 2}, what="all are posted")
    for value in values:
        canary.register(base64.b64decode(value))
    heard = [str((call.path, call.headers, call.body)) for call in receiver.calls]
    texts = [*heard, operator.log, json.dumps(cluster.all("events"))]
    assert canary.scan_bytes("\n".join(texts).encode()) == []


def test_an_operator_with_an_endpoint_that_cannot_be_used_says_so_and_ends(
    quiet_site: Site,
) -> None:
    operator = quiet_site.operator(KEYTURN_EVENTS_URL="events.example")
    operator.start(ready=False)

    assert operator.end() != 0
    assert "KEYTURN_EVENTS_URL must be a URL" in operator.log
