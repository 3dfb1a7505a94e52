"""The OAuth 2 rotator keeps the promises of the interface, against a real authorization server."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from keyturn.rotators.interface import Rotator, Target
from keyturn.rotators.oauth2.rotator import OAuth2Rotator
from keyturn.testing.issuing_rotators import IssuingRotatorContract, IssuingSite
from servers.authorization_server import Running, running_server
from servers.certificates import Authority
from servers.oauth2_clients import Client, target_of

SERVERS: Mapping[str, dict[str, Any]] = {
    "rotates": {},
    "rotates, does not detect reuse": {"reuse_detection": False},
    "does not rotate": {"rotates": False},
    "tells no lifetime": {"expires_in": None},
}
TESTS: Mapping[str, list[str]] = {
    "asked": ["introspectionEndpoint"],
    "tried": ["testURL"],
    "asked and tried": ["introspectionEndpoint", "testURL"],
    "ended": ["introspectionEndpoint", "revocationEndpoint"],
    "trusted": [],
}
_NAMES = {
    "introspectionEndpoint": "introspection",
    "testURL": "resource",
    "revocationEndpoint": "revocation",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder: Path = tmp_path_factory.mktemp("authority")
    return Authority.create(folder)


@pytest.fixture(scope="module")
def running(authority: Authority) -> Iterator[Running]:
    with running_server(authority.issue("server")) as running:
        yield running


@pytest.fixture(params=SERVERS)
def server(running: Running, request: pytest.FixtureRequest) -> Running:
    running.behave(**SERVERS[request.param])
    return running


class TestOAuth2(IssuingRotatorContract):
    @pytest.fixture
    def rotator(self) -> Rotator:
        return OAuth2Rotator()

    @pytest.fixture(params=TESTS)
    def target(
        self, server: Running, authority: Authority, request: pytest.FixtureRequest
    ) -> Target:
        urls = {name: server.url(_NAMES[name]) for name in TESTS[request.param]}
        return target_of(server, authority, **urls)

    @pytest.fixture
    def unreachable(self, authority: Authority) -> Target:
        known = {"tokenEndpoint": "https://127.0.0.1:1/", "allowPrivateAddresses": True}
        return Target(known, authority=authority.pem, timeout=2.0)

    @pytest.fixture
    def site(self, server: Running) -> IssuingSite:
        return Client(server)
