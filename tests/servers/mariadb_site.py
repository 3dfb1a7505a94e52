"""What the tests do on the MariaDB server without the rotator."""

import secrets
from typing import Any

from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Target
from keyturn.testing.rotators import alternate, order_of
from servers.mariadb import MariaDBServer

ADMIN = "keyturn-admin"
SUFFIX = "_clone"


def values(username: str, password: str) -> dict[str, SecretValue]:
    return {
        "username": SecretValue(username.encode()),
        "password": SecretValue(password.encode()),
    }


def text(credential: Credential, name: str) -> str:
    return bytes(credential.values[name].reveal()).decode()


class MariaDBSite:
    """Makes users; `plugin` is what they log in by."""

    def __init__(self, server: MariaDBServer, plugin: str = "mysql_native_password") -> None:
        self.server = server
        self._plugin = plugin
        self.admin_password = secrets.token_urlsafe(24)
        self.server.run(
            f"CREATE OR REPLACE USER '{ADMIN}'@'%' IDENTIFIED BY '{self.admin_password}'",
            f"GRANT ALL PRIVILEGES ON *.* TO '{ADMIN}'@'%' WITH GRANT OPTION",
            f"GRANT PROXY ON ''@'%' TO '{ADMIN}'@'%' WITH GRANT OPTION",
        )

    def target(self, **parameters: Any) -> Target:
        return Target(
            {"host": "127.0.0.1", "port": self.server.port, **parameters},
            values(ADMIN, self.admin_password),
            self.server.authority.pem,
            timeout=5.0,
        )

    def make(self, username: str, password: str) -> Credential:
        self.literally(
            f"CREATE USER {self.account(username)} IDENTIFIED VIA {self._plugin} "
            f"USING PASSWORD({_quoted(password)})"
        )
        return Credential(1, values(username, password))

    def drop(self, username: str) -> None:
        self.literally(f"DROP USER IF EXISTS {self.account(username)}")

    async def born(self, strategy: Strategy) -> Credential:
        return self.make(f"user_{secrets.token_hex(4)}", secrets.token_urlsafe(24))

    def renewed(self, credential: Credential, version: int) -> Credential:
        password = SecretValue(secrets.token_urlsafe(24).encode())
        return Credential(version, {**credential.values, "password": password})

    def base_username(self, credential: Credential) -> str:
        return text(credential, "username")

    def account(self, username: str) -> str:
        return f"{_quoted(username)}@'%'"

    def next_turn(self, order: Order, version: int) -> Order:
        """Go on as the engine does: the pending credential is current, and the other is pending."""
        assert order.pending is not None
        pending = self.renewed(order.pending, version)
        if order.strategy is Strategy.ALTERNATING_USERS:
            pending = alternate(pending, order.base_username, SUFFIX)
        return order_of(order.strategy, order.base_username, pending, order.pending, order.current)

    def first_turn(self, strategy: Strategy, current: Credential) -> Order:
        base = self.base_username(current)
        return self.next_turn(order_of(strategy, base, current), 2)

    def literally(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement in which a backslash is nothing special."""
        connection = self.server.connect()
        with connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'")
            cursor.execute(statement)
            return list(cursor.fetchall())


def _quoted(content: str) -> str:
    return "'" + content.replace("'", "''") + "'"
