"""What is said to Oracle, by a recording connection: no such database runs in the tests."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import oracledb
import pytest

from keyturn.domain.errors import (
    InvalidParameterError,
    TargetLockedError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential
from keyturn.rotators.oracle.address import Address
from keyturn.rotators.oracle.connection import Connection, Server
from keyturn.rotators.oracle.errors import translated
from keyturn.rotators.oracle.names import User, quoted
from keyturn.rotators.oracle.rights import Right, Rights, differences
from keyturn.rotators.oracle.rotator import OracleRotator
from keyturn.rotators.oracle.session import OracleSession
from keyturn.testing.rotators import alternate, order_of

WRITTEN = {"host": "ora", "serviceName": "pdb1"}
NEW = "It's;New"
USERS = ("USERS", "TEMP", "DEFAULT")


def credential(version: int, username: str = "app", password: str = NEW) -> Credential:
    values = {"username": username, "password": password}
    return Credential(version, {name: SecretValue(it.encode()) for name, it in values.items()})


class Recording:
    """Stands for a connection: it answers a query by a word in it, and for one name."""

    def __init__(
        self, answers: Mapping[tuple[str, str], Sequence[Sequence[Any]]], lock: Sequence[int] = ()
    ) -> None:
        self.answers = answers
        self.said: list[str] = []
        self.locks = list(lock)
        self.changed: list[tuple[str, str]] = []

    async def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        if "COUNT(*)" in query and ("dba_col_privs", values[0]) not in self.answers:
            return [(0,)]
        found = (
            answer
            for (word, name), answer in self.answers.items()
            if word in query and name in values
        )
        return next(found, [])

    async def execute(self, statement: str) -> None:
        self.said.append(statement)

    async def request_lock(self, number: int, seconds: int) -> int:
        assert 0 <= number < 1 << 30
        return self.locks.pop(0)

    async def change_password(self, old: str, new: str) -> None:
        self.changed.append((old, new))


def session(
    recording: Recording,
    strategy: Strategy,
    own: Credential | None = None,
    *,
    current: Credential | None = None,
    pending: Credential | None = None,
    **parameters: Any,
) -> OracleSession:
    order = order_of(strategy, "app", pending or credential(2), current or credential(1))
    server = Server(Address.read({**WRITTEN, **parameters}), None, 5.0)
    user = User.of_version(own) if own else None
    return OracleSession(server, cast("Connection", recording), order, user)


def lock_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each login fail as that to a locked account."""

    def log_in() -> Connection:
        raise oracledb.DatabaseError(SimpleNamespace(code=28000))

    @asynccontextmanager
    async def refusing(*_: object) -> AsyncIterator[Connection]:
        with translated(login=True):
            yield log_in()

    monkeypatch.setattr("keyturn.rotators.oracle.session.connected", refusing)


async def test_an_administrator_sets_a_password_as_it_is() -> None:
    recording = Recording({})

    await session(recording, Strategy.SINGLE_USER).set(credential(2, "App"))

    assert recording.said == ['ALTER USER "APP" IDENTIFIED BY "It\'s;New"']


@pytest.mark.parametrize("password", ["", 'quo"te', "a\0b", "x" * 31, "é" * 16])
async def test_a_password_that_would_be_changed_is_refused(password: str) -> None:
    recording = Recording({})

    with pytest.raises(TargetRefusedError):
        await session(recording, Strategy.SINGLE_USER).set(credential(2, password=password))
    assert recording.said == []


@pytest.mark.parametrize("name", ["", "1app", 'a"b', "a b", "a.b", "é", "a" * 31])
async def test_a_name_that_needs_quotes_is_refused(name: str) -> None:
    with pytest.raises(TargetRefusedError):
        await session(Recording({}), Strategy.SINGLE_USER).set(credential(2, name))


async def test_a_user_sets_itself_outside_of_any_statement() -> None:
    recording = Recording({})
    single = session(recording, Strategy.SINGLE_USER, own=credential(1, password="of Previous"))

    await single.set(credential(2))
    await single.set(credential(3, password="Next"))

    assert recording.changed == [("of Previous", "It's;New"), ("It's;New", "Next")]
    assert recording.said == []
    with pytest.raises(TargetRefusedError, match="itself only"):
        await single.set(credential(2, "other"))


async def test_a_clone_is_made_locked_and_let_in_at_the_end() -> None:
    recording = Recording(
        {
            ("dba_users", "APP"): [USERS],
            ("dba_sys_privs", "APP"): [("CREATE SESSION", "NO"), ("CREATE TABLE", "YES")],
            ("dba_role_privs", "APP"): [("READER", "NO", "YES"), ("odd role", "YES", "NO")],
            ("dba_tab_privs", "APP"): [
                ("TABLE", "SHOP", "a TO b", "SELECT", "YES"),
                ("DIRECTORY", "SYS", "OUT", "READ", "NO"),
            ],
            ("dba_ts_quotas", "APP"): [("USERS", -1), ("INDX", 1024)],
        }
    )
    alternating = session(recording, Strategy.ALTERNATING_USERS)

    with pytest.raises(TargetRefusedError, match="no user"):
        await alternating.set(alternate(credential(2), "app", "_CLONE"))
    created = recording.said.pop()
    assert created.startswith('CREATE USER "APP_CLONE" IDENTIFIED BY "aA1#')
    assert created.endswith('" ACCOUNT LOCK')
    assert "New" not in created

    # Now it is there, with what the database gives to a new user.
    made = {("dba_users", "APP_CLONE"): [("SYSTEM", "TEMP", "DEFAULT")]}
    recording.answers = {**recording.answers, **made}
    await alternating.set(alternate(credential(2), "app", "_CLONE"))

    assert recording.said == [
        'ALTER USER "APP_CLONE" DEFAULT TABLESPACE "USERS" TEMPORARY TABLESPACE "TEMP" '
        'PROFILE "DEFAULT"',
        'ALTER USER "APP_CLONE" QUOTA 1024 ON "INDX"',
        'ALTER USER "APP_CLONE" QUOTA UNLIMITED ON "USERS"',
        'GRANT "READER" TO "APP_CLONE"',
        'GRANT "odd role" TO "APP_CLONE" WITH ADMIN OPTION',
        'GRANT CREATE SESSION TO "APP_CLONE"',
        'GRANT CREATE TABLE TO "APP_CLONE" WITH ADMIN OPTION',
        'GRANT SELECT ON "SHOP"."a TO b" TO "APP_CLONE" WITH GRANT OPTION',
        'GRANT READ ON DIRECTORY "OUT" TO "APP_CLONE"',
        'ALTER USER "APP_CLONE" DEFAULT ROLE "READER"',
        'ALTER USER "APP_CLONE" IDENTIFIED BY "It\'s;New" ACCOUNT UNLOCK',
    ]


@pytest.mark.parametrize(
    "kept_out",
    [
        {("dba_col_privs", "APP"): [(1,)]},
        {("dba_tab_privs", "APP"): [("JAVA CLASS", "SHOP", "x", "EXECUTE", "NO")]},
    ],
)
async def test_what_is_not_copied_is_refused_before_anything_is_said(
    kept_out: dict[tuple[str, str], list[tuple[Any, ...]]],
) -> None:
    recording = Recording({("dba_users", "APP"): [USERS], **kept_out})

    with pytest.raises(TargetRefusedError, match="cannot be copied"):
        await session(recording, Strategy.ALTERNATING_USERS).set(credential(2, "app_clone"))
    assert recording.said == []


def test_giving_comes_before_taking() -> None:
    wanted = Rights(
        frozenset({Right("SELECT", "A", passes_on=False), Right("B", "", passes_on=True)})
    )
    had = Rights(
        frozenset({Right("SELECT", "A", passes_on=True), Right("C", "", passes_on=False)}),
        quotas=frozenset({("T", 5)}),
    )

    assert differences(wanted, had, "X") == [
        'ALTER USER X QUOTA 0 ON "T"',
        "REVOKE SELECT ON A FROM X",
        "GRANT B TO X WITH ADMIN OPTION",
        "GRANT SELECT ON A TO X",
        "REVOKE C FROM X",
        "ALTER USER X DEFAULT ROLE NONE",
    ]
    assert differences(wanted, wanted, "X") == []


async def test_who_is_retired_is_locked_and_nobody_else() -> None:
    recording = Recording({("dba_users", "APP_CLONE"): [USERS]})
    alternating = session(recording, Strategy.ALTERNATING_USERS)

    await alternating.retire(credential(1), [credential(2, "APP")])
    await alternating.retire(credential(1, "missing"), [credential(2)])
    await alternating.retire(credential(1, "app_CLONE"), [credential(2)])

    assert recording.said == ['ALTER USER "APP_CLONE" ACCOUNT LOCK']


@pytest.mark.parametrize(
    ("status", "is_told"),
    [("LOCKED", True), ("LOCKED(TIMED)", False), ("EXPIRED & LOCKED(TIMED)", False)],
)
async def test_who_is_locked_for_a_time_is_not_taken_for_refused(
    monkeypatch: pytest.MonkeyPatch, status: str, is_told: bool
) -> None:
    lock_out(monkeypatch)
    tried = session(Recording({("account_status", "APP"): [(status,)]}), Strategy.SINGLE_USER)

    if is_told:
        assert not await tried.accepts(credential(1))
    else:
        with pytest.raises(TargetUnavailableError, match="unlock it"):
            await tried.accepts(credential(1))


async def test_the_other_user_that_is_locked_for_a_time_has_its_turn_which_unlocks_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lock_out(monkeypatch)
    statuses = {("account_status", name): [("LOCKED(TIMED)",)] for name in ("APP", "APP_CLONE")}
    users = {("dba_users", name): [USERS] for name in ("APP", "APP_CLONE")}
    recording = Recording({**statuses, **users})
    current, pending = credential(3), credential(4, "app_clone")
    tried = session(recording, Strategy.ALTERNATING_USERS, current=current, pending=pending)

    assert not await tried.accepts(pending)
    for other in (current, credential(2, "app_clone")):
        with pytest.raises(TargetUnavailableError, match="unlock it"):
            await tried.accepts(other)

    # What locks it once more is not mended by what was done already.
    await tried.set(pending)
    assert recording.said[-1].endswith("ACCOUNT UNLOCK")
    with pytest.raises(TargetUnavailableError, match="APP_CLONE is locked"):
        await tried.accepts(pending)


async def test_a_lock_that_is_not_given_is_not_had() -> None:
    await session(Recording({}, lock=[0]), Strategy.SINGLE_USER).lock()
    with pytest.raises(TargetLockedError):
        await session(Recording({}, lock=[1]), Strategy.SINGLE_USER).lock()


@pytest.mark.parametrize(("answer", "held"), [(4, True), (0, False), (1, False)])
async def test_only_who_is_told_so_holds_the_lock(answer: int, held: bool) -> None:
    recording = Recording({}, lock=[answer])

    assert await session(recording, Strategy.SINGLE_USER).holds_lock() == held


async def test_a_missing_right_on_locks_is_said() -> None:
    class Refusing(Recording):
        async def request_lock(self, number: int, seconds: int) -> int:
            raise TargetRefusedError("the database refuses it (ORA-06550)")

    with pytest.raises(TargetUnavailableError, match="DBMS_LOCK"):
        await session(Refusing({}), Strategy.SINGLE_USER).lock()
    without = session(Refusing({}), Strategy.SINGLE_USER, lock=False)
    await without.lock()
    assert await without.holds_lock()
    assert not OracleRotator().traits({**WRITTEN, "lock": False}).has_lock


def test_no_identifier_is_quoted_out_of_its_quotes() -> None:
    with pytest.raises(TargetRefusedError):
        quoted('a" TO PUBLIC --')


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"host": None}, "host"),
        ({"host": "a)(b"}, "host"),
        ({"serviceName": None}, "serviceName"),
        ({"serviceName": "a)(SECURITY=x"}, "serviceName"),
        ({"port": 0}, "port"),
        ({"lock": "no"}, "lock"),
        ({"tls": {"mode": "prefer"}}, "tls.mode"),
        ({"dsn": "x"}, "dsn"),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        OracleRotator().check({**WRITTEN, **wrong})

    assert refused.value.message.startswith(f"{named} ")
