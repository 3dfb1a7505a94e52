"""An image that is written without any tool is one that a runtime reads, and always the same."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from keyturn_controlplane.errors import BinaryMissingError
from keyturn_controlplane.images import Image, find_busybox, pause_image


@pytest.fixture
def image(tmp_path: Path) -> Image:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    return Image(
        "localhost/app:1",
        {"/usr/bin/app": program},
        ["/usr/bin/app"],
        links={"/usr/bin/alias": "app"},
        folders=["/data"],
    )


def read(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]


def blob(files: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    data = files[f"blobs/{descriptor['digest'].replace(':', '/')}"]
    assert len(data) == descriptor["size"]
    assert descriptor["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    return data


def test_the_index_leads_to_the_files_by_digests_that_hold(image: Image, tmp_path: Path) -> None:
    files = read(image.write(tmp_path / "app.tar"))

    (entry,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(blob(files, entry))
    config = json.loads(blob(files, manifest["config"]))
    layer = gzip.decompress(blob(files, manifest["layers"][0]))

    assert entry["annotations"]["io.containerd.image.name"] == "localhost/app:1"
    assert config["config"]["Cmd"] == ["/usr/bin/app"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        entries = {entry.name: entry for entry in tar}
        assert set(entries) == {"data", "usr", "usr/bin", "usr/bin/app", "usr/bin/alias"}
        assert entries["usr/bin/app"].mode == 0o755
        assert entries["usr/bin/alias"].linkname == "app"


def test_the_same_files_make_the_same_archive(image: Image, tmp_path: Path) -> None:
    one, other = image.write(tmp_path / "one.tar"), image.write(tmp_path / "other.tar")

    assert one.read_bytes() == other.read_bytes()


def test_the_pause_of_a_pod_is_made_of_busybox(tmp_path: Path) -> None:
    (tmp_path / "busybox").touch(mode=0o755)

    image = pause_image("localhost/pause:1", {"PATH": str(tmp_path)})

    assert image.files == {"/bin/busybox": tmp_path / "busybox"}


def test_where_there_is_no_busybox_the_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(BinaryMissingError, match="apt-get install busybox-static"):
        find_busybox({"PATH": str(tmp_path)})
