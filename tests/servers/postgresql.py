"""A real PostgreSQL server of the tests, which says in its log all that it was asked to do."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psycopg
from psycopg import sql

from servers.certificates import Authority, KeyPair
from servers.ports import free_port

_ACCOUNT: Final = "postgres"
_START_SECONDS: Final = 60.0
_PACKAGED: Final = Path("/usr/lib/postgresql")

_CHATTY: Final = {
    "log_statement": "all",
    "log_min_messages": "debug1",
    "log_min_error_statement": "debug1",
    "log_error_verbosity": "verbose",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
    "log_line_prefix": "%p %u@%d ",
}


def packaged() -> Path:
    """Find the programs of Debian's newest PostgreSQL; `.ci/packages` names the package."""
    found = sorted(_PACKAGED.glob("*/bin"), key=lambda folder: int(folder.parent.name))
    if not found:
        raise FileNotFoundError("PostgreSQL is missing: apt-get install postgresql")
    return found[-1]


@dataclass
class PostgreSQLServer:
    """A server on loopback, in a folder of its own, which `with` starts and removes.

    Its superuser `postgres` logs in by the socket in `folder` only; everybody else by TCP with
    SCRAM, and by TLS unless `has_tls` is False. As root it is run as the user `postgres`.
    """

    authority: Authority
    certificate: KeyPair
    binaries: Path = field(default_factory=packaged)
    has_tls: bool = True
    access: Sequence[str] = ()
    """Lines of pg_hba.conf that go before ours."""
    settings: Mapping[str, str] = field(default_factory=dict)
    language: str = "C"

    _process: subprocess.Popen[bytes] | None = field(init=False, default=None)
    folder: Path = field(init=False)
    port: int = field(init=False, default_factory=free_port)

    def __enter__(self) -> Self:
        # Not pytest's folder: another user cannot enter it, and a socket's path has to be short.
        self.folder = Path(tempfile.mkdtemp(prefix="keyturn-pg-"))
        try:
            self._prepare()
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove()

    @property
    def log_file(self) -> Path:
        return self.folder / "log"

    @property
    def version(self) -> int:
        """Return the major version."""
        return int(self.query("SHOW server_version_num")[0][0]) // 10000

    def log(self) -> str:
        """Return all that the server has logged."""
        return self.log_file.read_text(errors="replace")

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        where: list[str | Path] = ["-D", self.folder / "data", "-p", str(self.port)]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*as_account(), self.binaries / "postgres", *where],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "LANGUAGE": self.language},
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{self.log()[-2000:]}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends its connections, SIGQUIT leaves a recovery to the start."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_START_SECONDS)
            self._process = None

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """Log in as the superuser, each statement a transaction of its own."""
        return psycopg.connect(
            host=str(self.folder),
            port=self.port,
            user=_ACCOUNT,
            dbname=database,
            autocommit=True,
            connect_timeout=30,
        )

    def log_in(
        self, username: str, password: str, database: str = "postgres"
    ) -> psycopg.Connection[Any]:
        """Log in as an application does."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=username,
            password=password,
            dbname=database,
            sslmode="verify-full" if self.has_tls else "disable",
            sslrootcert=str(self.authority.folder / "ca.crt"),
            autocommit=True,
            connect_timeout=30,
        )

    def run(self, *statements: str | sql.Composed, database: str = "postgres") -> None:
        """Run statements as the superuser, each in a transaction of its own."""
        with self.connect(database) as connection:
            for statement in statements:
                connection.execute(_composed(statement))

    def query(
        self, statement: str, parameters: Sequence[Any] = (), database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """Return the rows that a query of the superuser finds."""
        with self.connect(database) as connection:
            return connection.execute(_composed(statement), parameters or None).fetchall()

    def _prepare(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.folder, _ACCOUNT, _ACCOUNT)
        arguments: list[str | Path] = [
            "-D",
            self.folder / "data",
            "-U",
            _ACCOUNT,
            "-A",
            "trust",
            "-N",
        ]
        arguments += ["-E", "UTF8", "--locale", "C.UTF-8"]
        subprocess.run(
            [*as_account(), self.binaries / "initdb", *arguments],
            check=True,
            capture_output=True,
            cwd="/",
            env={"PATH": os.defpath},
            timeout=_START_SECONDS,
        )
        self._write("data/server.crt", self.certificate.certificate.read_text())
        self._write("data/server.key", self.certificate.key.read_text())
        kind = "hostssl" if self.has_tls else "host"
        access = ["local all postgres trust", *self.access, f"{kind} all all all scram-sha-256"]
        self._write("data/pg_hba.conf", "\n".join([*access, ""]))
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "ssl": "on" if self.has_tls else "off",
            "password_encryption": "scram-sha-256",
            "fsync": "off",
            **_CHATTY,
            **self.settings,
        }
        lines = [f"{name} = '{value}'" for name, value in settings.items()]
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.write("\n".join([*lines, ""]))

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        if os.geteuid() == 0:
            shutil.chown(path, _ACCOUNT, _ACCOUNT)

    def _is_ready(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _remove(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def _composed(statement: str | sql.Composed) -> sql.SQL | sql.Composed:
    if isinstance(statement, str):
        return sql.SQL(statement)
    return statement


def as_account() -> list[str]:
    """Begin a command that becomes the user of the server, and ends with who started it."""
    if os.geteuid() != 0:
        return ["setpriv", "--pdeathsig", "SIGINT"]
    account = ["--reuid", _ACCOUNT, "--regid", _ACCOUNT, "--clear-groups"]
    return ["setpriv", *account, "--pdeathsig", "SIGINT"]
