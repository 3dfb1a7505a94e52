"""The SSH rotator keeps the promises of the interface, against a real sshd."""

from collections.abc import Iterator

import pytest

from keyturn.rotators.interface import Rotator, Target
from keyturn.rotators.ssh.rotator import SSHRotator
from keyturn.testing.rotators import RotatorContract, Site
from servers.ssh_accounts import Account, target_of
from servers.sshd import Server, running_sshd


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_sshd() as server:
        yield server


class TestSSH(RotatorContract):
    @pytest.fixture
    def rotator(self) -> Rotator:
        return SSHRotator()

    @pytest.fixture
    def target(self, server: Server) -> Target:
        return target_of(server)

    @pytest.fixture
    def unreachable(self, server: Server) -> Target:
        return Target({**target_of(server).parameters, "port": 1}, timeout=2.0)

    @pytest.fixture
    def site(self, server: Server) -> Site:
        return Account(server)
