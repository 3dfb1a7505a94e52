"""The MongoDB rotator, on FerretDB and on the peer of servers.mongo_peer.

FerretDB is a real server, but has no roles; what it lacks is tested on the peer, which is our own.
"""

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.rotators.interface import Rotator, Target
from keyturn.rotators.mongodb.rotator import MongoDBRotator
from keyturn.testing.rotators import RotatorContract, Site
from servers import ferretdb, mongo_peer
from servers.certificates import Authority
from servers.ferretdb import FerretDB
from servers.mongo_peer import MongoPeer
from servers.mongo_site import (
    LEAVES_SOCKETS,
    PARTS,
    MongoSite,
    site_on,
)

pytestmark = LEAVES_SOCKETS


@pytest.fixture(scope="module", autouse=True)
def _no_socket_is_left_to_other_tests() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mongodb")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority.create(folder / "authority")


@pytest.fixture(scope="module")
def ferret(folder: Path, authority: Authority) -> Iterator[FerretDB]:
    with ferretdb.running(folder / "ferretdb", authority) as server:
        yield server


@pytest.fixture(scope="module")
def common_peer(authority: Authority) -> Iterator[MongoPeer]:
    with mongo_peer.running(authority.issue("peer")) as peer:
        yield peer


@pytest.fixture(scope="module")
def documentdb(authority: Authority) -> Iterator[MongoPeer]:
    with mongo_peer.running(authority.issue("documentdb"), knows_sha256=False) as peer:
        yield peer


@pytest.fixture(scope="module")
def plain() -> Iterator[MongoPeer]:
    with mongo_peer.running() as peer:
        yield peer


@pytest.fixture(scope="module")
def member(authority: Authority) -> Iterator[MongoPeer]:
    with mongo_peer.running(authority.issue("member"), replica_set="rs0") as peer:
        yield peer


class ContractOfMongoDB(RotatorContract):
    @pytest.fixture
    def rotator(self) -> Rotator:
        return MongoDBRotator()

    @pytest.fixture
    def target(self, site: MongoSite) -> Target:
        return site.target()

    @pytest.fixture
    def unreachable(self, target: Target) -> Target:
        return replace(target, parameters={**target.parameters, "port": 1}, timeout=1.0)


class TestFerretDB(ContractOfMongoDB):
    @pytest.fixture
    def site(self, ferret: FerretDB, authority: Authority, folder: Path) -> Site:
        root = ferretdb.ROOT, ferretdb.ROOT_PASSWORD
        return MongoSite(ferret.port, authority, folder, *root, {"mechanisms": ["SCRAM-SHA-256"]})


class TestPeer(ContractOfMongoDB):
    @pytest.fixture
    def site(self, common_peer: MongoPeer, authority: Authority, folder: Path) -> Site:
        return site_on(common_peer, authority, folder)


class TestDocumentDB(ContractOfMongoDB):
    """A peer that knows no more than DocumentDB does."""

    @pytest.fixture
    def site(self, documentdb: MongoPeer, authority: Authority, folder: Path) -> Site:
        site = site_on(documentdb, authority, folder)
        roles = {"roles": PARTS["roles"]}
        return replace(site, parts=roles, mechanism="SCRAM-SHA-1", source="admin")

    @pytest.fixture
    def target(self, site: MongoSite) -> Target:
        return site.target(dialect="documentdb")


class TestPeerWithoutTLS(ContractOfMongoDB):
    @pytest.fixture
    def site(self, plain: MongoPeer, folder: Path) -> Site:
        return site_on(plain, None, folder)


class TestReplicaSet(ContractOfMongoDB):
    @pytest.fixture
    def site(self, member: MongoPeer, authority: Authority, folder: Path) -> Site:
        return site_on(member, authority, folder)

    @pytest.fixture
    def target(self, site: MongoSite) -> Target:
        return site.target(replicaSet="rs0")
