"""Packages as an installer lays them down, and what the catalogue makes of them."""

import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from documents import ROOT
from keyturn.domain.errors import InvalidParameterError, InvalidSpecError
from keyturn.domain.rotator import BUILT_IN_TYPES
from keyturn.rotators.catalogue import GROUP, Catalogue

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Lay down a package with one module, one rotator and perhaps extras."""
    monkeypatch.syspath_prepend(tmp_path)

    def lay_down(package: str, rotator: str, source: str, *, extra: str = "") -> None:
        module = package.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        folder = tmp_path / f"{module}-1.0.dist-info"
        folder.mkdir()
        provided = f"Provides-Extra: {extra}\n" if extra else ""
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n{provided}"
        )
        (folder / "entry_points.txt").write_text(f"[{GROUP}]\n{rotator} = {module}:Mine\n")

    return lay_down


WORKING = "class Mine:\n    pass\n"


def test_a_rotator_is_found_by_its_name_and_made_once(install: Install) -> None:
    install("acme-rotator", "acme", WORKING)
    catalogue = Catalogue()

    found = catalogue.find("acme")

    assert type(found).__name__ == "Mine"
    assert catalogue.find("acme") is found


def test_only_the_one_that_is_asked_for_is_imported(install: Install) -> None:
    install("acme-rotator", "acme", WORKING)
    install("other-rotator", "other", "raise SystemExit('nobody asked for this one')\n")

    Catalogue().find("acme")

    assert "other_rotator" not in sys.modules


def test_an_unknown_one_is_refused_with_those_that_there_are(install: Install) -> None:
    install("acme-rotator", "acme", WORKING)

    with pytest.raises(InvalidSpecError, match=r"there is no rotator 'acne'; there are: .*acme"):
        Catalogue().find("acne")


def test_two_packages_may_not_claim_one_name(install: Install) -> None:
    install("acme-rotator", "acme", WORKING)
    install("intruder", "acme", WORKING)

    with pytest.raises(InvalidSpecError) as refused:
        Catalogue().find("acme")

    assert refused.value.message == (
        "the rotator 'acme' is declared by acme-rotator and intruder; uninstall all but one"
    )


def test_a_missing_extra_is_said_with_the_command_that_brings_it(install: Install) -> None:
    install("acme-rotators", "acme", "import acme_driver_of_nowhere\n", extra="acme")

    with pytest.raises(InvalidSpecError) as refused:
        Catalogue().find("acme")

    assert refused.value.message == (
        "the rotator 'acme' needs the package extra: pip install acme-rotators[acme]"
    )


def test_a_missing_module_without_an_extra_is_named(install: Install) -> None:
    install("acme-rotators", "acme", "import acme_driver_of_nowhere\n")

    with pytest.raises(InvalidSpecError, match="needs the module 'acme_driver_of_nowhere'"):
        Catalogue().find("acme")


def test_one_that_cannot_be_loaded_is_no_crash(install: Install) -> None:
    install("acme-rotators", "acme", "raise RuntimeError('x')\n")

    with pytest.raises(InvalidSpecError, match=r"cannot be loaded \(RuntimeError\)"):
        Catalogue().find("acme")


@pytest.mark.parametrize("name", BUILT_IN_TYPES)
def test_every_type_of_the_resource_is_declared_and_can_be_loaded(name: str) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]

    rotator = EntryPoint(name, declared[GROUP][name], GROUP).load()()

    with pytest.raises(InvalidParameterError, match="unheardOf"):
        rotator.check({"unheardOf": 1})


def test_no_type_is_declared_that_the_resource_does_not_have() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]

    assert sorted(declared[GROUP]) == sorted(BUILT_IN_TYPES)
