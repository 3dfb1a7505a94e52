"""The commands about rotation on a real store, without an engine that rotates."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from keyturn.domain.rotation import Cause, Failure, Frozen, Rotation, Step
from keyturn.domain.secret import Secret
from keyturn.domain.version import SealedVersion, Version, VersionReason
from keyturn.store.journal import Beginning, Telling
from office import Local, Office

BEGAN = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
REFUSED = Failure(Step.SET_PENDING, "TargetRefused", "the target refused")

GENERATED = {"data": [{"key": "password", "generate": {"password": {}}}], "rotation": {}}
OF_A_DATABASE = {
    "data": [
        {"key": "username", "value": "orders"},
        {"key": "password", "generate": {"password": {}}},
    ],
    "rotation": {"strategy": "SingleUser", "rotatorRef": {"kind": "Rotator", "name": "pg"}},
}


async def rotation_of(
    local: Local,
    secret: Secret,
    *,
    cause: Cause = Cause.REQUEST,
    frozen: Frozen | None = None,
    **changed: Any,
) -> Rotation:
    """Open a rotation in the journal, as the engine does."""
    epoch = await local.store.rotations.take_epoch()
    number = secret.newest.number + 1 if secret.newest else 1
    made = Version(number, uuid4(), BEGAN, VersionReason.ROTATED, "key", {})
    asked = {"requested_by": "keyturn rotate by jo", "token": "leak", **changed}
    rotation = Rotation(uuid4(), secret.id, number, Step.SET_PENDING, cause, BEGAN, **asked)
    beginning = Beginning(rotation, SealedVersion(made, b"sealed"), history_limit=10, frozen=frozen)
    await local.store.rotations.begin(epoch, beginning)
    return rotation


async def failing(local: Local, name: str = "db") -> None:
    secret = await local.attach(name, GENERATED)
    rotation = await rotation_of(local, secret)
    epoch = await local.store.rotations.take_epoch()
    retry_at = BEGAN + timedelta(minutes=1)
    await local.store.rotations.fail(epoch, rotation.id, REFUSED, retry_at, Telling(BEGAN))


async def given_up(local: Local, name: str = "db") -> None:
    secret = await local.attach(name, GENERATED)
    rotation = await rotation_of(local, secret)
    epoch = await local.store.rotations.take_epoch()
    await local.store.rotations.give_up(epoch, rotation.id, "cancelled by jo")
    ended = Telling(BEGAN + timedelta(seconds=2.25))
    await local.store.rotations.drop(epoch, rotation.id, ended)


@pytest.fixture
def office(closed_office: Office) -> Office:
    closed_office.start()
    return closed_office


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("rotate",), 2, b"write the NAME of a secret, or --all"),
        (("rotate", "db", "-l", "a=b"), 2, b"write the NAME of a secret, or --all"),
        (("rotate", "db", "-A"), 2, b"or --all"),
        (("rotate", "db", "--all"), 2, b"--all takes no NAME"),
        (("rotate", "--all", "--cancel"), 2, b"--all takes no NAME"),
        (("rotate", "--all", "-l", "a in"), 2, b"the label selector has the end where"),
        (("rotate", "--all", "--campaign", "a b"), 2, b"--campaign takes letters"),
        (("rotate", "--all", "--max-concurrent", "0"), 2, b"--max-concurrent"),
        (("rotate", "--all"), 3, b"no secret that is rotated is selected"),
        (("rotate", "nobody"), 3, b"there is no secret default/nobody"),
        (("rotations", "nobody"), 3, b"there is no secret default/nobody"),
    ],
)
def test_what_is_wrong_is_one_line_and_an_exit_code(
    office: Office, arguments: tuple[str, ...], code: int, said: bytes
) -> None:
    done = office.keyturn(*arguments)

    assert (done.returncode, done.stdout) == (code, b"")
    assert said in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_the_rotations_are_listed_the_newest_first(office: Office) -> None:
    office.do(failing)

    table = office.keyturn("rotations", "db").stdout.decode().splitlines()
    (item,) = json.loads(office.keyturn("rotations", "db", "-o", "json").stdout)["items"]

    assert [column.strip() for column in table[1].split("   ") if column.strip()] == [
        *("1", "Request", "keyturn rotate by jo", "2030-01-02T03:04:05Z", "-"),
        *("at setPending", "1", "TargetRefused"),
    ]
    assert (item["token"], item["retryTime"]) == ("leak", "2030-01-02T03:05:05Z")


def test_one_that_is_over_tells_how_long_it_took(office: Office) -> None:
    office.do(given_up)

    (item,) = json.loads(office.keyturn("rotations", "db", "-o", "json").stdout)["items"]

    assert (item["outcome"], item["duration"], item["step"]) == ("Abandoned", "2.2s", None)


def test_a_description_says_why_a_rotation_is_not_over(office: Office) -> None:
    office.do(failing)

    lines = office.keyturn("describe", "db").stdout.decode().splitlines()
    told = {line.partition(":")[0]: line.partition(":")[2].strip() for line in lines}

    assert told["Rotation"] == "Regenerate by its generators"
    assert told["Next rotation"] == "-"
    assert told["Under way"] == (
        "version 1, at setPending (Request, keyturn rotate by jo), since 2030-01-02T03:04:05Z; "
        "setPending failed: the target refused (TargetRefused); it is tried again by itself at "
        "2030-01-02T03:05:05Z"
    )


def test_a_description_says_that_it_stands_still_and_why(office: Office) -> None:
    async def frozen(local: Local) -> None:
        secret = await local.attach("db", GENERATED)
        await rotation_of(
            local, secret, frozen=Frozen(7, "Deployment/web"), cause=Cause.HEALTH, token=""
        )

    office.do(frozen)

    assert b"Deployment/web did not become healthy with version 7" in (
        office.keyturn("describe", "db").stdout
    )
    described = json.loads(office.keyturn("describe", "db", "-o", "json").stdout)
    assert described["rotation"]["frozen"] == {"version": 7, "workload": "Deployment/web"}


@pytest.mark.parametrize(
    "wrong", [("rotate", "db", "--cancel", "--force"), ("put", "db", "--force")]
)
def test_only_what_ends_a_credential_takes_force(office: Office, wrong: tuple[str, ...]) -> None:
    assert office.keyturn(*wrong).returncode == 2


def test_a_secret_that_is_not_rotated_has_no_rotation(office: Office) -> None:
    office.apply("db", "password")

    described = json.loads(office.keyturn("describe", "db", "-o", "json").stdout)

    assert described["rotation"] is None


@pytest.mark.parametrize(
    "arguments",
    [("put", "db", "--key", "password"), ("rollback", "db", "--to", "1")],
)
def test_while_a_rotation_is_open_nothing_else_is_changed(
    office: Office, arguments: tuple[str, ...]
) -> None:
    async def open_one(local: Local) -> None:
        await local.attach("db", GENERATED)

    async def begin(local: Local) -> None:
        (secret,) = await local.operations.list()
        await rotation_of(local, secret)

    office.do(open_one)
    assert office.keyturn("put", "db", "--key", "password", stdin=b"first").returncode == 0
    office.do(begin)

    done = office.keyturn(*arguments, stdin=b"second")

    assert done.returncode == 4
    assert b"a rotation of default/db is under way" in done.stderr
    assert b"keyturn rotate db -n default --cancel" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("rotate", "db"),
        ("rotate", "db", "--cancel"),
        ("put", "db", "--key", "password"),
    ],
)
def test_what_only_the_engine_can_do_is_refused_without_it(
    office: Office, arguments: tuple[str, ...]
) -> None:
    office.do(lambda local: local.attach("db", OF_A_DATABASE))

    done = office.keyturn(*arguments, stdin=b"mine")

    assert done.returncode == 6
    assert b"keyturn run" in done.stderr
    assert json.loads(office.keyturn("history", "db", "-o", "json").stdout)["items"] == []


def test_without_an_operator_the_store_stays_closed(office: Office) -> None:
    office.do(lambda local: local.attach("db", GENERATED))
    office.stop()

    done = office.keyturn("rotate", "db")

    assert done.returncode == 6
    assert b"no operator answers" in done.stderr


def test_without_an_operator_the_rotations_are_still_told(office: Office) -> None:
    office.do(given_up)
    office.stop()

    done = office.keyturn("rotations", "db", "-o", "json")

    assert json.loads(done.stdout)["items"][0]["givenUp"] == "cancelled by jo"


def test_a_plan_tells_how_each_secret_stands_in_the_campaign(office: Office) -> None:
    async def apply(local: Local) -> None:
        await failing(local, "failing")
        await given_up(local, "lost")
        await local.attach("new", GENERATED)
        await local.attach("plain", {"data": GENERATED["data"]})
        await local.attach("far", GENERATED, namespace="shop")

    office.do(apply)

    here = office.keyturn("rotate", "--all", "--campaign", "leak", "--dry-run").stdout.decode()
    everywhere = office.keyturn("rotate", "--all", "-A", "--dry-run").stdout.decode()

    assert [line.split(maxsplit=2)[1:] for line in here.splitlines()[1:]] == [
        ["failing", "under way"],
        ["lost", "given up"],
        ["new", "to be rotated"],
    ]
    assert "shop" in everywhere


def test_one_that_cannot_be_read_is_told_and_counts(office: Office) -> None:
    unreadable = {"data": [{"key": "a", "generate": {"gone": {}}}], "rotation": {}}
    office.do(lambda local: local.attach("db", unreadable))

    plan = office.keyturn("rotate", "--all", "--dry-run")
    done = office.keyturn("rotate", "--all", "--campaign", "leak")

    assert b"db" in plan.stdout
    assert b"cannot be read" in plan.stdout
    assert done.returncode == 7
    assert done.stdout.startswith(b"secrets rotated: 0 of 1\n")


def test_a_campaign_tells_of_each_that_cannot_begin(office: Office) -> None:
    async def apply(local: Local) -> None:
        await asyncio.gather(*(local.attach(name, GENERATED) for name in ("a", "b", "c")))

    office.do(apply)

    done = office.keyturn("rotate", "--all", "--max-concurrent", "2")

    assert done.returncode == 7
    lines = done.stdout.decode().splitlines()
    assert sorted(line.partition(":")[0] for line in lines[:3]) == [
        *("default/a", "default/b", "default/c"),
    ]
    assert lines[3] == "secrets rotated: 0 of 3"
    assert [line.split()[1] for line in lines[5:]] == ["a", "b", "c"]
    assert b"note: this is the campaign " in done.stderr
    assert b"keyturn rotate --all -n default --max-concurrent 2 --campaign " in done.stderr
