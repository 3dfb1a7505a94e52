"""An image as an archive of Docker: what it says of itself, and its files."""

import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_HOPS = 8


@dataclass(frozen=True, slots=True)
class ImageArchive:
    """The configuration of an image, and its files by their paths without a first slash."""

    config: Mapping[str, Any]
    files: Mapping[str, tarfile.TarInfo]
    _layers: Mapping[str, tarfile.TarFile]

    def read(self, path: str) -> bytes:
        """Return what a file holds; links are followed."""
        for _ in range(_HOPS):
            entry = self.files[path]
            if not entry.issym():
                break
            path = str((Path("/") / path).parent / entry.linkname).lstrip("/")
        file = self._layers[path].extractfile(self.files[path])
        assert file is not None, f"{path} is no file"
        return file.read()

    def programs(self) -> set[str]:
        """Return the paths of what stands where programs are looked for."""
        return {
            path
            for path, entry in self.files.items()
            if not entry.isdir() and Path(path).parent.name in ("bin", "sbin")
        }

    def executables(self) -> set[str]:
        """Return the paths of what the kernel would run, but for modules of Python and in C."""
        return {
            path
            for path, entry in self.files.items()
            if entry.isfile() and entry.mode & 0o111 and not _is_library(path)
        }


def _is_library(path: str) -> bool:
    return path.endswith(".py") or ".so" in Path(path).name


@contextmanager
def opened(archive: Path) -> Iterator[ImageArchive]:
    """Open an archive for the length of a `with`; the layers stay where they are."""
    with tarfile.open(archive) as outer:
        manifest = json.load(_file(outer, "manifest.json"))[0]
        config = json.load(_file(outer, manifest["Config"]))
        files: dict[str, tarfile.TarInfo] = {}
        layers: dict[str, tarfile.TarFile] = {}
        for name in manifest["Layers"]:
            layer = tarfile.open(fileobj=_file(outer, name))  # noqa: SIM115 - ends with the archive
            for entry in layer:
                path = entry.name.removeprefix("./").rstrip("/")
                files[path], layers[path] = entry, layer
        yield ImageArchive(config["config"], files, layers)


def _file(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    assert file is not None, f"{name} is no file"
    return file
