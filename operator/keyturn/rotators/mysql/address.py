"""Where the server is, and how it proves to be it: the parameters of the rotator."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from keyturn.rotators.endpoint import Endpoint
from keyturn.rotators.parameters import Parameters

MARIADB, MYSQL = "MariaDB", "MySQL"

# The host part of an account: a name, an address, a network, with the wildcards % and _.
_USER_HOST = re.compile(r"[A-Za-z0-9._:%/-]{1,255}")
_DIALECT = re.compile(f"{MARIADB}|{MYSQL}")


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters, read.

    `user_host` is the host part of the accounts that are rotated. `dialect` is empty where the
    administrator did not say; the server's version tells it in any case.
    """

    host: str
    port: int
    user_host: str
    dialect: str
    has_tls: bool

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Self:
        """Read the parameters.

        Raises:
            InvalidParameterError: one is missing, unknown or wrong.
        """
        parameters = Parameters(written, "host", "port", "dialect", "userHost", "tls")
        endpoint = Endpoint.read(parameters, port=3306)
        return cls(
            host=endpoint.host,
            port=endpoint.port,
            user_host=parameters.text("userHost", _USER_HOST, 'userHost: "10.0.%"') or "%",
            dialect=parameters.text("dialect", _DIALECT, "dialect: MariaDB"),
            has_tls=endpoint.tls,
        )
