"""Addresses that a node has for itself, so that many run side by side."""

import errno
import secrets
import socket
from types import TracebackType
from typing import Self

_LEAST, _MOST = 64, 127
"""For the second byte: 100.64.0.0/10 is what carriers use among themselves (RFC 6598)."""

_PORT = 65535
"""Bound to, for the reservation; the kernel hands it out to nobody."""

_TRIES = 100


class ReservedAddresses:
    """A part of loopback for servers, and one of the carriers' addresses for pods, until `close`.

    A socket that is bound to the last of the addresses of loopback, and never listens, is the
    reservation: another node that draws the same numbers cannot bind it, and draws again.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._numbers = self._draw()
        except BaseException:
            self.close()
            raise

    @property
    def servers(self) -> str:
        """The network of the servers of this machine, in the form 127.N.M.0/24."""
        return f"127.{self._numbers}.0/24"

    @property
    def server(self) -> str:
        """The first of these addresses."""
        return f"127.{self._numbers}.1"

    @property
    def pods(self) -> str:
        """The network of the pods that have one of their own, in the form 100.N.M.0/24."""
        return f"100.{self._numbers}.0/24"

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _draw(self) -> str:
        for _ in range(_TRIES):
            numbers = f"{_LEAST + secrets.randbelow(_MOST - _LEAST + 1)}.{secrets.randbelow(256)}"
            try:
                self._socket.bind((f"127.{numbers}.255", _PORT))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return numbers
        raise OSError(errno.EADDRINUSE, "no addresses are free for a node")
