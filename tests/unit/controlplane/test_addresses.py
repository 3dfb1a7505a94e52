"""Each node has addresses of its own, for as long as it lives."""

import secrets
import socket
from ipaddress import IPv4Network, ip_address

import pytest

from keyturn_controlplane.addresses import ReservedAddresses


def test_servers_are_on_loopback_and_pods_are_not() -> None:
    with ReservedAddresses() as reserved:
        assert IPv4Network(reserved.servers).is_loopback
        assert ip_address(reserved.server) in IPv4Network(reserved.servers)
        assert IPv4Network(reserved.pods).subnet_of(IPv4Network("100.64.0.0/10"))


def test_a_server_can_listen_there() -> None:
    with ReservedAddresses() as reserved, socket.create_server((reserved.server, 0)):
        pass


def test_what_is_reserved_is_given_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "randbelow", lambda _: 7)

    with ReservedAddresses(), pytest.raises(OSError, match="no addresses are free"):
        ReservedAddresses()

    with ReservedAddresses() as again:
        assert again.server == "127.71.7.1"
