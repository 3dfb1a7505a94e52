"""A peer of TDS 7 with TLS inside: it hears one login, and refuses it with a number.

It is no SQL Server: it proves what reaches a server, and when.
"""

import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from servers.certificates import KeyPair

_HEADER: Final = struct.Struct(">BBHHBB")
_PRELOGIN, _REPLY, _LOGIN = 0x12, 0x04, 0x10
_SECONDS: Final = 10.0
_DONE: Final = b"\xfd" + struct.pack("<HHQ", 2, 0, 0)


@dataclass
class TDSPeer:
    """Serves each connection in turn; without a certificate it says that it knows no TLS."""

    certificate: KeyPair | None
    number: int = 18456
    before: int = 0
    """One more number, which it says first."""
    route: int = 0
    """A port of loopback to send clients to, instead of a refusal."""

    logins: list[bytes] = field(init=False, default_factory=list)
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

    def _reply(self) -> bytes:
        if self.route:
            return _route(self.route)
        errors = [_error(number) for number in (self.before, self.number) if number]
        return b"".join([*errors, _DONE])

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            link.settimeout(_SECONDS)
            with link:
                try:
                    self._talk(link)
                except (OSError, EOFError):
                    continue  # the client has hung up

    def _talk(self, link: socket.socket) -> None:
        _message(link)
        link.sendall(_packet(_REPLY, _prelogin(3 if self.certificate else 2)))
        if self.certificate is None:
            self.logins.append(_message(link))
            return
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate.certificate, self.certificate.key)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                if said := outgoing.read():
                    link.sendall(_packet(_PRELOGIN, said))
                incoming.write(_message(link))
        link.sendall(_packet(_PRELOGIN, outgoing.read()))
        while True:
            try:
                self.logins.append(tls.read(65536))
                break
            except ssl.SSLWantReadError:
                incoming.write(link.recv(65536))
        tls.write(_packet(_REPLY, self._reply()))
        link.sendall(outgoing.read())
        link.recv(65536)


def _message(link: socket.socket) -> bytes:
    head = _exactly(link, _HEADER.size)
    return _exactly(link, _HEADER.unpack(head)[2] - _HEADER.size)


def _exactly(link: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        piece = link.recv(count - len(content))
        if not piece:
            raise EOFError
        content += piece
    return content


def _packet(kind: int, payload: bytes) -> bytes:
    return _HEADER.pack(kind, 1, _HEADER.size + len(payload), 0, 1, 0) + payload


def _prelogin(encryption: int) -> bytes:
    head = struct.pack(">BHHBHH", 0, 11, 6, 1, 17, 1) + b"\xff"
    return head + b"\x10\0\0\0\0\0" + bytes([encryption])


def _error(number: int) -> bytes:
    text = "refused".encode("utf-16-le")
    body = struct.pack("<iBBH", number, 1, 14, len(text) // 2) + text + b"\0\0" + bytes(4)
    return b"\xaa" + struct.pack("<H", len(body)) + body


def _route(port: int) -> bytes:
    server = "127.0.0.1".encode("utf-16-le")
    there = struct.pack("<BHH", 0, port, len(server) // 2) + server
    change = b"\x14" + struct.pack("<H", len(there)) + there + b"\0\0"
    name = "peer".encode("utf-16-le")
    login = b"\x01\x74\0\0\x04" + bytes([len(name) // 2]) + name + b"\x10\0\0\0"
    return b"".join(
        [
            b"\xe3" + struct.pack("<H", len(change)) + change,
            b"\xad" + struct.pack("<H", len(login)) + login,
            b"\xfd" + struct.pack("<HHQ", 0, 0, 0),
        ]
    )
