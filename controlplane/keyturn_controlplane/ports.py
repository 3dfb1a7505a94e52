"""Ports of loopback that nobody else takes between the choice and the use."""

import socket
from types import TracebackType
from typing import Self


class ReservedPorts:
    """Free ports of 127.0.0.1, held until `close`.

    A reservation is a socket that is bound with SO_REUSEPORT and never listens: a process of the
    same user that asks for the port with SO_REUSEPORT too gets it, the kernel hands it to nobody
    else, and while no process listens a connection is refused. So two control planes cannot be
    given the same port, and a stopped apiserver finds its own again.
    """

    def __init__(self, count: int) -> None:
        self._sockets: list[socket.socket] = []
        try:
            for _ in range(count):
                self._sockets.append(_bind())
        except BaseException:
            self.close()
            raise

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(reserved.getsockname()[1] for reserved in self._sockets)

    def close(self) -> None:
        for reserved in self._sockets:
            reserved.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _bind() -> socket.socket:
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
    except BaseException:
        reserved.close()
        raise
    return reserved
