"""A real sshd (OpenSSH) on loopback, with a configuration and host keys of its own.

It runs as the user of the tests. Where that is root, the accounts are `nobody`, which logs in, and
root, the admin; else both are the user of the tests. Nothing outside of its folder is changed.
"""

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from servers.ports import free_port

SSHD: Final = "/usr/sbin/sshd"
_IS_ROOT: Final = os.geteuid() == 0
USER: Final = "nobody" if _IS_ROOT else getpass.getuser()
ADMIN: Final = getpass.getuser()

_READY_SECONDS: Final = 60.0
_CONFIG: Final = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_ed25519
HostKey {folder}/host_rsa
PidFile none
LogLevel DEBUG1
AuthorizedKeysFile {homes}/%u/.ssh/authorized_keys
StrictModes no
UsePAM {pam}
PermitRootLogin prohibit-password
PasswordAuthentication yes
KbdInteractiveAuthentication yes
LoginGraceTime 20
MaxStartups 200
Subsystem sftp internal-sftp {sftp} -d {homes}/%u
{more}
"""


@dataclass
class Server:
    """A running sshd; `homes` holds one folder for each of the two users."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def homes(self) -> Path:
        return self.folder / "homes"

    @property
    def home(self) -> Path:
        return self.homes / USER

    @property
    def file(self) -> Path:
        return self.home / ".ssh" / "authorized_keys"

    @property
    def admin_file(self) -> Path:
        return self.homes / ADMIN / ".ssh" / "authorized_keys"

    def host_key(self, kind: str = "ed25519") -> str:
        """Return the public line of a host key, without its comment."""
        return (self.folder / f"host_{kind}.pub").read_text().strip()

    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(errors="replace")

    def write(self, content: bytes) -> None:
        """Lay down the user's file anew, in a folder as OpenSSH likes it."""
        self.file.parent.chmod(0o700)
        shutil.rmtree(self.file.parent)
        make_folder(self.file.parent)
        self.file.write_bytes(content)
        own(self.file, 0o600)


@contextmanager
def running_sshd(
    *more: str, sftp: str = "", before_start: Callable[[], None] | None = None
) -> Iterator[Server]:
    """Start sshd; stop it on leaving. `more` are lines of its configuration.

    `sftp` are options of the SFTP server (sftp-server(8)); `before_start` is called in the new
    process. The folder is open to the user who logs in, which pytest's own folders are not.
    """
    with tempfile.TemporaryDirectory(prefix="keyturn-sshd-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "homes").mkdir(mode=0o755)
        for user in {USER, ADMIN}:
            make_folder(folder / "homes" / user, user)
            make_folder(folder / "homes" / user / ".ssh", user)
        for kind in ("ed25519", "rsa"):
            make_key(folder / f"host_{kind}", kind)
        port = free_port()
        _configure(folder, port, more, sftp)
        with (folder / "sshd.log").open("wb") as log:
            process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=before_start,  # noqa: PLW1509
            )
        server = Server(folder, port, process)
        try:
            _wait(server)
            yield server
        finally:
            process.terminate()
            process.wait(timeout=20)


def _configure(folder: Path, port: int, more: Iterable[str], sftp: str) -> None:
    if _IS_ROOT:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    (folder / "sshd_config").write_text(
        _CONFIG.format(
            port=port,
            folder=folder,
            homes=folder / "homes",
            sftp=sftp,
            # Without PAM sshd reads /etc/shadow; who may not read it has all accounts locked.
            pam="no" if _IS_ROOT else "yes",
            more="\n".join(more),
        )
    )


def make_key(path: Path, kind: str = "ed25519") -> str:
    """Make a key pair with ssh-keygen; return the public line."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-b", "2048", "-N", "", "-C", "", "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path.with_name(f"{path.name}.pub").read_text().strip()


def make_folder(path: Path, user: str = USER) -> None:
    path.mkdir()
    own(path, 0o700, user)


def own(path: Path, mode: int, user: str = USER) -> None:
    """Give a path to a user."""
    path.chmod(mode)
    if _IS_ROOT:
        found = pwd.getpwnam(user)
        os.chown(path, found.pw_uid, found.pw_gid)


def _wait(server: Server) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        if server.process.poll() is not None:
            raise RuntimeError(f"sshd ended at once:\n{server.log()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"sshd does not listen:\n{server.log()}")
