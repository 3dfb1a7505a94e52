"""The accounts of the server: what stands in them, and the statements that change them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from keyturn.domain.errors import TargetRefusedError
from keyturn.rotators.mysql import grants
from keyturn.rotators.mysql.address import MARIADB
from keyturn.rotators.mysql.connection import Connection
from keyturn.rotators.mysql.grants import Privilege
from keyturn.rotators.mysql.reaching import Name, account_of

_LIMITS: Final = {
    "max_questions": "MAX_QUERIES_PER_HOUR",
    "max_updates": "MAX_UPDATES_PER_HOUR",
    "max_connections": "MAX_CONNECTIONS_PER_HOUR",
    "max_user_connections": "MAX_USER_CONNECTIONS",
}
_LIMITS_OF_MARIADB: Final = {**_LIMITS, "max_statement_time": "MAX_STATEMENT_TIME"}
_REQUIREMENTS: Final = {"ssl_cipher": "CIPHER", "x509_issuer": "ISSUER", "x509_subject": "SUBJECT"}


@dataclass(frozen=True, slots=True)
class Account:
    """An account that exists: by which plugin it logs in, and under which conditions.

    `conditions` are the clauses REQUIRE and WITH of ALTER USER, complete and quoted.
    """

    plugin: str
    conditions: str


class Accounts:
    """The accounts of one host part, by a connection that may administer them."""

    def __init__(self, connection: Connection, user_host: str) -> None:
        self._connection = connection
        self._host = user_host
        self._is_mariadb = connection.dialect == MARIADB

    def name(self, username: str) -> str:
        """Quote the full name of an account."""
        return f"{self._connection.quoted(username)}@{self._connection.quoted(self._host)}"

    async def find(self, username: str) -> Account | None:
        """Read an account; None if there is none.

        Raises:
            TargetRefusedError: it is a role, or may log in by more than one plugin.
        """
        limits = _LIMITS_OF_MARIADB if self._is_mariadb else _LIMITS
        columns = ["plugin", "ssl_type", *_REQUIREMENTS, *limits]
        found = await self._connection.rows(
            f"SELECT {', '.join(columns)} FROM mysql.user WHERE User = %s AND Host = %s",  # noqa: S608
            username,
            self._host,
        )
        if not found:
            return None
        if self._is_mariadb:
            await self._has_one_plugin(username)
        row = dict(zip(columns, map(_text, found[0]), strict=True))
        return Account(row["plugin"], f"{self._require(row)} {_limit(row, limits)}")

    async def existing(self, username: str) -> Account:
        """Read an account.

        Raises:
            TargetRefusedError: there is none, or it is of a kind that is not rotated.
        """
        account = await self.find(username)
        if account is None:
            raise TargetRefusedError(f"there is no account {username!r}@{self._host!r}")
        return account

    async def obstacle(self, username: str, original: str) -> str:
        """Say why a login by the password alone cannot be one of an account; empty: it is.

        Which account a login is of goes by the names alone. What is asked of it is read from the
        account of `original`: the same one, or that which it is going to be like.
        """
        columns = ", ".join(["User", "Host", "ssl_type", *_REQUIREMENTS])
        found = await self._connection.rows(
            f"SELECT {columns} FROM mysql.user WHERE User IN (%s, %s, '')",  # noqa: S608
            username,
            original,
        )
        known = {
            Name(user, host): asked for user, host, *asked in (map(_text, row) for row in found)
        }
        own, model = (self._own(known, each) for each in (username, original))
        if own is None or model is None:
            return ""  # Nobody can log in as who is not there, nor is anybody made like it.
        rivals = [name for name in known if name.user in (username, "")]
        if account_of(rivals, await self._connection.places()) != own:
            return f"from Keyturn's address a login is not one of {_shown(own)}"
        return await self._unmet(model, *known[model])

    def _own(self, known: Iterable[Name], username: str) -> Name | None:
        """Choose the account of the host part that is rotated; None if it is not there."""
        host = self._host.casefold()
        found = (name for name in known if name.user == username and name.host.casefold() == host)
        return next(found, None)

    async def _unmet(self, name: Name, kind: str, cipher: str, issuer: str, subject: str) -> str:
        """Say what an account asks for that Keyturn has not; empty: nothing."""
        if kind == "X509" or issuer or subject:
            return f"{_shown(name)} asks for a certificate, and Keyturn has none"
        used = await self._connection.cipher()
        if (kind and not used) or (cipher and cipher != used):
            return f"{_shown(name)} asks for another encryption than Keyturn's"
        return ""

    async def create_locked(self, username: str, plugin: str, verifier: bytes) -> None:
        """Make an account that nobody can log in to yet."""
        login = self._login(plugin, verifier)
        await self._connection.execute(f"CREATE USER {self.name(username)} {login} ACCOUNT LOCK")

    async def set_conditions(self, username: str, conditions: str) -> None:
        await self._connection.execute(f"ALTER USER {self.name(username)} {conditions}")

    async def set_password(
        self, username: str, plugin: str, verifier: bytes, *, unlock: bool
    ) -> None:
        login = self._login(plugin, verifier) + (" ACCOUNT UNLOCK" if unlock else "")
        await self._connection.execute(f"ALTER USER {self.name(username)} {login}")

    async def lock(self, username: str) -> None:
        """Refuse new logins; open connections stay."""
        await self._connection.execute(f"ALTER USER {self.name(username)} ACCOUNT LOCK")

    async def privileges(self, username: str) -> frozenset[Privilege]:
        lines = await self._connection.rows(f"SHOW GRANTS FOR {self.name(username)}")
        return grants.read((_text(line) for (line,) in lines), username, self._host)

    async def execute(self, statement: str) -> None:
        await self._connection.execute(statement)

    async def expanded(self, username: str, privilege: Privilege) -> frozenset[Privilege]:
        """Return what ALL PRIVILEGES stands for, where the user has it on something."""
        table, where, names = _views(privilege.on)
        grantee = f"'{username}'@'{self._host}'"  # the view writes names unescaped
        found = await self._connection.rows(
            f"SELECT PRIVILEGE_TYPE FROM information_schema.{table} "  # noqa: S608
            f"WHERE GRANTEE = %s{where}",
            grantee,
            *names,
        )
        return frozenset(Privilege(_text(name), privilege.on) for (name,) in found)

    async def default_roles(self, username: str) -> frozenset[str]:
        """Return the roles that are active after a login, quoted."""
        quoted = self._connection.quoted
        if self._is_mariadb:
            query = "SELECT default_role FROM mysql.user WHERE User = %s AND Host = %s"
            found = await self._connection.rows(query, username, self._host)
            return frozenset(quoted(_text(role)) for (role,) in found if role)
        query = (
            "SELECT DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST FROM mysql.default_roles "
            "WHERE USER = %s AND HOST = %s"
        )
        found = await self._connection.rows(query, username, self._host)
        return frozenset(f"{quoted(_text(role))}@{quoted(_text(host))}" for role, host in found)

    async def set_default_roles(self, username: str, roles: frozenset[str]) -> None:
        chosen = ", ".join(sorted(roles)) or "NONE"
        preposition = "FOR" if self._is_mariadb else "TO"
        await self._connection.execute(
            f"SET DEFAULT ROLE {chosen} {preposition} {self.name(username)}"
        )

    def _login(self, plugin: str, verifier: bytes) -> str:
        hashed = self._connection.quoted(verifier.decode("ascii"))
        if self._is_mariadb:
            return f"IDENTIFIED VIA {plugin} USING {hashed}"
        return f"IDENTIFIED WITH {plugin} AS {hashed}"

    async def _has_one_plugin(self, username: str) -> None:
        alternatives = await self._connection.value(
            "SELECT JSON_EXISTS(Priv, '$.auth_or') FROM mysql.global_priv "
            "WHERE User = %s AND Host = %s",
            username,
            self._host,
        )
        if alternatives:
            raise TargetRefusedError(
                f"{username!r} may log in by more than one plugin; setting a password would "
                "take the others away"
            )

    def _require(self, row: dict[str, str]) -> str:
        if row["ssl_type"] == "SPECIFIED":
            given = {word: row[column] for column, word in _REQUIREMENTS.items() if row[column]}
            quoted = self._connection.quoted
            return "REQUIRE " + " AND ".join(f"{word} {quoted(it)}" for word, it in given.items())
        return "REQUIRE " + {"ANY": "SSL", "X509": "X509"}.get(row["ssl_type"], "NONE")


def _shown(name: Name) -> str:
    return f"{name.user!r}@{name.host!r}"


def _limit(row: dict[str, str], limits: dict[str, str]) -> str:
    return "WITH " + " ".join(f"{word} {row[column]}" for column, word in limits.items())


def _text(value: Any) -> str:
    """Read a value of a system table: some columns are binary, and some are numbers."""
    if value is None:
        return ""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _views(on: str) -> tuple[str, str, list[str]]:
    """Tell which view knows what ALL PRIVILEGES on something are, and how to find it there."""
    names = grants.names_in(on)
    if not names:
        return "USER_PRIVILEGES", "", []
    if len(names) == 1:
        return "SCHEMA_PRIVILEGES", " AND TABLE_SCHEMA = %s", names
    return "TABLE_PRIVILEGES", " AND TABLE_SCHEMA = %s AND TABLE_NAME = %s", names
