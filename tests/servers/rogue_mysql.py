"""Servers of the MySQL protocol that are up to no good, and keep all that they are told."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from servers.certificates import KeyPair

_CAPABILITIES: Final = 0x81BFF7FF  # all of a MariaDB server, but for what changes the framing
_SSL: Final = 0x0800
_SALT: Final = b"01234567890123456789"
_OK: Final = b"\0\0\0\2\0\0\0"
_SECONDS: Final = 10.0


@dataclass
class RogueServer:
    """Greets each client, takes it into TLS if it has a certificate, then does `attack`."""

    attack: Callable[["Peer"], None]
    certificate: KeyPair | None = None
    plugin: bytes = b"mysql_native_password"

    heard: bytearray = field(init=False, default_factory=bytearray)
    connections: int = field(init=False, default=0)
    port: int = field(init=False)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A shutdown wakes the thread that accepts; a close alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(_SECONDS)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            link.settimeout(_SECONDS)
            peer = Peer(link, self.heard)
            try:
                self._greet(peer)
                self.attack(peer)
            except (OSError, EOFError):
                pass  # the client has hung up, as it should
            finally:
                peer.link.close()

    def _greet(self, peer: "Peer") -> None:
        capabilities = _CAPABILITIES | _SSL if self.certificate else _CAPABILITIES & ~_SSL
        low, high = capabilities & 0xFFFF, capabilities >> 16
        peer.say(
            b"\x0a5.5.5-10.11.0-MariaDB\0"
            + struct.pack("<I", 7)
            + _SALT[:8]
            + b"\0"
            + struct.pack("<HBHHB", low, 45, 2, high, 21)
            + bytes(10)
            + _SALT[8:]
            + b"\0"
            + self.plugin
            + b"\0"
        )
        if self.certificate:
            peer.hear()
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self.certificate.certificate, self.certificate.key)
            peer.link = context.wrap_socket(peer.link, server_side=True)
        peer.hear()


@dataclass
class Peer:
    """One client, in the packets of the protocol."""

    link: socket.socket
    heard: bytearray
    _number: int = 0

    def hear(self) -> bytes:
        """Read a packet. Raises: EOFError."""
        head = self._exactly(4)
        self._number = head[3] + 1
        return self._exactly(int.from_bytes(head[:3], "little"))

    def say(self, payload: bytes) -> None:
        self.link.sendall(len(payload).to_bytes(3, "little") + bytes([self._number]) + payload)
        self._number += 1

    def let_in(self) -> None:
        self.say(_OK)

    def _exactly(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            piece = self.link.recv(count - len(content))
            if not piece:
                raise EOFError
            self.heard += piece
            content += piece
        return content


def asking_for(plugin: bytes, question: bytes = _SALT + b"\0") -> Callable[[Peer], None]:
    """Switch the client to another way to log in, and see what it answers."""

    def attack(peer: Peer) -> None:
        peer.say(b"\xfe" + plugin + b"\0" + question)
        peer.hear()

    return attack


def asking_for_more(content: bytes) -> Callable[[Peer], None]:
    """Go on with the way that the client began, as `caching_sha2_password` may."""

    def attack(peer: Peer) -> None:
        peer.say(b"\x01" + content)
        peer.hear()

    return attack


def asking_for_a_file(path: str) -> Callable[[Peer], None]:
    """Let the client in, and answer each statement with a wish for one of its files."""

    def attack(peer: Peer) -> None:
        peer.let_in()
        while True:
            peer.hear()
            peer.say(b"\xfb" + path.encode())

    return attack


def talking_nonsense(content: bytes, statement: int) -> Callable[[Peer], None]:
    """Let the client in, agree to some statements, then answer with these bytes and hang up."""

    def attack(peer: Peer) -> None:
        peer.let_in()
        for _ in range(statement):
            peer.hear()
            peer.let_in()
        peer.hear()
        peer.say(content)

    return attack
