"""A generator of another package: the one of docs/generators.md, found by its entry point."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from documents import document
from generating import NOW
from keyturn import plugins
from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.managed_secret import Generate
from keyturn.generators.interface import Generator
from keyturn.kube.resources import parse
from keyturn.services.generating import Generating
from keyturn.testing.generators import GeneratorContract

GROUP = "keyturn.generators"
PAGE = document("docs/generators.md")
METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: 1.0\n"


def install(folder: Path, package: str, entry_points: str) -> None:
    """Lay down what an installer lays down for a package that has entry points."""
    installed = folder / f"{package}-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(METADATA.format(package))
    (installed / "entry_points.txt").write_text(entry_points)


@pytest.fixture
def generators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Mapping[str, Generator]]:
    """All generators, once the package of the page is installed."""
    source, *_ = PAGE.blocks("python")
    (declared,) = PAGE.blocks("toml")
    (tmp_path / "keyturn_dice.py").write_text(source)
    heading = f'[project.entry-points."{GROUP}"]'
    assert heading in declared
    entry_points = declared.replace(heading, f"[{GROUP}]").replace('"', "")
    install(tmp_path, "keyturn_dice", entry_points)
    monkeypatch.syspath_prepend(tmp_path)
    yield plugins.load(GROUP)
    monkeypatch.undo()


def rolled(name: str = "dice", **parameters: Any) -> dict[str, Any]:
    """Write the resource of the page, with other parameters or for another plugin."""
    (manifest,) = (m for m in PAGE.manifests() if m["metadata"]["name"] == "rolled")
    manifest["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    plugin = manifest["spec"]["data"][0]["generate"]["plugin"]
    plugin["name"] = name
    plugin["parameters"].update(parameters)
    return dict(manifest)


class TestGeneratorOfThePage(GeneratorContract):
    @pytest.fixture
    def generator(self, generators: Mapping[str, Generator]) -> Generator:
        return generators["dice"]

    @pytest.fixture
    def parameters(self) -> Mapping[str, Any]:
        return {"rolls": "50"}


def test_a_resource_names_it_and_gets_its_value(generators: Mapping[str, Generator]) -> None:
    generating = Generating(generators, None, lambda: NOW)

    resource = parse(rolled(), outputs_of=generating.outputs_of)

    (entry,) = resource.spec.data
    assert entry.source == Generate("dice", {"rolls": "50"})
    made = asyncio.run(generating.generate(resource.name, entry, entry.source, {}))
    assert len(made["rolls"]) == 50
    assert set(bytes(made["rolls"].reveal())) <= set(b"123456")


def test_what_it_refuses_is_said_with_the_place_where_it_stands(
    generators: Mapping[str, Generator],
) -> None:
    generating = Generating(generators, None, lambda: NOW)

    with pytest.raises(InvalidSpecError) as caught:
        parse(rolled(rolls="9"), outputs_of=generating.outputs_of)

    assert str(caught.value) == (
        'spec.data[rolls].generate.dice: rolls must be a number from 10 to 999; write rolls: "30"'
    )


def test_one_that_is_not_installed_is_named_with_those_that_are(
    generators: Mapping[str, Generator],
) -> None:
    generating = Generating(generators, None, lambda: NOW)

    with pytest.raises(InvalidSpecError, match=r"there is no generator 'coins'; there are: .*dice"):
        parse(rolled("coins"), outputs_of=generating.outputs_of)


def test_a_built_in_one_is_not_called_as_a_plugin(generators: Mapping[str, Generator]) -> None:
    generating = Generating(generators, None, lambda: NOW)

    with pytest.raises(InvalidSpecError, match=r"is built in; write password: \{\} without plugin"):
        parse(rolled("password"), outputs_of=generating.outputs_of)


def test_no_package_replaces_a_built_in_one(
    generators: Mapping[str, Generator], tmp_path: Path
) -> None:
    install(tmp_path, "intruder", f"[{GROUP}]\npassword = keyturn_dice:DiceGenerator\n")

    with pytest.raises(ValueError, match=r"two packages declare the .* plugin 'password'"):
        plugins.load(GROUP)
