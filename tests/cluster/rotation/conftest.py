"""A PostgreSQL server beside the cluster, and the resources by which secrets are rotated in it."""

import shutil
from collections.abc import Iterator

import pytest

from canary_scan import CanaryScan
from cluster.operating import Cluster
from cluster.rotation.postgresql import RotatedDatabase
from servers.certificates import Authority
from servers.postgresql import PostgreSQLServer


@pytest.fixture(scope="session")
def postgresql(
    tmp_path_factory: pytest.TempPathFactory, canary_scan: CanaryScan
) -> Iterator[PostgreSQLServer]:
    folder = tmp_path_factory.mktemp("postgresql")
    authority = Authority.create(folder)
    with PostgreSQLServer(authority, authority.issue("server")) as server:
        yield server
        # Where the search for all values of the run looks; it comes after this.
        shutil.copy(server.log_file, folder / "server.log")


@pytest.fixture
def database(postgresql: PostgreSQLServer, cluster: Cluster) -> RotatedDatabase:
    return RotatedDatabase.made(postgresql, cluster)
