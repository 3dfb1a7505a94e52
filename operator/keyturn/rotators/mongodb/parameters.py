"""What an administrator says of a MongoDB server."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from keyturn.rotators import endpoint
from keyturn.rotators.endpoint import Endpoint
from keyturn.rotators.parameters import Parameters

PORT = 27017

_DATABASE = re.compile(r"[A-Za-z0-9_-]{1,63}")
_REPLICA_SET = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Dialect(StrEnum):
    """Whose server it is.

    Amazon DocumentDB has SCRAM-SHA-1 only, and knows neither the mechanisms of a user nor where it
    may log in from.
    """

    MONGODB = "mongodb"
    DOCUMENTDB = "documentdb"

    @property
    def mechanism(self) -> str:
        """Name the one mechanism that is used for a login."""
        return "SCRAM-SHA-256" if self is Dialect.MONGODB else "SCRAM-SHA-1"


_DIALECT = re.compile("|".join(Dialect))


@dataclass(frozen=True, slots=True)
class MongoDBParameters:
    """The parameters of the rotator, read.

    `source` and `admin_source` are the databases that the users and the admin are defined in.
    `replica_set` is empty where the endpoint is the one server that is talked to; with it, the
    primary is looked for among the members that the endpoint names.
    """

    endpoint: Endpoint
    source: str
    admin_source: str
    replica_set: str
    dialect: Dialect

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> "MongoDBParameters":
        """Read them. Raises: InvalidParameterError."""
        fields = Parameters(
            written, *endpoint.FIELDS, "authSource", "adminAuthSource", "replicaSet", "dialect"
        )
        dialect = fields.text("dialect", _DIALECT, "dialect: mongodb")
        return cls(
            endpoint=Endpoint.read(fields, port=PORT),
            source=fields.text("authSource", _DATABASE, "authSource: admin") or "admin",
            admin_source=fields.text("adminAuthSource", _DATABASE, "adminAuthSource: admin")
            or "admin",
            replica_set=fields.text("replicaSet", _REPLICA_SET, "replicaSet: rs0"),
            dialect=Dialect(dialect or Dialect.MONGODB),
        )
