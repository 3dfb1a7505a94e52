"""What is said to SQL Server, by a recording connection: no such server runs in the tests."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from keyturn.domain.errors import InvalidParameterError, TargetLockedError, TargetRefusedError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential
from keyturn.rotators.logins import Login
from keyturn.rotators.sqlserver import passwords
from keyturn.rotators.sqlserver.address import Address
from keyturn.rotators.sqlserver.connection import Connection, Server
from keyturn.rotators.sqlserver.rights import Permission, Rights, differences
from keyturn.rotators.sqlserver.rotator import SQLServerRotator
from keyturn.rotators.sqlserver.session import SQLServerSession
from keyturn.testing.rotators import order_of

OLD, NEW = "Old-it's-1", "New-it's-2"


def credential(version: int, username: str = "o]'x", password: str = NEW) -> Credential:
    values = {"username": username, "password": password}
    return Credential(version, {name: SecretValue(it.encode()) for name, it in values.items()})


class Recording:
    """Stands for a connection: it answers a query by a word in it, and for one name."""

    def __init__(self, answers: Mapping[tuple[str, object], Sequence[Sequence[Any]]]) -> None:
        self.answers = answers
        self.said: list[str] = []

    async def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        for (word, value), answer in self.answers.items():
            if word in query and value in (*values, None):
                return answer
        return []

    async def execute(self, statement: str) -> None:
        self.said.append(statement)


def session(
    recording: Recording, strategy: Strategy, *, own: str = "", **parameters: Any
) -> SQLServerSession:
    address = Address.read({"host": "sql", **parameters})
    order = order_of(strategy, "o]'x", credential(2), credential(1, password=OLD))
    login = Login("o]'x", SecretValue(own.encode())) if own else None
    server = Server(address, None, 5.0)
    return SQLServerSession(server, cast("Connection", recording), order, login)


def test_the_hash_is_that_of_sql_server_2012() -> None:
    # The example of hashcat's mode 1731.
    known = (
        "0x02000102030434ea1b17802fd95ea6316bd61d2c94622ca3812793e8fb1672487b5c904a45a31b2ab4a78890"
        "d563d2fcf5663e46fe797d71550494be50cf4915d3f4d55ec375"
    )

    assert passwords.hashed(SecretValue(b"hashcat"), bytes([1, 2, 3, 4])).lower() == known


async def test_an_administrator_sets_a_hash() -> None:
    recording = Recording({("sys.sql_logins", None): [("master",)]})

    await session(recording, Strategy.SINGLE_USER).set(credential(2))

    (statement,) = recording.said
    assert statement.startswith("ALTER LOGIN [o]]'x] WITH PASSWORD = 0x0200")
    assert statement.endswith(" HASHED")
    assert NEW not in statement


async def test_a_login_gives_the_old_password_that_it_came_in_by() -> None:
    recording = Recording({})
    single = session(recording, Strategy.SINGLE_USER, own="of Previous")

    await single.set(credential(2))
    await single.set(credential(3, password="Next"))

    assert recording.said == [
        "ALTER LOGIN [o]]'x] WITH PASSWORD = N'New-it''s-2' OLD_PASSWORD = N'of Previous'",
        "ALTER LOGIN [o]]'x] WITH PASSWORD = N'Next' OLD_PASSWORD = N'New-it''s-2'",
    ]
    with pytest.raises(TargetRefusedError, match="itself only"):
        await single.set(credential(2, username="other"))


async def test_a_login_sends_no_password_without_tls() -> None:
    recording = Recording({})

    with pytest.raises(TargetRefusedError, match="TLS"):
        await session(recording, Strategy.SINGLE_USER, own=OLD, tls={"mode": "disable"}).set(
            credential(2)
        )
    assert recording.said == []


async def test_a_clone_is_made_shut_and_let_in_at_the_end() -> None:
    recording = Recording(
        {
            ("sys.sql_logins", "o]'x"): [("shop",)],
            ("sys.server_role_members", "o]'x"): [("processadmin",)],
            ("sys.server_permissions", "o]'x"): [("GRANT", "VIEW SERVER STATE", "")],
            ("JOIN sys.server_principals l ON", "o]'x"): [("user of o", "app")],
            ("sys.database_role_members", "user of o"): [("db_datareader",)],
            ("sys.database_permissions", "user of o"): [
                ("GRANT", "CONNECT", ""),
                ("GRANT_WITH_GRANT_OPTION", "SELECT", " ON OBJECT::[dbo].[a TO b]"),
                ("DENY", "DELETE", " ON SCHEMA::[app]"),
            ],
        }
    )

    await session(recording, Strategy.ALTERNATING_USERS).set(credential(2, username="o]'x_clone"))

    created, *aligned, password, enabled = recording.said
    clone = "[o]]'x_clone]"
    assert created.startswith(f"CREATE LOGIN {clone} WITH PASSWORD = 0x0200")
    assert created.endswith(f"HASHED; ALTER LOGIN {clone} DISABLE")
    assert aligned == [
        f"ALTER LOGIN {clone} WITH DEFAULT_DATABASE = [shop]",
        f"ALTER SERVER ROLE [processadmin] ADD MEMBER {clone}",
        f"GRANT VIEW SERVER STATE TO {clone}",
        f"CREATE USER {clone} FOR LOGIN {clone}",
        f"ALTER USER {clone} WITH DEFAULT_SCHEMA = [app]",
        f"ALTER ROLE [db_datareader] ADD MEMBER {clone}",
        f"GRANT SELECT ON OBJECT::[dbo].[a TO b] TO {clone} WITH GRANT OPTION",
        f"DENY DELETE ON SCHEMA::[app] TO {clone}",
    ]
    assert password.startswith(f"ALTER LOGIN {clone} WITH PASSWORD = 0x0200")
    assert enabled == f"ALTER LOGIN {clone} ENABLE"


async def test_the_other_login_is_unlocked_by_its_turn() -> None:
    """The server may lock a login for ever whose old password is tried again and again."""
    recording = Recording(
        {("sys.sql_logins", None): [("master",)], ("'IsLocked'", "o]'x_clone"): [(1,)]}
    )

    await session(recording, Strategy.ALTERNATING_USERS).set(credential(2, username="o]'x_clone"))
    await session(recording, Strategy.ALTERNATING_USERS).set(credential(2))
    await session(recording, Strategy.SINGLE_USER).set(credential(2, username="o]'x_clone"))

    set_to = [said for said in recording.said if "PASSWORD" in said]
    assert [statement.rpartition(" ")[2] for statement in set_to] == ["UNLOCK", "HASHED", "HASHED"]


async def test_contained_users_are_users() -> None:
    recording = Recording({("authentication_type = 2", "o]'x"): [("o]'x", "app")]})
    contained: dict[str, Any] = {"contained": True, "database": "shop"}

    await session(recording, Strategy.ALTERNATING_USERS, **contained).set(
        credential(2, username="o_clone")
    )

    created, schema, password, enabled = recording.said
    assert created.startswith("CREATE USER [o_clone] WITH PASSWORD = N'")
    assert created.endswith("; DENY CONNECT TO [o_clone]")
    assert NEW not in created
    assert schema == "ALTER USER [o_clone] WITH DEFAULT_SCHEMA = [app]"
    assert password == "ALTER USER [o_clone] WITH PASSWORD = N'New-it''s-2'"
    assert enabled == "GRANT CONNECT TO [o_clone]"


async def test_a_permission_of_another_kind_is_refused_before_the_clone_is_let_in() -> None:
    recording = Recording(
        {
            ("sys.sql_logins", None): [("master",)],
            ("sys.server_permissions", "o]'x"): [("GRANT", "IMPERSONATE", None)],
        }
    )

    with pytest.raises(TargetRefusedError, match="cannot be copied"):
        await session(recording, Strategy.ALTERNATING_USERS).set(credential(2, username="c"))

    assert not any("ENABLE" in statement for statement in recording.said)


async def test_who_is_retired_is_shut_out_and_nobody_else() -> None:
    recording = Recording({("sys.sql_logins", "o_clone"): [("master",)]})
    alternating = session(recording, Strategy.ALTERNATING_USERS)

    await alternating.retire(credential(1), [credential(2)])
    await alternating.retire(credential(1, username="missing"), [credential(2)])
    await alternating.retire(credential(1, username="o_clone"), [credential(2)])

    assert recording.said == ["ALTER LOGIN [o_clone] DISABLE"]


@pytest.mark.parametrize("answer", [[(-1,)], [(-999,)], [(None,)], []])
async def test_a_lock_that_is_not_given_is_not_had(answer: Sequence[Sequence[Any]]) -> None:
    with pytest.raises(TargetLockedError):
        await session(Recording({("sp_getapplock", 5000): answer}), Strategy.SINGLE_USER).lock()


@pytest.mark.parametrize(("mode", "held"), [("Exclusive", True), ("NoLock", False)])
async def test_the_lock_is_asked_for(mode: str, held: bool) -> None:
    recording = Recording({("APPLOCK_MODE", None): [(mode,)]})

    assert await session(recording, Strategy.SINGLE_USER).holds_lock() == held


def test_what_is_taken_and_what_replaces_it() -> None:
    wanted = Rights(
        frozenset({Permission("GRANT", "SELECT", " ON A"), Permission("GRANT", "INSERT", " ON A")}),
        frozenset({"new role"}),
    )
    had = Rights(
        frozenset(
            {
                Permission("GRANT_WITH_GRANT_OPTION", "SELECT", " ON A"),
                Permission("DENY", "INSERT", " ON A"),
                Permission("GRANT", "UPDATE", " ON A"),
            }
        ),
        frozenset({"old]role"}),
    )

    assert differences(wanted, had, "c", on_server=False) == [
        "ALTER ROLE [new role] ADD MEMBER [c]",
        "GRANT INSERT ON A TO [c]",
        "GRANT SELECT ON A TO [c]",
        "REVOKE GRANT OPTION FOR SELECT ON A FROM [c] CASCADE",
        "REVOKE UPDATE ON A FROM [c] CASCADE",
        "ALTER ROLE [old]]role] DROP MEMBER [c]",
    ]


@pytest.mark.parametrize("password", [b"", b"a\0b", b"\xff", b"x" * 129])
def test_a_password_that_cannot_be_one_is_refused(password: bytes) -> None:
    with pytest.raises(TargetRefusedError):
        passwords.hashed(SecretValue(password))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"host": None}, "host"),
        ({"host": "sql\\instance"}, "host"),
        ({"port": 0}, "port"),
        ({"database": ""}, "database"),
        ({"contained": True}, "database"),
        ({"contained": "yes"}, "contained"),
        ({"tls": {"mode": "prefer"}}, "tls.mode"),
        ({"dsn": "x"}, "dsn"),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        SQLServerRotator().check({"host": "sql", **wrong})

    assert refused.value.message.startswith(f"{named} ")
