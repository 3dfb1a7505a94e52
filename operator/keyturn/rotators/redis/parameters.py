"""What an administrator says of a Redis server."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from keyturn.rotators import endpoint
from keyturn.rotators.endpoint import Endpoint
from keyturn.rotators.parameters import Parameters

PORT = 6379


class Persist(StrEnum):
    """Where the server keeps its users over a restart.

    NONE: something else writes them there; what is changed here is lost by a restart otherwise.
    """

    ACL_FILE = "aclFile"
    CONFIG = "config"
    NONE = "none"


_PERSIST = re.compile("|".join(Persist))


@dataclass(frozen=True, slots=True)
class RedisParameters:
    """The parameters of the rotator, read."""

    endpoint: Endpoint
    persist: Persist

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> "RedisParameters":
        """Read them. Raises: InvalidParameterError."""
        fields = Parameters(written, *endpoint.FIELDS, "persist")
        persist = fields.text("persist", _PERSIST, "persist: aclFile")
        return cls(Endpoint.read(fields, port=PORT), Persist(persist or Persist.ACL_FILE))
