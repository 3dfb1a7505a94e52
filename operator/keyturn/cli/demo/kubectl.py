"""kubectl, as the demo runs it: always with a kubeconfig that was named."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyturn.cli.demo.errors import CommandFailedError
from keyturn.cli.demo.watching import Watch

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Runs kubectl on one cluster.

    Without an `environment` it has that of the demo, as the logins of clouds ask for.
    """

    binary: Path
    kubeconfig: Path
    folder: Path
    environment: Mapping[str, str] | None = None

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Run it and return what it printed.

        Raises:
            CommandFailedError: it ended with an error.
        """
        done = subprocess.run(  # noqa: S603 - the kubectl that was found or built
            self._command(*arguments),
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CommandFailedError(f"kubectl {' '.join(arguments)}", done.stderr)
        return done.stdout

    def json(self, *arguments: str) -> Json:
        """Run it and read the JSON that it printed."""
        document: Json = json.loads(self.run(*arguments, "-o", "json"))
        return document

    def watch(self, *arguments: str) -> Watch:
        """Run `kubectl get --watch` and read its lines."""
        return Watch(self._command("get", *arguments, "--watch"), self.environment)

    def _command(self, *arguments: str) -> list[str]:
        cache = self.folder / "kubectl-cache"
        return [
            str(self.binary),
            f"--kubeconfig={self.kubeconfig}",
            f"--cache-dir={cache}",
            *arguments,
        ]
