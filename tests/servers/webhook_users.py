"""The users of the webhook endpoint of the tests, made without the rotator."""

import secrets
from typing import Any

from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Target
from servers.certificates import Authority
from servers.webhook_endpoint import Endpoint

KEY = b"k" * 32


def credential(version: int = 1, *, username: str = "orders", password: str = "") -> Credential:
    values = {"username": username, "password": password or secrets.token_urlsafe(24)}
    return Credential(version, {n: SecretValue(v.encode()) for n, v in values.items()})


class EndpointSite:
    """The users of the endpoint, made without the rotator."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def born(self, strategy: Strategy) -> Credential:
        born = credential(username=f"user_{secrets.token_hex(4)}")
        values = {name: bytes(value.reveal()).decode() for name, value in born.values.items()}
        self._endpoint.users[values["username"]] = [values["password"]]
        return born

    def renewed(self, credential: Credential, version: int) -> Credential:
        password = SecretValue(secrets.token_urlsafe(24).encode())
        return Credential(version, {**credential.values, "password": password})

    def base_username(self, credential: Credential) -> str:
        return bytes(credential.values["username"].reveal()).decode()


def target_of(endpoint: Endpoint, authority: Authority, **parameters: Any) -> Target:
    return Target(
        {
            "url": endpoint.url,
            "allowPrivateAddresses": True,
            "strategies": ["SingleUser", "AlternatingUsers"],
            **parameters,
        },
        admin={"signingKey": SecretValue(KEY)},
        authority=authority.pem,
        timeout=5.0,
    )
