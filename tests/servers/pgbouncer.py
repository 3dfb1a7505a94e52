"""A real PgBouncer of the tests, before a real server without TLS."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from servers.ports import free_port
from servers.postgresql import PostgreSQLServer, as_account

_PROGRAM: Final = "/usr/sbin/pgbouncer"
_START_SECONDS: Final = 60.0


@contextmanager
def pgbouncer(server: PostgreSQLServer, mode: str, passwords: Mapping[str, str]) -> Iterator[int]:
    """Run a pooler in `mode` for users whose passwords it is given; yield its port."""
    folder, port = Path(tempfile.mkdtemp(prefix="keyturn-pgbouncer-")), free_port()
    users = folder / "users.txt"
    users.write_text("".join(f'"{name}" "{word}"\n' for name, word in passwords.items()))
    lines = [
        "[databases]",
        f"* = host=127.0.0.1 port={server.port}",
        "[pgbouncer]",
        "listen_addr = 127.0.0.1",
        f"listen_port = {port}",
        "unix_socket_dir =",
        "auth_type = scram-sha-256",
        f"auth_file = {users}",
        f"pool_mode = {mode}",
        # Without it a pooler refuses us at once, as libpq sends them.
        "ignore_startup_parameters = options",
    ]
    (folder / "pgbouncer.ini").write_text("\n".join([*lines, ""]))
    if os.geteuid() == 0:
        for path in (folder, users, folder / "pgbouncer.ini"):
            shutil.chown(path, "postgres", "postgres")
    process = subprocess.Popen(
        [*as_account(), _PROGRAM, "--quiet", folder / "pgbouncer.ini"], cwd="/"
    )
    try:
        _wait(process, port)
        yield port
    finally:
        process.kill()
        process.wait(_START_SECONDS)
        shutil.rmtree(folder)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
