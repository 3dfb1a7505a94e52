"""A container engine that answers: it runs the nodes of kind, and builds images."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keyturn_controlplane.binaries import ASSETS
from keyturn_controlplane.errors import EngineMissingError

PROVIDER = "KIND_EXPERIMENTAL_PROVIDER"
"""The variable by which kind is told which engine to use, by people and by us."""

ANSWER_SECONDS = 5.0
"""How long an engine may take to say its version; one that is not there says so at once."""

# In the order in which kind looks. What each calls the version of what runs, not of its client.
_VERSIONS = {
    "docker": "{{.ServerVersion}}",
    "nerdctl": "{{.ServerVersion}}",
    "podman": "{{.Version.Version}}",
}


@dataclass(frozen=True, slots=True)
class Engine:
    """The client of a container engine that answered; `name` is what kind calls it."""

    name: str
    binary: Path


def find_engine(environ: Mapping[str, str] = os.environ) -> Engine | None:
    """Return the first engine that answers, or None; what kind was told to use is asked alone."""
    stated = environ.get(PROVIDER)
    for name in [stated] if stated else _VERSIONS:
        binary = shutil.which(name, path=environ.get("PATH", ""))
        if binary is not None and _answers(binary, name, environ):
            return Engine(name, Path(binary))
    return None


def require_engine(environ: Mapping[str, str] = os.environ) -> Engine:
    """Return the first engine that answers.

    Raises:
        EngineMissingError: None does; the message says which were asked, and what to do.
    """
    engine = find_engine(environ)
    if engine is not None:
        return engine
    path, stated = environ.get("PATH", ""), environ.get(PROVIDER)
    there = [name for name in _VERSIONS if shutil.which(name, path=path) is not None]
    if stated:
        saw = f"{PROVIDER} is {stated}, and {stated} info does not answer"
    elif there:
        saw = f"the client is here, but {there[0]} info does not answer: start the engine"
    else:
        saw = f"none of {', '.join(_VERSIONS)} is on PATH: install one of them"
    raise EngineMissingError(
        f"kind needs a container engine that runs; {saw}.\n"
        "Without one, make demo shows what Keyturn does, on a control plane that it builds."
    )


def engine_for_demo(environ: Mapping[str, str] = os.environ) -> Engine | None:
    """Return the engine that a demo runs kind in; None: it runs a control plane by itself.

    Whoever names binaries by KUBEBUILDER_ASSETS wants these.
    """
    return None if environ.get(ASSETS) else find_engine(environ)


def _answers(binary: str, name: str, environ: Mapping[str, str]) -> bool:
    # A client whose engine is away ends with an error, or with an empty version; it depends on
    # the release.
    command = [binary, "info", "--format", _VERSIONS.get(name, "{{.ServerVersion}}")]
    try:
        said = subprocess.run(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return bool(said.stdout.strip())
