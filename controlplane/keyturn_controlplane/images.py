"""Images of one layer, written without any tool: an archive in the layout of the OCI."""

import gzip
import hashlib
import io
import json
import os
import platform
import shutil
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keyturn_controlplane.errors import BinaryMissingError

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_MEDIA = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its name, its files by their absolute paths, and what runs in it."""

    name: str
    files: Mapping[str, Path]
    command: Sequence[str]
    links: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[str] = ()

    def write(self, archive: Path) -> Path:
        """Write the image as an archive that containerd imports; the same one for the same files.

        Returns:
            The path, for the caller to hand on.
        """
        layer = self._layer()
        blobs = _Blobs()
        config = blobs.add_json(self._config(layer))
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "config": {"mediaType": f"{_MEDIA}.config.v1+json", **config},
            "layers": [
                {
                    "mediaType": f"{_MEDIA}.layer.v1.tar+gzip",
                    **blobs.add(gzip.compress(layer, compresslevel=1, mtime=0)),
                }
            ],
        }
        index = {
            "schemaVersion": 2,
            "manifests": [
                {
                    "mediaType": f"{_MEDIA}.manifest.v1+json",
                    **blobs.add_json(manifest),
                    "annotations": {"io.containerd.image.name": self.name},
                }
            ],
        }
        documents = {"oci-layout": {"imageLayoutVersion": "1.0.0"}, "index.json": index}
        texts = {name: json.dumps(document).encode() for name, document in documents.items()}
        archive.write_bytes(_tar(_file(name, data) for name, data in (texts | blobs.files).items()))
        return archive

    def _config(self, layer: bytes) -> dict[str, Any]:
        return {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Cmd": list(self.command), "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}"]},
        }

    def _layer(self) -> bytes:
        parents = {str(parent) for path in self.files for parent in Path(path).parents}
        folders = sorted((parents | set(self.folders)) - {"/"})
        return _tar(
            [
                *(_entry(path, tarfile.DIRTYPE, 0o755) for path in folders),
                *(_file(path, source.read_bytes(), 0o755) for path, source in self.files.items()),
                *(_link(path, target) for path, target in self.links.items()),
            ]
        )


class _Blobs:
    """The contents of an archive, by their digests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def add(self, data: bytes) -> dict[str, Any]:
        """Add a blob and return what refers to it."""
        self.files[f"blobs/sha256/{_digest(data)}"] = data
        return {"digest": f"sha256:{_digest(data)}", "size": len(data)}

    def add_json(self, document: Mapping[str, Any]) -> dict[str, Any]:
        return self.add(json.dumps(document).encode())


def pause_image(name: str, environ: Mapping[str, str] = os.environ) -> Image:
    """Return the image of the container that holds the namespaces of a pod: it sleeps.

    Raises:
        BinaryMissingError: There is no static busybox.
    """
    return Image(name, {"/bin/busybox": find_busybox(environ)}, ["/bin/busybox", "sleep", "inf"])


def find_busybox(environ: Mapping[str, str] = os.environ) -> Path:
    """Return Debian's static busybox.

    Raises:
        BinaryMissingError: It is not installed.
    """
    found = shutil.which("busybox", path=environ.get("PATH", os.defpath))
    if found is None:
        raise BinaryMissingError("a node needs busybox: apt-get install busybox-static")
    return Path(found)


_Entry = tuple[tarfile.TarInfo, bytes]


def _entry(path: str, kind: bytes, mode: int) -> _Entry:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.mode = kind, mode
    return entry, b""


def _file(path: str, data: bytes, mode: int = 0o644) -> _Entry:
    entry, _ = _entry(path, tarfile.REGTYPE, mode)
    entry.size = len(data)
    return entry, data


def _link(path: str, target: str) -> _Entry:
    entry, _ = _entry(path, tarfile.SYMTYPE, 0o777)
    entry.linkname = target
    return entry, b""


def _tar(entries: Iterable[_Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for entry, data in entries:
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
