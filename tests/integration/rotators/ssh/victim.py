"""A process that sets a key, and is killed by itself right before one act of SFTP.

Arguments: port, user, host key, act. The two private keys come by standard input.
"""

import asyncio
import os
import signal
import sys
from typing import Any
from uuid import UUID

import asyncssh

from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Target
from keyturn.rotators.ssh.rotator import SSHRotator


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(port: str, user: str, host_key: str, act: str) -> None:
    setattr(asyncssh.SFTPClient, act, die)
    current, pending = (
        Credential(version, {"privateKey": SecretValue(key)})
        for version, key in enumerate(sys.stdin.buffer.read().split(b"\0"), start=1)
    )
    target = Target(
        {"host": "127.0.0.1", "port": int(port), "user": user, "hostKeys": [host_key]}, timeout=20.0
    )
    order = Order(UUID(int=1), UUID(int=2), Strategy.SINGLE_USER, user, pending, current)
    async with SSHRotator().session(target, order) as session:
        await session.set(pending)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
