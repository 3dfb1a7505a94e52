"""What is said to MySQL 8, by a recording connection: no such server runs in the tests."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pymysql
import pytest

from keyturn.domain.errors import TargetRefusedError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.logins import Login
from keyturn.rotators.mysql.accounts import Accounts
from keyturn.rotators.mysql.address import MYSQL
from keyturn.rotators.mysql.alignment import align
from keyturn.rotators.mysql.connection import Connection
from keyturn.rotators.mysql.errors import translated
from keyturn.rotators.mysql.own_password import set_own_password
from keyturn.rotators.sql import LoginBarredError

ACCOUNT = ("caching_sha2_password", "SPECIFIED", b"", b"/CN=it's", b"", 0, 0, 0, 7)
PRIVILEGES = {
    "'o'@'%'": [
        "GRANT SELECT, CREATE ROLE ON *.* TO `o`@`%`",
        "GRANT BACKUP_ADMIN ON *.* TO `o`@`%` WITH GRANT OPTION",
        "GRANT ALL PRIVILEGES ON `a TO b`.* TO `o`@`%`",
        "GRANT `reading`@`%` TO `o`@`%`",
    ],
    "'o_clone'@'%'": [
        "GRANT USAGE ON *.* TO `o_clone`@`%`",
        "GRANT DELETE ON `old`.* TO `o_clone`@`%`",
    ],
}


class Recording:
    """Stands for a connection to MySQL: it answers by the first word of a query."""

    dialect = MYSQL

    def __init__(self, answers: Mapping[str, Sequence[Sequence[Any]]]) -> None:
        self.answers = dict(answers)
        self.said: list[str] = []

    def quoted(self, text: str) -> str:
        return "'" + text.replace("'", "''") + "'"

    async def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        return self.answers[query.partition(" ")[0]]

    async def execute(self, statement: str) -> None:
        self.said.append(statement)


def connection(**answers: Sequence[Sequence[Any]]) -> tuple[Recording, Connection]:
    recording = Recording(answers)
    return recording, cast("Connection", recording)


async def test_an_account_is_read_and_set_by_its_own_plugin() -> None:
    recording, link = connection(SELECT=[ACCOUNT])
    accounts = Accounts(link, "%")

    account = await accounts.existing("o")
    await accounts.create_locked("o'x", account.plugin, b"$A$005$salt")
    await accounts.set_password("o'x", account.plugin, b"$A$005$salt", unlock=True)
    await accounts.lock("o'x")

    assert account.conditions == (
        "REQUIRE ISSUER '/CN=it''s' WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 "
        "MAX_CONNECTIONS_PER_HOUR 0 MAX_USER_CONNECTIONS 7"
    )
    login = "IDENTIFIED WITH caching_sha2_password AS '$A$005$salt'"
    assert recording.said == [
        f"CREATE USER 'o''x'@'%' {login} ACCOUNT LOCK",
        f"ALTER USER 'o''x'@'%' {login} ACCOUNT UNLOCK",
        "ALTER USER 'o''x'@'%' ACCOUNT LOCK",
    ]


@pytest.mark.parametrize("number", [3955, 4150])
def test_a_user_that_is_barred_for_its_errors_was_not_refused(number: int) -> None:
    with pytest.raises(LoginBarredError, match=str(number)), translated(login=True):
        raise pymysql.err.OperationalError(number, f"Access denied for {number}")


class Server(Recording):
    """Keeps the privileges and default roles of two users, as MySQL would."""

    def __init__(self) -> None:
        super().__init__({})
        self.grants = {account: list(lines) for account, lines in PRIVILEGES.items()}
        self.roles: dict[object, list[tuple[str, str]]] = {"o": [("reading", "%")]}

    async def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        if query.startswith("SHOW GRANTS FOR "):
            return [(line,) for line in self.grants[query.removeprefix("SHOW GRANTS FOR ")]]
        assert "mysql.default_roles" in query
        return self.roles.get(values[0], [])

    async def execute(self, statement: str) -> None:
        await super().execute(statement)
        clone = self.grants["'o_clone'@'%'"]
        if statement.startswith("GRANT "):
            clone.append(statement.replace("'o_clone'@'%'", "`o_clone`@`%`"))
        if statement.startswith("REVOKE "):
            gone = statement.replace("REVOKE ", "GRANT ").replace(" FROM ", " TO ")
            clone.remove(gone.replace("'o_clone'@'%'", "`o_clone`@`%`"))


async def test_two_users_are_made_equal() -> None:
    server = Server()
    accounts = Accounts(cast("Connection", server), "%")
    original = await Accounts(connection(SELECT=[ACCOUNT])[1], "%").existing("o")

    await align(accounts, "o", original, "o_clone")

    assert server.said == [
        f"ALTER USER 'o_clone'@'%' {original.conditions}",
        "GRANT `reading`@`%` TO 'o_clone'@'%'",
        "GRANT BACKUP_ADMIN ON *.* TO 'o_clone'@'%' WITH GRANT OPTION",
        "GRANT CREATE ROLE ON *.* TO 'o_clone'@'%'",
        "GRANT SELECT ON *.* TO 'o_clone'@'%'",
        "GRANT ALL PRIVILEGES ON `a TO b`.* TO 'o_clone'@'%'",
        "REVOKE DELETE ON `old`.* FROM 'o_clone'@'%'",
        "SET DEFAULT ROLE 'reading'@'%' TO 'o_clone'@'%'",
    ]


async def test_a_user_sets_itself_by_its_password_through_tls_only() -> None:
    recording, link = connection()
    login = Login("o", SecretValue(b"it's"))

    with pytest.raises(TargetRefusedError, match="TLS"):
        await set_own_password(link, login, has_tls=False)
    assert recording.said == []

    await set_own_password(link, login, has_tls=True)
    assert recording.said == ["ALTER USER CURRENT_USER() IDENTIFIED BY 'it''s'"]
