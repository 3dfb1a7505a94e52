"""Go is the one on PATH if it is new enough, else the one that PyPI brings."""

import os
from pathlib import Path

import pytest

from keyturn_controlplane.errors import BuildFailedError
from keyturn_controlplane.golang import find_go


def path_with_go(folder: Path, script: str) -> dict[str, str]:
    go = folder / "go"
    go.write_text(f"#!/bin/sh\n{script}\n")
    go.chmod(0o755)
    return {"PATH": f"{folder}:{os.defpath}"}


def test_a_go_that_is_new_enough_is_taken(tmp_path: Path) -> None:
    environ = path_with_go(tmp_path, "echo go1.30.1")

    go = find_go(tmp_path, "1.26.0", environ)

    assert (go.binary, go.version, go.installed) == (tmp_path / "go", "go1.30.1", True)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("echo go1.9", id="too old"),
        pytest.param("exit 1", id="broken"),
        pytest.param("true", id="says nothing"),
    ],
)
def test_a_go_that_cannot_build_is_passed_over_for_the_pinned_one(
    tmp_path: Path, script: str
) -> None:
    environ = path_with_go(tmp_path, script)

    go = find_go(tmp_path / "cache", "1.26.0", environ)

    assert not go.installed
    assert go.binary.is_relative_to(tmp_path / "cache" / f"go-{go.version.removeprefix('go')}")


def test_without_any_go_the_pinned_one_is_named(tmp_path: Path) -> None:
    go = find_go(tmp_path, "1.26.0", {"PATH": str(tmp_path)})

    assert not go.installed


def test_a_pin_that_is_older_than_go_mod_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuildFailedError, match=r"go\.lock pins Go .*, but go\.mod asks for 9\.9"):
        find_go(tmp_path, "9.9", {"PATH": str(tmp_path)})
