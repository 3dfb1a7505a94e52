"""The operator's unix socket: a folder that only its user enters, and a name that is taken once."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keyturn.domain.errors import InvalidParameterError, StoreInUseError, UnavailableError

MAX_PATH_BYTES = 107
"""What the kernel's address of a unix socket holds."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Listen on a path inside the `with`; the name is removed again at its end.

    Raises:
        InvalidParameterError: the path cannot be that of a socket, or others may use its folder.
        StoreInUseError: another operator answers there.
        UnavailableError: the folder cannot be written.
    """
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise InvalidParameterError(
            f"the path of the socket is longer than {MAX_PATH_BYTES} bytes; set KEYTURN_SOCKET"
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listener:
        try:
            _make_private(path.parent)
            _remove_stale(path)
            # Before bind: the name then never exists with another mode.
            os.fchmod(listener.fileno(), 0o600)
            listener.bind(os.fspath(path))
            listener.listen()
        except OSError as error:
            raise UnavailableError(
                f"the socket {path} cannot be made: {error.strerror or error}"
            ) from error
        made = path.stat()
        try:
            yield listener
        finally:
            _remove(path, made)


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid not in (0, os.geteuid()):
        raise InvalidParameterError(
            f"the folder {folder} of the socket belongs to another user (uid {status.st_uid});"
            " set KEYTURN_SOCKET"
        )
    if not status.st_mode & _OTHERS:
        return
    if any(not stat.S_ISSOCK(entry.lstat().st_mode) for entry in folder.iterdir()):
        # Somebody else's folder, for example /tmp: to close it would break what they do there.
        raise InvalidParameterError(
            f"others may use the folder {folder} of the socket: set KEYTURN_SOCKET, or run"
            f" 'chmod 700 {folder}'"
        )
    # A volume with an fsGroup is opened to the group each time that it is mounted.
    folder.chmod(0o700)


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise InvalidParameterError(f"{path} exists and is no socket; set KEYTURN_SOCKET")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except TimeoutError:
            pass  # Its queue is full: somebody listens.
    raise StoreInUseError(f"another operator answers on {path}")


def _remove(path: Path, made: os.stat_result) -> None:
    """Remove the name, unless somebody else has taken it since."""
    with suppress(OSError):
        found = path.lstat()
        if (found.st_dev, found.st_ino) == (made.st_dev, made.st_ino):
            path.unlink()
