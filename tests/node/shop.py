"""A shop on a real node: a database beside it, and a Deployment that logs in all the time."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection

from cluster.operating import eventually
from keyturn_controlplane.cluster import ControlPlane
from node.operator_pods import IMAGE, UNPRIVILEGED
from node.pods import Pods
from servers.certificates import LOOPBACK, Authority
from servers.postgresql import PostgreSQLServer
from servers.postgresql_site import PostgreSQLSite

NAME, SECRET, USER = "shop", "orders-db", "orders"
REPLICAS = 2
SUCCESS = "logged in"

_LOGINS = f"""
import os, pathlib, signal, sys, time, psycopg
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
record = pathlib.Path("/records", os.environ["HOSTNAME"]).open("a", buffering=1)
while True:
    try:
        with psycopg.connect(connect_timeout=60) as connection:
            connection.execute("INSERT INTO orders DEFAULT VALUES")
        print({SUCCESS!r}, os.environ["PGUSER"], file=record)
        pathlib.Path("/tmp/ready").touch()
    except psycopg.Error as error:
        print(type(error).__name__, os.environ["PGUSER"], error, file=record)
    time.sleep(0.1)
"""
_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'pg_authid'::regclass"
_IS_READY = "import os, sys; sys.exit(not os.path.exists('/tmp/ready'))"


@dataclass(frozen=True, slots=True)
class Shop:
    """The namespace `shop`, whose Deployment `web` logs in by what the Secret says."""

    pods: Pods
    site: PostgreSQLSite
    records: Path
    """A folder in which each pod that ever ran has a file, with a line for each login."""
    host: str

    def open(self) -> None:
        """Apply all that a team would: rotator, ManagedSecret and Deployment; wait for the pods."""
        self.pods.apply(
            _config_map("pg-ca", {"ca.crt": self.site.server.authority.pem.decode()}),
            _secret("pg-admin", username=self.site.admin, password=self.site.admin_password),
            self._rotator(),
            _managed_secret(),
            self._deployment(),
        )
        wait = ("wait", "--timeout=180s")
        self.pods.kubectl(*wait, "--for=condition=Ready", f"managedsecret/{SECRET}")
        self.pods.kubectl("rollout", "status", "deployment/web", "--timeout=180s")

    @property
    def resource(self) -> dict[str, Any]:
        found: dict[str, Any] = self._get("managedsecret", SECRET)
        return found

    @property
    def version(self) -> int:
        return int(self.resource["status"]["currentVersion"])

    @property
    def secret(self) -> dict[str, str]:
        """The data of the Secret; empty where there is none."""
        said = self.pods.kubectl("get", "secret", SECRET, "-o", "json", "--ignore-not-found")
        data: dict[str, str] = json.loads(said or "{}").get("data", {})
        return data

    def has_moved_to(self, version: int) -> bool:
        """Tell whether all pods run with a version, and nobody else is waited for."""
        status = self.resource["status"]
        consumers = status.get("consumers", {})
        moved = (consumers.get("total"), consumers.get("upToDate")) == (REPLICAS, REPLICAS)
        # Then the operator has looked for the last time, and the next rotation may begin.
        retired = not any(
            each["reason"] == "RetireBlockedByConsumers" for each in status["conditions"]
        )
        return status["currentVersion"] == version and moved and retired

    def wait_until_moved(self, version: int) -> None:
        eventually(
            lambda: self.has_moved_to(version),
            within=120,
            what=f"all pods run with version {version}",
        )

    def wait_until_retired(self) -> None:
        """Wait until the credential before the current one is ended: no version is Previous."""
        eventually(
            lambda: "previousVersion" not in self.resource["status"],
            within=120,
            what="the credential before is retired",
        )

    @contextmanager
    def stalled(self) -> Iterator[Connection[Any]]:
        """Keep the database from changing a password; logins go on."""
        with self.site.server.connect() as connection, connection.transaction():
            connection.execute("LOCK TABLE pg_authid IN SHARE MODE")
            yield connection

    def is_stalling(self, connection: Connection[Any]) -> bool:
        """Tell whether a rotation waits for the end of `stalled`."""
        row = connection.execute(_WAITING).fetchone()
        return row is not None and row[0] > 0

    def logins(self) -> tuple[int, list[str], set[str]]:
        """Count the logins that succeeded; give the records of others, and the users of all."""
        lines = [
            line for record in self.records.iterdir() for line in record.read_text().splitlines()
        ]
        failed = [line for line in lines if not line.startswith(SUCCESS)]
        users = {line.rpartition(" ")[2] for line in lines if line.startswith(SUCCESS)}
        return len(lines) - len(failed), failed, users

    def _get(self, *what: str) -> Any:
        return json.loads(self.pods.kubectl("get", *what, "--output", "json"))

    def _rotator(self) -> dict[str, Any]:
        return {
            "apiVersion": "keyturn.dev/v1alpha1",
            "kind": "Rotator",
            "metadata": {"name": "shop-pg"},
            "spec": {
                "postgresql": {"host": self.host, "port": self.site.server.port},
                "adminRef": {"kind": "Secret", "name": "pg-admin"},
                "caRef": {"kind": "ConfigMap", "name": "pg-ca", "key": "ca.crt"},
                "allowedUsernames": [USER],
            },
        }

    def _deployment(self) -> dict[str, Any]:
        labels = {"app": "web"}
        said = {
            "PGHOST": self.host,
            "PGPORT": str(self.site.server.port),
            "PGDATABASE": "postgres",
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": "/etc/pg/ca.crt",
        }
        login = {"PGUSER": "username", "PGPASSWORD": "password"}
        app = {
            "name": "app",
            "image": IMAGE,
            "imagePullPolicy": "Never",
            "command": ["python3", "-c", _LOGINS],
            "env": [
                *({"name": name, "value": value} for name, value in said.items()),
                *(
                    {"name": name, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": key}}}
                    for name, key in login.items()
                ),
            ],
            "securityContext": UNPRIVILEGED,
            "readinessProbe": {
                "exec": {"command": ["python3", "-c", _IS_READY]},
                "periodSeconds": 1,
                "timeoutSeconds": 10,
            },
            "volumeMounts": [
                {"name": "records", "mountPath": "/records"},
                {"name": "ca", "mountPath": "/etc/pg"},
                {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - within the pod
            ],
        }
        spec = {
            "terminationGracePeriodSeconds": 5,
            "containers": [app],
            "volumes": [
                {"name": "records", "hostPath": {"path": str(self.records)}},
                {"name": "ca", "configMap": {"name": "pg-ca"}},
                {"name": "tmp", "emptyDir": {}},
            ],
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": REPLICAS,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        }


@contextmanager
def a_shop(control_plane: ControlPlane, folder: Path) -> Iterator[Shop]:
    """Start the database, where pods and this machine reach it, and make the namespace."""
    records = folder / "records"
    records.mkdir(parents=True)
    records.chmod(0o777)  # Pods write there, as a user of the image.
    host = control_plane.node.address
    authority = Authority.create(folder / "authority")
    certificate = authority.issue("server", (*LOOPBACK, host))
    settings = {"listen_addresses": f"127.0.0.1,{host}"}
    with PostgreSQLServer(authority, certificate, settings=settings) as server:
        site = PostgreSQLSite(server)
        site.make_role(USER, "nobody knows it")
        site.entrust(USER)
        server.run(
            "CREATE TABLE orders (at timestamptz DEFAULT now())", f"GRANT ALL ON orders TO {USER}"
        )
        control_plane.kubectl("create", "namespace", NAME)
        yield Shop(Pods(control_plane, NAME), site, records, host)


def _managed_secret() -> dict[str, Any]:
    return {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "ManagedSecret",
        "metadata": {"name": SECRET},
        "spec": {
            "data": [
                {"key": "username", "value": USER},
                {"key": "password", "generate": {"password": {"length": 32, "symbols": 0}}},
            ],
            "rotation": {
                "interval": "30d",
                "rotatorRef": {"kind": "Rotator", "name": "shop-pg"},
                "strategy": "AlternatingUsers",
                "overlap": {"until": "ConsumersMoved", "max": "1h"},
            },
            "consumers": {"action": "Restart", "coalesce": "7s"},
        },
    }


def _config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _secret(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
