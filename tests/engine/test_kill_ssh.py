"""kill -9 at every named place of a rotation of a key on a real sshd: nothing is lost."""

from collections.abc import Iterator

import pytest

from engine.kills import CancelledKillContract, FirstKillContract, KillContract, Stand
from keyturn.domain.rotation import Strategy
from keyturn.rotators.ssh.rotator import SSHRotator
from servers.ssh_accounts import Account, target_of
from servers.sshd import Server, running_sshd

ROTATOR = "ssh"
KEY = {"key": "ssh-privatekey", "generate": {"sshKey": {}}}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_sshd() as server:
        yield server


