"""A server of somebody else, which an environment variable names, for the contract of a rotator.

KEYTURN_TEST_SQLSERVER and KEYTURN_TEST_ORACLE hold JSON: `parameters` of the rotator, `admin` with
`username` and `password`, and `authority`, the path of the certificates (PEM) that the server's
must chain to.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Target


def given(variable: str) -> dict[str, Any]:
    """Return what a variable says; empty if nobody set it."""
    said: dict[str, Any] = json.loads(os.environ.get(variable) or "{}")
    return said


def target(said: dict[str, Any]) -> Target:
    admin = {name: SecretValue(value.encode()) for name, value in said["admin"].items()}
    authority = Path(said["authority"]).read_bytes() if said.get("authority") else b""
    return Target(said["parameters"], admin, authority)


@dataclass(frozen=True)
class GivenSite:
    """Makes users by the administrator's connection, `run`, and `create`: a statement's form."""

    run: Any
    create: tuple[str, ...]

    async def born(self, strategy: Strategy) -> Credential:
        username, password = f"KT_{secrets.token_hex(4).upper()}", _password()
        for statement in self.create:
            await self.run(statement.format(username=username, password=password))
        return Credential(1, _values(username, password))

    def renewed(self, credential: Credential, version: int) -> Credential:
        password = SecretValue(_password().encode())
        return Credential(version, {**credential.values, "password": password})

    def base_username(self, credential: Credential) -> str:
        return bytes(credential.values["username"].reveal()).decode()


def _password() -> str:
    return f"aA1_{secrets.token_hex(12)}"


def _values(username: str, password: str) -> dict[str, SecretValue]:
    return {
        "username": SecretValue(username.encode()),
        "password": SecretValue(password.encode()),
    }
