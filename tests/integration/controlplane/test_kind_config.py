"""kind-config.yaml is what kind takes: by its types, by its rules, and with kubelets of today."""

import os
import subprocess
from pathlib import Path

import pytest

from engine_stand_in import StandIn
from go_programs import build_program
from keyturn_controlplane.build import MODULE, Builder
from keyturn_controlplane.progress import Reporter

CONFIG = MODULE.parent / "kind-config.yaml"

WRONG = {
    "a field that is none": ("networking:", "netwroking:"),
    "a field of a node that is none": ("- role:", "- rule:"),
    "a version that kind no longer reads": ("v1alpha4", "v1alpha3"),
    "a patch with a field that is none": ("syncFrequency", "syncFrequenzy"),
    "a patch for nobody": ("kind: KubeletConfiguration", "kind: KubeletConfig"),
}
every_wrong_config = pytest.mark.parametrize("replaced", WRONG.values(), ids=WRONG.keys())


@pytest.fixture(scope="module")
def program() -> Path:
    """A program that reads a configuration by the types of kind."""
    return build_program("kindconfig")


@pytest.fixture(scope="module")
def kind() -> Path:
    """The very kind, of the release in go.mod."""
    return Builder.create(os.environ, Reporter()).build(["kind"]) / "kind"


def read(program: Path, config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, config], capture_output=True, text=True, check=False, timeout=30
    )


def test_it_has_no_field_that_kind_does_not_know(program: Path) -> None:
    done = read(program, CONFIG)

    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


@every_wrong_config
def test_a_mistake_is_found(program: Path, tmp_path: Path, replaced: tuple[str, str]) -> None:
    assert replaced[0] in CONFIG.read_text()
    wrong = tmp_path / "kind-config.yaml"
    wrong.write_text(CONFIG.read_text().replace(*replaced))

    assert read(program, wrong).returncode == 1


def create(kind: Path, config: Path, tmp_path: Path) -> str:
    """Have kind make a cluster by an engine that ends it once all was read and checked."""
    stand_in = StandIn(tmp_path / "stand-in", "docker")
    stand_in.wish("docker network", error="as far as this")
    options = [f"--config={config}", f"--kubeconfig={tmp_path / 'none'}"]
    command = [str(kind), "create", "cluster", *options]
    environ = {"PATH": str(stand_in.bin), "HOME": str(tmp_path)}
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0
    return done.stderr


def test_kind_itself_takes_it_as_far_as_it_comes_without_an_engine(
    kind: Path, tmp_path: Path
) -> None:
    said = create(kind, CONFIG, tmp_path)

    assert 'Creating cluster "keyturn"' in said
    assert "as far as this" in said


def test_kind_itself_refuses_a_role_that_is_none(kind: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "kind-config.yaml"
    wrong.write_text(CONFIG.read_text().replace("role: control-plane", "role: control"))

    said = create(kind, wrong, tmp_path)

    assert "Creating cluster" not in said
    assert '"control" is not a valid node role' in said
