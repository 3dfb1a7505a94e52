"""Redshift's dialect: users and groups as in PostgreSQL 8, no SCRAM, no advisory locks.

Rights are copied, each time, for what the cluster knows no membership: the database, its schemas
and its tables. What is sent was held against Redshift's documentation and a PostgreSQL server;
it never ran on a cluster.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from psycopg import sql

from keyturn.domain.errors import TargetRefusedError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.interface import Credential, Order, Target
from keyturn.rotators.postgresql.connecting import Connection, Link
from keyturn.rotators.postgresql.failures import replaced
from keyturn.rotators.postgresql.logins import Login
from keyturn.rotators.postgresql.session import Names, accepts, closing, log_in
from keyturn.rotators.postgresql.settings import Settings

LONGEST_NAME = 127
"""Bytes of a name, as Redshift's documentation says."""

_DATABASE = ("CREATE", "TEMPORARY")
_SCHEMA = ("CREATE", "USAGE")
_TABLE = ("SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES")

_FIND = "SELECT usename FROM pg_user WHERE usename = %s"

_SCHEMAS = """
SELECT nspname FROM pg_namespace
WHERE nspname NOT LIKE 'pg\\_%%' AND nspname <> 'information_schema'
AND has_schema_privilege(%s, nspname, %s) AND NOT has_schema_privilege(%s, nspname, %s)
ORDER BY nspname
"""

_TABLES = """
SELECT schemaname, tablename FROM pg_tables
WHERE schemaname NOT LIKE 'pg\\_%%' AND schemaname <> 'information_schema'
AND has_table_privilege(%s, quote_ident(schemaname) || '.' || quote_ident(tablename), %s)
AND NOT has_table_privilege(%s, quote_ident(schemaname) || '.' || quote_ident(tablename), %s)
ORDER BY schemaname, tablename
"""


class RedshiftSession:
    """Sets and retires the passwords of one user, or of two that alternate."""

    def __init__(self, link: Link, names: Names, connection: Connection) -> None:
        self._link = link
        self._names = names
        self._connection = connection

    async def accepts(self, credential: Credential) -> bool:
        return await accepts(self._link, credential, self._names.longest)

    async def set(self, pending: Credential) -> None:
        login = self._names.read(pending)
        self._refuse_without_admin()
        statement = await self._password_statement(login)
        async with self._transaction("setting the password"):
            await self._connection.execute(statement)
            if self._names.alternate and await self._exists(self._names.clone):
                await self._align(self._names.base, self._names.clone)
                await self._align(self._names.clone, self._names.base)

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        username = Login.read(old.values).username
        if not self._names.alternate or username in {
            Login.read(credential.values).username for credential in kept
        }:
            return
        if username not in (self._names.base, self._names.clone):
            raise TargetRefusedError("the version is for a user that this rotation is not about")
        self._refuse_without_admin()
        async with self._transaction("retiring the password"):
            if await self._exists(username):
                await self._connection.execute(
                    sql.SQL("ALTER USER {} PASSWORD DISABLE").format(sql.Identifier(username))
                )

    async def holds_lock(self) -> bool:
        return True

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:  # noqa: ARG002
        raise TargetRefusedError("Redshift issues no passwords")

    def _refuse_without_admin(self) -> None:
        if self._names.alternate and not self._link.target.admin:
            raise TargetRefusedError(
                "AlternatingUsers needs a superuser; name it by adminRef in the Rotator"
            )

    async def _password_statement(self, login: Login) -> sql.Composed:
        verb = "ALTER"
        if self._names.alternate and login.username == self._names.clone:
            with replaced("looking for the clone"), self._link.limited(self._connection):
                verb = "ALTER" if await self._exists(login.username) else "CREATE"
        return sql.SQL("{} USER {} PASSWORD {}").format(
            sql.SQL(verb), sql.Identifier(login.username), sql.Literal(login.md5())
        )

    async def _exists(self, username: str) -> bool:
        return await (await self._connection.execute(_FIND, (username,))).fetchone() is not None

    async def _align(self, giver: str, taker: str) -> None:
        """Give to one user the rights that the other has, and it has not."""
        run, user = self._connection.execute, sql.Identifier(taker)
        database = self._link.settings.database
        for right in _DATABASE:
            found = await run(
                "SELECT has_database_privilege(%s, %s, %s)"
                " AND NOT has_database_privilege(%s, %s, %s)",
                (giver, database, right, taker, database, right),
            )
            if (row := await found.fetchone()) is not None and row[0] is True:
                await run(_grant(right, "DATABASE", sql.Identifier(database), user))
        for right in _SCHEMA:
            found = await run(_SCHEMAS, (giver, right, taker, right))
            for (schema,) in await found.fetchall():
                await run(_grant(right, "SCHEMA", sql.Identifier(str(schema)), user))
        for right in _TABLE:
            found = await run(_TABLES, (giver, right, taker, right))
            for schema, table in await found.fetchall():
                name = sql.Identifier(str(schema), str(table))
                await run(_grant(right, "TABLE", name, user))

    @asynccontextmanager
    async def _transaction(self, doing: str) -> AsyncIterator[None]:
        with replaced(doing), self._link.limited(self._connection):
            async with self._connection.transaction():
                yield


def _grant(right: str, kind: str, name: sql.Identifier, user: sql.Identifier) -> sql.Composed:
    return sql.SQL("GRANT {} ON {} {} TO {}").format(sql.SQL(right), sql.SQL(kind), name, user)


@asynccontextmanager
async def open_session(
    settings: Settings, target: Target, order: Order
) -> AsyncIterator[RedshiftSession]:
    """Log in, to the database whose rights are copied; there is no lock to wait for.

    Raises:
        TargetUnavailableError: the cluster does not answer, or nobody may log in.
        TargetRefusedError: the cluster could not keep the user names as they are.
    """
    link, names = Link(settings, target), Names.of(order, LONGEST_NAME)
    async with closing(await log_in(link, order, names, settings.database)) as connection:
        with replaced("preparing the session"), link.limited(connection):
            for statement in _PREPARATION:
                await connection.execute(sql.SQL(statement).format(round(target.timeout * 1000)))
        yield RedshiftSession(link, names, connection)


_PREPARATION = ("SET statement_timeout TO {}", "SET search_path TO pg_catalog")
