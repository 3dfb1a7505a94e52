"""FerretDB, a real server that speaks MongoDB's protocol, on loopback and with SQLite below.

It is built once per machine from the Go module in `ferretdb_module`, and kept in the cache. Of
MongoDB's users it has the names, passwords and mechanisms, but neither roles nor custom data: the
tests of those are on servers.mongo_peer.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pymongo
from pymongo.errors import PyMongoError

from keyturn_controlplane.build import cache_folder
from keyturn_controlplane.commands import run_step
from keyturn_controlplane.golang import find_go
from keyturn_controlplane.progress import Reporter
from servers.certificates import Authority
from servers.ports import free_port

ROOT: Final = "root"
ROOT_PASSWORD: Final = "root of the tests"

_MODULE: Final = Path(__file__).with_name("ferretdb_module")
_PACKAGE: Final = "github.com/FerretDB/FerretDB"
_VERSION: Final = "v1.24.2"
_ENVIRONMENT: Final = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
_START_SECONDS: Final = 60.0
_PAUSE: Final = 0.05


@dataclass
class FerretDB:
    """A server that runs, with TLS and nothing else."""

    authority: Authority
    folder: Path
    port: int

    @property
    def log(self) -> bytes:
        return (self.folder / "server.log").read_bytes()

    def client(self, username: str = ROOT, password: str = ROOT_PASSWORD) -> Any:
        return pymongo.MongoClient(
            "localhost",
            self.port,
            username=username,
            password=password,
            authMechanism="SCRAM-SHA-256",
            directConnection=True,
            tls=True,
            tlsCAFile=str(self.folder / "ca.crt"),
            serverSelectionTimeoutMS=30_000,
        )

    def answers(self) -> bool:
        try:
            with self.client() as client:
                client.admin.command("ping")
        except PyMongoError:
            return False
        return True


@contextmanager
def running(folder: Path, authority: Authority) -> Iterator[FerretDB]:
    """Run a server whose superuser is `ROOT`; it says in its log all that it does."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.crt").write_bytes(authority.pem)
    server = FerretDB(authority, folder, free_port())
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(_command(server), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not server.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"FerretDB does not start: {server.log.decode()[-2000:]}")
            time.sleep(_PAUSE)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _command(server: FerretDB) -> list[str]:
    pair = server.authority.issue("ferretdb")
    return [
        str(binary()),
        "--listen-addr=",
        f"--listen-tls=127.0.0.1:{server.port}",
        f"--listen-tls-cert-file={pair.certificate}",
        f"--listen-tls-key-file={pair.key}",
        "--debug-addr=-",
        "--telemetry=disable",
        "--handler=sqlite",
        f"--sqlite-url=file:{server.folder}/",
        f"--state-dir={server.folder}",
        "--log-level=debug",
        "--test-enable-new-auth",
        "--setup-database=admin",
        f"--setup-username={ROOT}",
        f"--setup-password={ROOT_PASSWORD}",
    ]


def binary() -> Path:
    """Return the program, built if this machine has none yet: that takes about two minutes."""
    environ, reporter = dict(os.environ), Reporter()
    cache = cache_folder(environ)
    go = find_go(cache, "1.24.3", environ)
    inputs = (*(path.read_text() for path in sorted(_MODULE.iterdir())), go.version, _VERSION)
    key = hashlib.sha256("\0".join(inputs).encode()).hexdigest()[:16]
    found = cache / f"ferretdb-{key}" / "ferretdb"
    found.parent.mkdir(parents=True, exist_ok=True)
    with (found.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            go.install(environ, reporter)
            _build(str(go.binary), found, {**environ, **_ENVIRONMENT}, reporter)
    return found


def _build(go: str, target: Path, environ: dict[str, str], reporter: Reporter) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        module = Path(name) / "module"
        shutil.copytree(_MODULE, module)
        run_step(reporter, "fetching FerretDB", [go, "mod", "vendor"], environ, module)
        # A file that its own build makes, and without which the program does not start.
        (module / "vendor" / _PACKAGE / "build" / "version" / "version.txt").write_text(_VERSION)
        build = [go, "build", "-mod=vendor", "-trimpath", "-o", str(module / "made")]
        run_step(
            reporter, "building FerretDB", [*build, f"{_PACKAGE}/cmd/ferretdb"], environ, module
        )
        (module / "made").replace(target)
