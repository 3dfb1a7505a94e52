"""A user of a PostgreSQL server whose password a ManagedSecret rotates."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from cluster.operating import Cluster, eventually
from servers.postgresql import PostgreSQLServer
from servers.postgresql_site import PostgreSQLSite, username_of

NAME = "db"
TOKEN = "keyturn.dev/rotate"


@dataclass
class RotatedDatabase:
    """The server, the administrator's Rotator `pg`, and the user that it may set."""

    server: PostgreSQLServer
    site: PostgreSQLSite
    cluster: Cluster
    username: str

    @classmethod
    def made(cls, server: PostgreSQLServer, cluster: Cluster) -> "RotatedDatabase":
        site = PostgreSQLSite(server)
        username = username_of(site.user())
        database = cls(server, site, cluster, username)
        database._apply_rotator()
        return database

    def _apply_rotator(self) -> None:
        admin = {"username": self.site.admin, "password": self.site.admin_password}
        self.cluster.create(
            "secrets",
            {"metadata": {"name": "pg-admin"}, "type": "Opaque", "stringData": admin},
        )
        authority = {"ca.crt": self.server.authority.pem.decode()}
        self.cluster.create("configmaps", {"metadata": {"name": "pg-ca"}, "data": authority})
        self.cluster.create(
            "rotators",
            {
                "apiVersion": "keyturn.dev/v1alpha1",
                "kind": "Rotator",
                "metadata": {"name": "pg"},
                "spec": {
                    "postgresql": dict(self.site.parameters()),
                    "adminRef": {"kind": "Secret", "name": "pg-admin"},
                    "caRef": {"kind": "ConfigMap", "name": "pg-ca", "key": "ca.crt"},
                    "allowedUsernames": [self.username],
                },
            },
        )

    def apply(self, strategy: str = "AlternatingUsers", **rotation: Any) -> None:
        """Apply a ManagedSecret that rotates the user."""
        self.cluster.apply(
            NAME,
            {
                "data": [
                    {"key": "username", "value": self.username},
                    {"key": "password", "generate": {"password": {"symbols": 0}}},
                ],
                "rotation": {
                    "strategy": strategy,
                    "rotatorRef": {"kind": "Rotator", "name": "pg"},
                    **rotation,
                },
            },
        )

    def request(self, token: str) -> None:
        self.cluster.patch("managedsecrets", NAME, {"metadata": {"annotations": {TOKEN: token}}})

    def rotate(self, token: str) -> None:
        """Ask for a rotation, and wait until its version is current and projected."""
        before = self.status["currentVersion"]
        self.request(token)
        eventually(
            lambda: self.status.get("currentVersion", 0) > before and "rotation" not in self.status,
            what=f"it is rotated: {self.status}",
        )

    @property
    def status(self) -> Mapping[str, Any]:
        found = self.cluster.get("managedsecrets", NAME)
        assert found is not None
        status: Mapping[str, Any] = found.get("status", {})
        return status

    def credential(self) -> tuple[str, str]:
        """Read the user name and the password out of the projected Secret, as a pod does."""
        data = self.cluster.data(NAME)
        assert data is not None
        username, password = (base64.b64decode(data[k]).decode() for k in ("username", "password"))
        return username, password

    def logs_in(self) -> bool:
        """Log in with what the projected Secret says now."""
        username, password = self.credential()
        try:
            with self.server.log_in(username, password) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False
