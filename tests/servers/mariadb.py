"""A real MariaDB server of the tests, which writes all that it is asked into its general log."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pymysql
from pymysql.connections import Connection

from servers.certificates import LOOPBACK, Authority
from servers.ports import free_port

_ACCOUNT: Final = "mysql"
_PROGRAM: Final = Path("/usr/sbin/mariadbd")
_START_SECONDS: Final = 60.0


@dataclass
class MariaDBServer:
    """A server on loopback, in a folder of its own, which `with` starts and removes.

    Its superuser `root` logs in by the socket in `folder` only. Its certificate is for localhost
    and 127.0.0.1 unless `hosts` says otherwise. As root it is run as the user `mysql`.
    """

    authority: Authority
    hosts: Sequence[str] = LOOPBACK
    settings: Mapping[str, str] = field(default_factory=dict)

    _process: subprocess.Popen[bytes] | None = field(init=False, default=None)
    folder: Path = field(init=False)
    port: int = field(init=False, default_factory=free_port)

    def __enter__(self) -> Self:
        if not _PROGRAM.exists():
            raise FileNotFoundError("MariaDB is missing: apt-get install mariadb-server")
        # Not pytest's folder: another user cannot enter it, and a socket's path has to be short.
        self.folder = Path(tempfile.mkdtemp(prefix="keyturn-maria-"))
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

    def log(self) -> str:
        """Return all that the server has logged: its own log, and each statement."""
        files = [self.folder / "error.log", self.folder / "general.log"]
        return "\n".join(file.read_text(errors="replace") for file in files if file.exists())

    def start(self) -> None:
        """Start the server and wait until it takes connections; on the same port as before."""
        if not self._began():
            self.stop()
            raise RuntimeError(f"MariaDB does not start:\n{self.log()[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server: SIGTERM ends its connections, SIGKILL leaves a recovery to the start."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_START_SECONDS)
            self._process = None

    def connect(self) -> Connection:
        """Log in as the superuser, each statement a transaction of its own."""
        return pymysql.connect(
            unix_socket=str(self.folder / "socket"), user="root", autocommit=True, charset="utf8mb4"
        )

    def log_in(self, username: str, password: str) -> Connection:
        """Log in as an application does, by TLS."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=username,
            password=password.encode(),
            ssl_ca=str(self.authority.folder / "ca.crt"),
            ssl_verify_cert=True,
            ssl_verify_identity=True,
            autocommit=True,
            connect_timeout=30,
            charset="utf8mb4",
        )

    def run(self, *statements: str) -> None:
        """Run statements as the superuser."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows that a query of the superuser finds."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def _prepare(self) -> None:
        pair = self.authority.issue(self.folder.name, self.hosts)
        for file, name in ((pair.certificate, "server.crt"), (pair.key, "server.key")):
            shutil.copyfile(file, self.folder / name)
            (self.folder / name).chmod(0o600)
        shutil.copyfile(self.authority.folder / "ca.crt", self.folder / "ca.crt")
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, _ACCOUNT, _ACCOUNT)
        subprocess.run(
            [
                *_as_account(),
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={self.folder / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            check=True,
            capture_output=True,
            cwd="/",
            env={"PATH": f"{os.defpath}:/usr/sbin"},
            timeout=_START_SECONDS,
        )

    def _began(self) -> bool:
        settings = {
            "datadir": self.folder / "data",
            "bind-address": "127.0.0.1",
            "port": self.port,
            "socket": self.folder / "socket",
            "pid-file": self.folder / "pid",
            "ssl-ca": self.folder / "ca.crt",
            "ssl-cert": self.folder / "server.crt",
            "ssl-key": self.folder / "server.key",
            "log-error": self.folder / "error.log",
            "log-warnings": 9,
            "general-log": 1,
            "general-log-file": self.folder / "general.log",
            "plugin-load-add": "auth_ed25519",
            "character-set-server": "utf8mb4",
            "innodb-flush-log-at-trx-commit": 0,
            **self.settings,
        }
        self._process = subprocess.Popen(
            [
                *_as_account(),
                _PROGRAM,
                "--no-defaults",
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.defpath},
        )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._listens():
                return True
            time.sleep(0.02)
        return False

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as link:
            return link.connect_ex(str(self.folder / "socket")) == 0

    def _remove(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def _as_account() -> list[str]:
    """Begin a command that becomes the user of the server, and ends with who started it."""
    if os.geteuid() != 0:
        return ["setpriv", "--pdeathsig", "SIGTERM"]
    account = ["--reuid", _ACCOUNT, "--regid", _ACCOUNT, "--clear-groups"]
    return ["setpriv", *account, "--pdeathsig", "SIGTERM"]
