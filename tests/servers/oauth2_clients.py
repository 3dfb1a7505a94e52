"""The client of the authorization server of the tests: its tokens, and their rotation."""

from dataclasses import dataclass
from typing import Any

from keyturn.domain.payload import SecretValue
from keyturn.rotators.interface import Credential, Target
from keyturn.rotators.oauth2.rotator import OAuth2Rotator
from keyturn.testing.issuing_rotators import order_of, renewed
from servers.authorization_server import Running
from servers.certificates import Authority


def text(credential: Credential, name: str) -> str:
    return bytes(credential.values[name].reveal()).decode()


def changed(credential: Credential, **values: str | None) -> Credential:
    """Give a credential other values; one that is None is left out."""
    made = dict(credential.values)
    for name, value in values.items():
        if value is None:
            del made[name]
        else:
            made[name] = SecretValue(value.encode())
    return Credential(credential.version, made)


@dataclass
class Client:
    """The client `shop`."""

    server: Running

    async def born(self) -> Credential:
        return self.granted()

    def granted(self) -> Credential:
        """Let a person authorise the client."""
        refresh, access = self.server.tell(grant="shop")
        values = {
            "refreshToken": refresh,
            "accessToken": access,
            "expiresAt": "",
            "clientId": "shop",
            "clientSecret": self.server.secret,
        }
        made = {name: SecretValue(value.encode()) for name, value in values.items()}
        return Credential(1, made)

    async def ended(self, credential: Credential) -> None:
        self.server.tell(end=text(credential, "refreshToken"))


def target_of(server: Running, authority: Authority, **parameters: Any) -> Target:
    known = {"issuer": server.issuer, "allowPrivateAddresses": True, **parameters}
    return Target(known, authority=authority.pem, timeout=20.0)


async def issued(target: Target, current: Credential) -> Credential:
    async with OAuth2Rotator().session(target, order_of(None, current)) as session:
        return renewed(current, await session.issue(current))


async def accepted(
    target: Target,
    credential: Credential,
    pending: Credential | None = None,
    current: Credential | None = None,
) -> bool:
    """Ask whether a credential is accepted, in a rotation from `current` to `pending`."""
    order = order_of(pending, current or credential)
    async with OAuth2Rotator().session(target, order) as session:
        return await session.accepts(credential)


async def retire(target: Target, old: Credential, kept: Credential) -> None:
    async with OAuth2Rotator().session(target, order_of(None, kept)) as session:
        await session.retire(old, [kept])
