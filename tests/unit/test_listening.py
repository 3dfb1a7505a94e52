"""A server of the tests leaves nothing behind, whatever its clients were about to do."""

import gc
import socket
import warnings
from contextlib import ExitStack
from pathlib import Path

from listening import beside
from servers.certificates import Authority
from servers.event_receiver import receiving

CLIENTS = 20


def test_clients_that_have_only_connected_leave_no_socket(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    gc.collect()
    with warnings.catch_warnings(record=True) as told, ExitStack() as clients:
        warnings.simplefilter("always")
        with beside(receiving(authority), "receiver") as receiver:
            for _ in range(CLIENTS):
                address = ("127.0.0.1", receiver.port)
                clients.enter_context(socket.create_connection(address, timeout=5))
        gc.collect()

    assert [str(warning.message) for warning in told] == []
