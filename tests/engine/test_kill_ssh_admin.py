"""kill -9 while an admin lets the first key of a secret into an account: nothing is lost."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from engine.kills import FirstKillContract, Stand
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential
from keyturn.rotators.ssh.rotator import SSHRotator
from servers.ssh_accounts import Account, a_key, line_of, named, target_of
from servers.sshd import ADMIN, USER, Server, own, running_sshd

ROTATOR = "ssh"
KNOWN = {"host": "localhost", "hostKeys": [f"SHA256:{'A' * 43}"], "user": USER}
KEY = {"key": "ssh-privatekey", "generate": {"sshKey": {}}}


@pytest.fixture(scope="module")
def admin() -> Credential:
    return a_key(1)


@pytest.fixture(scope="module")
def server(admin: Credential) -> Iterator[Server]:
    with running_sshd() as server:
        # An admin goes no way that the user could change.
        for folder in (server.home, server.file.parent):
            own(folder, 0o755, ADMIN)
        yield server


class Kept(Account):
    """The account, whose file only the admin may change."""

    async def born(self, strategy: Strategy) -> Credential:
        first = a_key(1)
        self.server.file.write_bytes(line_of(first) + b" by hand\n")
        return first


@pytest.fixture(scope="class")
def stand(request: pytest.FixtureRequest, server: Server, admin: Credential) -> Stand:
    server.admin_file.write_bytes(line_of(admin))
    known = target_of(server, authorizedKeysFile=str(server.file))
    target = replace(known, admin={**admin.values, "username": named(ADMIN)})
    return Stand.of(request, target, Kept(server), data=[KEY])


class TestFirst(FirstKillContract):
    strategy = Strategy.SINGLE_USER
    traits = SSHRotator().traits(KNOWN)
