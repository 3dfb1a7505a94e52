"""A peer for each test, and a site on it."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn.rotators.interface import Target
from servers import mongo_peer
from servers.certificates import Authority
from servers.mongo_peer import MongoPeer
from servers.mongo_site import (
    MongoSite,
    site_on,
)


@pytest.fixture(scope="package", autouse=True)
def _no_socket_is_left_to_other_tests() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mongodb")


@pytest.fixture(scope="package")
def authority(folder: Path) -> Authority:
    return Authority.create(folder / "authority")


@pytest.fixture
def peer(authority: Authority) -> Iterator[MongoPeer]:
    with mongo_peer.running(authority.issue("own-peer")) as peer:
        yield peer


@pytest.fixture
def site(peer: MongoPeer, authority: Authority, folder: Path) -> MongoSite:
    return site_on(peer, authority, folder)


@pytest.fixture
def target(site: MongoSite) -> Target:
    return site.target()
