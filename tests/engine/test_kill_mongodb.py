"""kill -9 at every named place of a rotation on FerretDB: nothing is lost."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.kills import FirstKillContract, KillContract, Stand
from keyturn.domain.rotation import Strategy
from keyturn.rotators.mongodb.rotator import MongoDBRotator
from servers import ferretdb
from servers.certificates import Authority
from servers.mongo_site import LEAVES_SOCKETS, MongoSite

pytestmark = LEAVES_SOCKETS

ROTATOR = "mongodb"
TRAITS = MongoDBRotator().traits({"host": "localhost"})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoSite]:
    folder: Path = tmp_path_factory.mktemp("mongodb")
    authority = Authority.create(folder / "authority")
    with ferretdb.running(folder / "ferretdb", authority) as server:
        root = ferretdb.ROOT, ferretdb.ROOT_PASSWORD
        parts = {"mechanisms": ["SCRAM-SHA-256"]}
        yield MongoSite(server.port, authority, folder, *root, parts)
    # No socket is left to other tests.
    gc.collect()


@pytest.fixture(scope="class")
def stand(request: pytest.FixtureRequest, site: MongoSite) -> Stand:
    return Stand.of(request, site.target(), site)


class TestSingleUser(KillContract):
    strategy, traits = Strategy.SINGLE_USER, TRAITS


class TestAlternatingUsers(TestSingleUser):
    strategy = Strategy.ALTERNATING_USERS


class TestFirst(FirstKillContract):
    strategy, traits = Strategy.ALTERNATING_USERS, TRAITS
