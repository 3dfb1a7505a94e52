"""Accounts of the sshd of the tests: keys for them, and what a rotation does to one."""

from dataclasses import dataclass
from typing import Any

from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.generators.ssh_key import SSHKeyGenerator
from keyturn.rotators.interface import Credential, Order, Target
from keyturn.rotators.ssh.rotator import SSHRotator
from keyturn.testing.rotators import order_of
from servers.sshd import USER, Server

# A comment, two line ends, a key that is none, a line that is none, and no end of the last one.
FOREIGN = b'# ours\r\n\n  from="10.0.0.0/8" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 a person\n\tnonsense'


def a_key(version: int) -> Credential:
    made = SSHKeyGenerator().make("ssh-privatekey", {})
    values = {"privateKey": made["ssh-privatekey"], "publicKey": made["ssh-privatekey.pub"]}
    return Credential(version, values)


def line_of(credential: Credential) -> bytes:
    return bytes(credential.values["publicKey"].reveal())


def private_key(credential: Credential) -> bytes:
    return bytes(credential.values["privateKey"].reveal())


def named(name: str) -> SecretValue:
    return SecretValue(name.encode())


def order(pending: Credential | None, current: Credential | None = None) -> Order:
    return order_of(Strategy.SINGLE_USER, USER, pending, current)


@dataclass
class Account:
    """The account that the tests rotate the key of."""

    server: Server

    async def born(self, strategy: Strategy) -> Credential:
        first = a_key(1)
        self.server.write(line_of(first) + b" by hand\n")
        return first

    def renewed(self, credential: Credential, version: int) -> Credential:
        return a_key(version)

    def base_username(self, credential: Credential) -> str:
        return USER


def target_of(server: Server, **parameters: Any) -> Target:
    known = {"hostKeys": [server.host_key()], "user": USER, **parameters}
    return Target({"host": "127.0.0.1", "port": server.port, **known}, timeout=20.0)


async def set_key(target: Target, pending: Credential, current: Credential | None) -> None:
    async with SSHRotator().session(target, order(pending, current)) as session:
        await session.set(pending)


async def retire_key(target: Target, old: Credential, kept: Credential) -> None:
    async with SSHRotator().session(target, order(None, kept)) as session:
        await session.retire(old, [kept])


async def accepted(target: Target, credential: Credential) -> bool:
    async with SSHRotator().session(target, order(None, credential)) as session:
        return await session.accepts(credential)
