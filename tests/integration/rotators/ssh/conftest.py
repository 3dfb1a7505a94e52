"""One sshd for a module, and an account on it."""

from collections.abc import Iterator

import pytest

from keyturn.rotators.interface import Credential, Target
from servers.ssh_accounts import FOREIGN, a_key, line_of, target_of
from servers.sshd import Server, running_sshd


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_sshd() as server:
        yield server


@pytest.fixture
def target(server: Server) -> Target:
    return target_of(server)


@pytest.fixture
def current(server: Server) -> Credential:
    """A key that opens the account, among lines of others."""
    first = a_key(1)
    server.write(FOREIGN + b"\n" + line_of(first))
    return first
