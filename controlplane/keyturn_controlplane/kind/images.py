"""The operator's image, built by a container engine from the checkout."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keyturn_controlplane.commands import run_step
from keyturn_controlplane.errors import KindError
from keyturn_controlplane.kind.engine import Engine
from keyturn_controlplane.progress import Reporter

REPOSITORY = "localhost/keyturn"
"""No registry is behind this name, whatever engine reads it."""

_LATEST = f"{REPOSITORY}:kind"
_TAG_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Image:
    """An image whose tag is made from its id: another content has another name."""

    repository: str
    tag: str

    @property
    def name(self) -> str:
        return f"{self.repository}:{self.tag}"


def build_image(
    engine: Engine, root: Path, environ: Mapping[str, str], reporter: Reporter
) -> Image:
    """Build image/Dockerfile and tag what came out; the engine's cache makes it quick again.

    Raises:
        KindError: It could not be built; the message ends with the last of what was said.
    """
    binary = str(engine.binary)
    version = f"VERSION={_version(root)}"
    build = [binary, "build", "--file", "image/Dockerfile", "--build-arg", version]
    build += ["--tag", _LATEST, "."]
    run_step(reporter, "Building the image", build, environ, root, failure=KindError)
    identity = _said([binary, "image", "inspect", "--format", "{{.Id}}", _LATEST], environ)
    image = Image(REPOSITORY, identity.strip().removeprefix("sha256:")[:_TAG_LENGTH])
    _said([binary, "tag", _LATEST, image.name], environ)
    return image


def save_image(engine: Engine, image: Image, archive: Path, environ: Mapping[str, str]) -> None:
    """Write an image into a file that kind can load, whichever engine made it."""
    _said([str(engine.binary), "save", "--output", str(archive), image.name], environ)


def _version(root: Path) -> str:
    """Read the version of Keyturn in a checkout: the launcher does not import it."""
    text = (root / "operator" / "keyturn" / "__init__.py").read_text()
    return text.partition('__version__ = "')[2].partition('"')[0]


def _said(command: list[str], environ: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        told = " ".join(command[1:])
        raise KindError(f"{Path(command[0]).name} {told} failed:\n{done.stderr.strip()}")
    return done.stdout
