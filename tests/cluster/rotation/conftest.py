"""A PostgreSQL server beside the cluster, and the resources by which secrets are rotated in it."""

from collections.abc import Iterator

import pytest

from cluster.operating import Cluster
from cluster.rotation.postgresql import RotatedDatabase
from servers.certificates import Authority
from servers.postgresql import PostgreSQLServer


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQLServer]:
    authority = Authority.create(tmp_path_factory.mktemp("authority"))
    with PostgreSQLServer(authority, authority.issue("server")) as server:
        yield server


@pytest.fixture
def database(postgresql: PostgreSQLServer, cluster: Cluster) -> RotatedDatabase:
    return RotatedDatabase.made(postgresql, cluster)
