"""One authorization server for a module; each test has it begin anew."""

from collections.abc import Iterator

import pytest

from keyturn.rotators.interface import Credential, Target
from servers.authorization_server import Running, running_server
from servers.certificates import Authority
from servers.oauth2_clients import Client, target_of


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def running(authority: Authority) -> Iterator[Running]:
    with running_server(authority.issue("server")) as running:
        yield running


@pytest.fixture
def server(running: Running) -> Running:
    running.behave()
    return running


@pytest.fixture
def target(server: Running, authority: Authority) -> Target:
    return target_of(server, authority)


@pytest.fixture
def current(server: Running) -> Credential:
    return Client(server).granted()
