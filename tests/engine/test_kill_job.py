"""kill -9 at every named place of a rotation by the script of the example: nothing is lost.

The Jobs are processes of this machine, which go on when the operator dies, as Jobs do. What a
cluster does with them is tested in tests/cluster/test_rotator_job.py.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.kills import KillContract, Stand
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Target
from keyturn.rotators.job.rotator import JobRotator
from servers import wiki
from servers.wiki import Wiki

ROTATOR = "job"
POD = {
    "image": "none",
    # Without what else is installed Python starts faster.
    "command": ["python3", "-I", "-S", "/script/rotate.py"],
    "scriptConfigMap": "rotate-with-a-script",
    "strategies": ["SingleUser", "AlternatingUsers"],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wiki]:
    folder: Path = tmp_path_factory.mktemp("wiki")
    with wiki.serving(folder) as server:
        yield server


class Users:
    """The users of the wiki, made without the rotator."""

    def __init__(self, server: Wiki) -> None:
        self._server = server

    async def born(self, strategy: Strategy) -> Credential:
        values = {"username": f"user_{secrets.token_hex(4)}", "password": secrets.token_hex(16)}
        self._server.put(values["username"], values["password"])
        return Credential(1, {name: SecretValue(text.encode()) for name, text in values.items()})


@pytest.fixture(scope="class")
def stand(request: pytest.FixtureRequest, server: Wiki) -> Stand:
    user, password = wiki.ADMIN
    admin = {"username": SecretValue(user.encode()), "password": SecretValue(password.encode())}
    target = Target({**POD, "args": [server.url, "/keyturn"]}, admin)
    return Stand.of(request, target, Users(server))


class TestAlternatingUsers(KillContract):
    strategy = Strategy.ALTERNATING_USERS
    traits = JobRotator().traits(POD)
