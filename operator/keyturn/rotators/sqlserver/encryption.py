"""TLS inside TDS 7, by Python's own ssl: the handshake goes in packets of type PRELOGIN.

python-tds does this by pyOpenSSL, and there compares the host name with the common name only, as
newer releases of pyOpenSSL do not show it other names. So this is done below it: the driver is
given what looks like a socket, and is told that the server knows no encryption; what it says goes
through TLS that was verified before. The layout is that of [MS-TDS] 2.2.6.5 and 3.2.5.2.
"""

import socket
import ssl
import struct
import sys
from typing import Final

from keyturn.domain.errors import TargetUnavailableError

_PRELOGIN: Final = 0x12
_REPLY: Final = 0x04
_END_OF_MESSAGE: Final = 0x01
_HEADER: Final = struct.Struct(">BBHHBB")
_FIELD: Final = struct.Struct(">BHH")
_TERMINATOR: Final = 0xFF
_VERSION, _ENCRYPTION, _INSTANCE, _THREAD, _MARS = range(5)
_ON, _NOT_SUPPORTED, _REQUIRED = 1, 2, 3
_LARGEST_PAYLOAD: Final = 4096 - 8
_PIECE: Final = 65536


class Transport:
    """What the driver takes for its socket; the deadlines are those of `link`, and stay so.

    The driver would set the deadline of its loop of retries, which is not wanted.
    """

    is_logged_in = False
    """Whoever uses it sets this after the login."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link

    def sendall(self, data: bytes | bytearray, flags: int = 0) -> None:
        del flags
        self._link.sendall(data)

    def recv(self, size: int) -> bytes:
        return self._link.recv(size)

    def recv_into(self, buffer: bytearray | memoryview, size: int = 0, flags: int = 0) -> int:
        del flags
        piece = self.recv(size or len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def gettimeout(self) -> float | None:
        return self._link.gettimeout()

    def settimeout(self, timeout: float | None) -> None:
        del timeout

    def setsockopt(self, level: int, name: int, value: int) -> None:
        self._link.setsockopt(level, name, value)

    def close(self) -> None:
        """Close the socket.

        Raises:
            TargetUnavailableError: the driver is about to follow the server to another one, where
                it would log in by a connection of its own, without TLS.
        """
        self._link.close()
        if not self.is_logged_in and sys.exception() is None:
            raise TargetUnavailableError("the server sends its clients to another one")


class EncryptedTransport(Transport):
    """What the driver takes for the socket of a server without encryption."""

    def __init__(self, link: socket.socket, context: ssl.SSLContext, host: str) -> None:
        """Agree on TLS with the server and verify it.

        Raises:
            TargetUnavailableError: the server knows no TLS.
            ssl.SSLCertVerificationError: it is not the server that is meant.
            OSError: it does not answer.
        """
        super().__init__(link)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._for_driver = bytearray()
        self._has_begun = False
        self._agree()
        self._shake_hands()

    def sendall(self, data: bytes | bytearray, flags: int = 0) -> None:
        del flags
        if not self._has_begun:
            # The driver's own PRELOGIN is answered here.
            self._has_begun = True
            self._for_driver += _packet(_REPLY, _prelogin(_NOT_SUPPORTED))
            return
        self._tls.write(bytes(data))
        self._link.sendall(self._outgoing.read())

    def recv(self, size: int) -> bytes:
        if self._for_driver:
            piece = bytes(self._for_driver[:size])
            del self._for_driver[:size]
            return piece
        while True:
            try:
                return self._tls.read(size)
            except ssl.SSLWantReadError:
                received = self._link.recv(_PIECE)
                if not received:
                    return b""
                self._incoming.write(received)

    def _agree(self) -> None:
        self._link.sendall(_packet(_PRELOGIN, _prelogin(_ON)))
        if _encryption(self._message(_REPLY)) not in (_ON, _REQUIRED):
            raise TargetUnavailableError("the server knows no TLS")

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._pass_on()
                # The handshake of the server is in packets of PRELOGIN too.
                self._incoming.write(self._message(_PRELOGIN))
            else:
                self._pass_on()
                return

    def _pass_on(self) -> None:
        while content := self._outgoing.read(_LARGEST_PAYLOAD):
            self._link.sendall(_packet(_PRELOGIN, content))

    def _message(self, kind: int) -> bytes:
        content = b""
        while True:
            found, status, length, *_ = _HEADER.unpack(self._exactly(_HEADER.size))
            if found != kind or length < _HEADER.size:
                raise TargetUnavailableError("the server does not speak TDS 7")
            content += self._exactly(length - _HEADER.size)
            if status & _END_OF_MESSAGE:
                return content

    def _exactly(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            piece = self._link.recv(count - len(content))
            if not piece:
                raise TargetUnavailableError("the server hung up before TLS")
            content += piece
        return content


def _packet(kind: int, payload: bytes) -> bytes:
    return _HEADER.pack(kind, _END_OF_MESSAGE, _HEADER.size + len(payload), 0, 1, 0) + payload


def _prelogin(encryption: int) -> bytes:
    fields = {
        _VERSION: bytes(6),
        _ENCRYPTION: bytes([encryption]),
        _INSTANCE: b"\0",
        _THREAD: bytes(4),
        _MARS: b"\0",
    }
    place = _FIELD.size * len(fields) + 1
    head, body = b"", b""
    for field, value in fields.items():
        head += _FIELD.pack(field, place + len(body), len(value))
        body += value
    return head + bytes([_TERMINATOR]) + body


def _encryption(payload: bytes) -> int:
    place = 0
    while place + _FIELD.size <= len(payload) and payload[place] != _TERMINATOR:
        field, at, length = _FIELD.unpack_from(payload, place)
        if field == _ENCRYPTION and length and at < len(payload):
            return int(payload[at])
        place += _FIELD.size
    return _NOT_SUPPORTED
