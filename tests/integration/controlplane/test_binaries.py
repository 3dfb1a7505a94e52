"""Where kubectl alone comes from, for a cluster that runs already."""

from pathlib import Path

from keyturn_controlplane.binaries import ASSETS, NAMES, find_kubectl


def test_kubectl_on_path_is_taken_first(tmp_path: Path) -> None:
    on_path, assets = folder_of(tmp_path / "bin", "kubectl"), folder_of(tmp_path / "assets", *NAMES)

    found = find_kubectl({"PATH": str(on_path), ASSETS: str(assets)})

    assert found == on_path / "kubectl"


def test_without_one_on_path_it_is_that_of_the_assets(tmp_path: Path) -> None:
    assets = folder_of(tmp_path / "assets", *NAMES)

    found = find_kubectl({"PATH": "", ASSETS: str(assets)})

    assert found == assets / "kubectl"


def folder_of(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).touch(mode=0o755)
    return folder
