"""A reserved port is nobody else's."""

import socket

import pytest

from keyturn_controlplane.ports import ReservedPorts


def bind(port: int, *, shared: bool) -> socket.socket:
    listener = socket.socket()
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def test_reserved_ports_differ() -> None:
    with ReservedPorts(50) as first, ReservedPorts(50) as second:
        assert len({*first.numbers, *second.numbers}) == 100


def test_a_reserved_port_is_refused_to_others() -> None:
    with ReservedPorts(1) as ports, pytest.raises(OSError, match="in use"):
        bind(ports.numbers[0], shared=False)


def test_a_reserved_port_is_open_to_who_asks_to_share_it() -> None:
    with ReservedPorts(1) as ports, bind(ports.numbers[0], shared=True):
        socket.create_connection(("127.0.0.1", ports.numbers[0]), timeout=5).close()


def test_a_reserved_port_refuses_connections_while_nobody_listens() -> None:
    with ReservedPorts(1) as ports, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports.numbers[0]), timeout=5)


def test_a_closed_reservation_frees_the_port() -> None:
    with ReservedPorts(1) as ports:
        (port,) = ports.numbers

    bind(port, shared=False).close()
