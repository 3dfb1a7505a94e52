"""kill -9 at every named place of a rotation of a key on a real sshd: nothing is lost."""

from collections.abc import Iterator

import pytest

from engine.kills import CancelledKillContract, KillContract, Stand
from keyturn.domain.rotation import Strategy
from keyturn.rotators.ssh.rotator import SSHRotator
from servers.ssh_accounts import Account, target_of
from servers.sshd import USER, Server, running_sshd

ROTATOR = "ssh"
KNOWN = {"host": "localhost", "hostKeys": [f"SHA256:{'A' * 43}"], "user": USER}
TRAITS = SSHRotator().traits(KNOWN)
KEY = {"key": "ssh-privatekey", "generate": {"sshKey": {}}}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_sshd() as server:
        yield server


@pytest.fixture(scope="class")
def stand(request: pytest.FixtureRequest, server: Server) -> Stand:
    return Stand.of(request, target_of(server), Account(server), data=[KEY])


class TestSSH(KillContract):
    strategy, traits = Strategy.SINGLE_USER, TRAITS


class TestCancelled(CancelledKillContract):
    strategy, traits = Strategy.SINGLE_USER, TRAITS
