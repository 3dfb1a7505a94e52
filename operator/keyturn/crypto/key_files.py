"""The default key in a file, for an operator that runs outside a cluster."""

import errno
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from keyturn.crypto.local_key import LocalKey, from_text, to_text
from keyturn.domain.errors import (
    InvalidParameterError,
    KeyMissingError,
    KeyProviderUnavailableError,
)

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MAX_FILE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Where the key lies, and where the store lies that must not lie beside it.

    A copy or a backup of the store's folder must never hold the key too: both together are every
    secret in plaintext.
    """

    path: Path
    store_folder: Path

    def load_or_create(self, *, store_holds_data: bool) -> tuple[LocalKey, bool]:
        """Read the key, or make it at its first use; tell whether it was made now.

        `store_holds_data` is true as soon as the store has a sealed root or a secret.

        Raises:
            InvalidParameterError: the file lies in the store's folder, or others may read it.
            KeyMissingError: the file is gone or damaged, and the store holds data that only this
                key opens; a new one is never made then.
            KeyProviderUnavailableError: the file cannot be read or written now.
        """
        self._require_apart()
        try:
            key = self._load()
            if key is not None:
                return key, False
            if store_holds_data:
                raise KeyMissingError(
                    f"the key file {self.path} is gone, but the store in {self.store_folder} holds"
                    " secrets that only this key opens: restore the file from your backup, or write"
                    " the line that 'keyturn key export' gave you into it (mode 0600)"
                )
            created = self._create()
            # Whoever was first has made it; what stands in the file is the key.
            key = self._load()
        except OSError as error:
            raise KeyProviderUnavailableError(
                f"the key file {self.path} cannot be used: {error.strerror}"
            ) from error
        if key is None:
            raise KeyProviderUnavailableError(f"the key file {self.path} was taken away again")
        return key, created

    def write(self, key: LocalKey) -> None:
        """Write an imported key to the file, which must not exist yet.

        Raises:
            InvalidParameterError: the file exists, or lies in the store's folder.
            KeyProviderUnavailableError: the file cannot be written now.
        """
        self._require_apart()
        try:
            written = self._write(key)
        except OSError as error:
            raise KeyProviderUnavailableError(
                f"the key file {self.path} cannot be written: {error.strerror}"
            ) from error
        if not written:
            raise InvalidParameterError(
                f"the key file {self.path} exists: move it away first, it may be the only copy"
            )

    def _require_apart(self) -> None:
        try:
            beside = self.path.resolve().is_relative_to(self.store_folder.resolve())
        except RuntimeError:  # how Python 3.11 and 3.12 report a loop of links
            raise InvalidParameterError(f"the path {self.path} leads nowhere") from None
        if beside:
            raise InvalidParameterError(
                f"the key file {self.path} lies in the store's folder {self.store_folder}: put it"
                " elsewhere, a copy of the store must not hold the key that opens it"
            )

    def _load(self) -> LocalKey | None:
        try:
            # Not blocking: a pipe in the file's place must not hang the start.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        try:
            # Of the open file, not of its name: nobody can put another in between.
            self._require_private(os.fstat(descriptor))
            text = os.read(descriptor, _MAX_FILE_BYTES)
        finally:
            os.close(descriptor)
        try:
            return from_text(text)
        except InvalidParameterError as error:
            raise KeyMissingError(
                f"the key file {self.path} is damaged ({error}): restore it from your backup"
            ) from error

    def _require_private(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise InvalidParameterError(f"the key file {self.path} is not a regular file")
        if status.st_uid not in (0, os.geteuid()):
            raise InvalidParameterError(
                f"the key file {self.path} belongs to another user (uid {status.st_uid}): run"
                f" 'chown {os.geteuid()} {self.path}'"
            )
        if status.st_mode & _OTHERS:
            mode = stat.S_IMODE(status.st_mode)
            raise InvalidParameterError(
                f"others may use the key file {self.path} (mode {mode:04o}): run"
                f" 'chmod 600 {self.path}'"
            )

    def _create(self) -> bool:
        key = LocalKey.generate()
        try:
            return self._write(key)
        finally:
            key.close()

    def _write(self, key: LocalKey) -> bool:
        """Write the file whole or not at all, durably; return False when it exists already."""
        folder = self.path.parent
        _make_folder(folder)
        draft = folder / f".{self.path.name}.{secrets.token_hex(8)}"
        try:
            _write_new(draft, key)
            # A link, and not a rename: it never replaces a key that somebody made meanwhile.
            os.link(draft, self.path)
        except FileExistsError:
            return False
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(folder)
        return True


def _write_new(path: Path, key: LocalKey) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        with to_text(key) as text:
            lines: list[bytes | memoryview] = [text.reveal(), b"\n"]
            if os.writev(descriptor, lines) != sum(map(len, lines)):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    # Without it a power cut may take the file's name, and with it every secret written since.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
