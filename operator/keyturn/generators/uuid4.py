"""Random UUIDs: version 4 of RFC 9562."""

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from keyturn.domain.payload import SecretValue
from keyturn.generators.parameters import Parameters
from keyturn.generators.standalone import StandaloneGenerator


class UUIDGenerator(StandaloneGenerator):
    """Makes a random UUID in its usual form, lower case with hyphens."""

    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        Parameters(parameters)
        return {"uuid": key}

    def make(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, SecretValue]:
        Parameters(parameters)
        return {key: SecretValue(str(UUID(bytes=secrets.token_bytes(16), version=4)).encode())}
