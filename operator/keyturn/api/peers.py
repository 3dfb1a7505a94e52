"""Who is at the other end of a unix socket, as the kernel knows it."""

import os
import socket
import struct
from pathlib import Path
from typing import Protocol

from keyturn.domain.errors import DeniedError

_CREDENTIALS = struct.Struct("3i")


class _Socket(Protocol):
    def getsockopt(self, level: int, option: int, length: int, /) -> bytes: ...


def uid_of_peer(connection: _Socket) -> int:
    """Tell the user of the process that connected, or that listens."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(credentials)
    return int(uid)


def own_and_root() -> frozenset[int]:
    """Name the users that may call an operator: root, and the one that it runs as."""
    return frozenset((0, os.geteuid()))


def require_operator(connection: _Socket, path: Path) -> None:
    """Make sure that an operator listens, before a value is sent to it.

    Raises:
        DeniedError: it is a process of a user who owns neither this process nor the folder.
    """
    uid = uid_of_peer(connection)
    if uid not in own_and_root() | {path.parent.stat().st_uid}:
        raise DeniedError(
            f"a process of another user (uid {uid}) listens on {path}; nothing was sent to it"
        )
