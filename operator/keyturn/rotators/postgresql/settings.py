"""What an administrator writes of a PostgreSQL server."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from keyturn.rotators.parameters import Parameters

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})|[0-9A-Fa-f:.]{2,45}")
"""A host name or an address. No comma (libpq's list of hosts), slash or at sign (its sockets)."""

_DATABASE = re.compile(r"[^\x00-\x1f\x7f]{1,63}")
_CHOICE = re.compile(r"[A-Za-z]{1,32}")


class Dialect(StrEnum):
    """Which SQL the server understands."""

    POSTGRESQL = "PostgreSQL"
    REDSHIFT = "Redshift"


@dataclass(frozen=True, slots=True)
class Settings:
    """The parameters, read.

    Credentials are tried in `database`; the lock is taken, and roles are changed, in
    `lock_database`, which has to be the same for all that rotate on this server.
    """

    host: str
    port: int
    database: str
    lock_database: str
    dialect: Dialect
    has_tls: bool

    @classmethod
    def read(cls, parameters: Mapping[str, Any]) -> Self:
        """Read the parameters.

        Raises:
            InvalidParameterError: the message names the field and says what to write.
        """
        fields = Parameters(
            parameters, "host", "port", "database", "lockDatabase", "dialect", "tls"
        )
        host = fields.text("host", _HOST, "host: pg.shop.svc")
        if not host:
            raise fields.refusal("host", "is missing; write for example host: pg.shop.svc")
        dialect = Dialect(_choice(fields, "dialect", (Dialect.POSTGRESQL, Dialect.REDSHIFT)))
        mode = _choice(fields.inner("tls", "mode"), "mode", ("verifyFull", "disable"))
        if dialect is Dialect.REDSHIFT and mode == "disable":
            raise fields.refusal(
                "tls.mode", "must be verifyFull, as Redshift asks for the password as it is"
            )
        return cls(
            host=host,
            port=fields.integer("port", least=1, most=65535, default=5432),
            database=fields.text("database", _DATABASE, "database: orders") or "postgres",
            lock_database=fields.text("lockDatabase", _DATABASE, "lockDatabase: postgres")
            or "postgres",
            dialect=dialect,
            has_tls=mode == "verifyFull",
        )


def _choice(fields: Parameters, name: str, choices: tuple[str, ...]) -> str:
    """Read one of the choices; the first is the default. Raises: InvalidParameterError."""
    example = " or ".join(f"{name}: {choice}" for choice in choices)
    written = fields.text(name, _CHOICE, example) or choices[0]
    if written not in choices:
        raise fields.refusal(name, f"is not one of those known; write {example}")
    return written
