"""Clusters of kind: made, found, filled with an image, and taken away."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from keyturn_controlplane.build import Builder
from keyturn_controlplane.commands import run_step
from keyturn_controlplane.errors import KindError
from keyturn_controlplane.files import write_private
from keyturn_controlplane.kind.engine import PROVIDER, Engine
from keyturn_controlplane.progress import Reporter

KIND = "kind"
_READY_WAIT = "5m"


@dataclass(frozen=True, slots=True)
class Kind:
    """kind with one engine; each cluster has a kubeconfig of its own, the user's is not changed."""

    binary: Path
    engine: Engine
    config: Path
    environ: Mapping[str, str]
    reporter: Reporter

    @classmethod
    def find(
        cls,
        engine: Engine,
        root: Path,
        reporter: Reporter,
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """Find kind on PATH, or build it once, for the clusters of a checkout.

        Raises:
            BuildFailedError: It could not be built.
        """
        on_path = shutil.which(KIND, path=environ.get("PATH", ""))
        built = Builder.create(environ, reporter).build([KIND]) if on_path is None else None
        binary = built / KIND if built else Path(on_path or "")
        config = root / "kind-config.yaml"
        return cls(binary, engine, config, undisturbed(environ, engine), reporter)

    def names(self) -> list[str]:
        """List the clusters that there are, whoever made them."""
        return self._said("get", "clusters").split()

    def create(self, name: str, kubeconfig: Path) -> None:
        """Make a cluster, wait until its node is ready, and write a kubeconfig for it.

        Whatever stops this, ^C too, the half of a cluster that was made by then is removed.

        Raises:
            KindError: There is one of that name, or kind failed; the message ends with the last of
                what it said.
        """
        if name in self.names():  # It is somebody's, and not to be removed below.
            raise KindError(f"a cluster {name} of kind is there already")
        options = [f"--config={self.config}", f"--kubeconfig={kubeconfig}", f"--wait={_READY_WAIT}"]
        try:
            self._step(f"Making the cluster {name}", "create", "cluster", "--name", name, *options)
        except BaseException:
            self.delete(name, kubeconfig)
            raise

    def write_kubeconfig(self, name: str, kubeconfig: Path) -> None:
        """Write a kubeconfig for a cluster that is there.

        Raises:
            KindError: The cluster is not whole.
        """
        write_private(kubeconfig, self._said("get", "kubeconfig", "--name", name))

    def load(self, name: str, archive: Path) -> None:
        """Bring the images of an archive to the nodes of a cluster."""
        title = f"Loading the image into the cluster {name}"
        self._step(title, "load", "image-archive", str(archive), "--name", name)

    def delete(self, name: str, kubeconfig: Path) -> None:
        """Remove a cluster, if there is one of that name, to the end: ^C does not stop it."""
        command = self.deletion(name, kubeconfig)
        with (
            self.reporter.step(f"Removing the cluster {name}") as tick,
            subprocess.Popen(
                command,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            ) as process,
        ):
            while process.poll() is None:
                tick()
                _wait(process)

    def deletion(self, name: str, kubeconfig: Path) -> list[str]:
        """Return the command that removes a cluster."""
        options = ["--name", name, f"--kubeconfig={kubeconfig}"]
        return [str(self.binary), "delete", "cluster", *options]

    def _step(self, title: str, *arguments: str) -> None:
        command = [str(self.binary), *arguments]
        run_step(self.reporter, title, command, self.environ, self.config.parent, failure=KindError)

    def _said(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.binary), *arguments],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise KindError(f"kind {' '.join(arguments)} failed:\n{done.stderr.strip()}")
        return done.stdout


def undisturbed(environ: Mapping[str, str], engine: Engine) -> dict[str, str]:
    """Return an environment without what would lead kind, helm or kubectl to another cluster."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in ("KUBECONFIG", "KIND_CLUSTER_NAME") and not name.startswith("HELM_")
    }
    return {**kept, PROVIDER: engine.name}


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(1.0)
    except subprocess.TimeoutExpired:
        return
