"""The operator as a process of its own, under its ServiceAccount, and the CLI beside it."""

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import keyturn
from keyturn.cli.demo.errors import CommandFailedError
from keyturn.cli.demo.kubectl import Kubectl
from keyturn.settings import OPERATOR_NAMESPACE
from keyturn_controlplane.files import write_private
from keyturn_controlplane.processes import Processes

ACCOUNT = "keyturn"
TOKEN_HOURS = 720
"""A demo that is left running has so long; many clusters allow less, and shorten it."""

_NAME = "operator"
_PROBES = re.compile(r"the probes are answered on port (\d+)")


class Operator:
    """`keyturn run` with a store in a folder of the demo."""

    def __init__(self, processes: Processes, folder: Path, namespaces: Sequence[str]) -> None:
        self._processes = processes
        self._kubeconfig = folder / "kubeconfig"
        self.data_dir = folder / "data"
        self.socket = folder / "run" / "keyturn.sock"
        self.environment: Mapping[str, str] = {
            "PATH": os.defpath,
            "HOME": str(folder),
            "PYTHONPATH": str(Path(keyturn.__file__).parents[1]),
            "KEYTURN_DATA_DIR": str(self.data_dir),
            "KEYTURN_SOCKET": str(self.socket),
            "KEYTURN_KUBECONFIG": str(self._kubeconfig),
            "KEYTURN_WATCH_NAMESPACES": ",".join(namespaces),
            "KEYTURN_HEALTH_PORT": "0",
        }

    def start(self, kubectl: Kubectl) -> None:
        """Start it; it is ready when `problem` is empty."""
        _write_kubeconfig(kubectl, self._kubeconfig)
        self._processes.start(_NAME, [sys.executable, "-m", "keyturn", "run"], self.environment)

    def problem(self) -> str:
        """Say why it is not ready; nothing if it is."""
        found = _PROBES.search(self.log_file.read_text(errors="replace"))
        return _ask_probe(int(found[1])) if found else "it does not answer probes yet"

    def check(self) -> None:
        """Raise ProcessFailedError, with the last lines of its log, if it has ended."""
        self._processes.check(_NAME)

    def keyturn(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run a command of the CLI beside it and return what it printed.

        Raises:
            CommandFailedError: it ended with an error.
        """
        done = subprocess.run(  # noqa: S603 - this very program
            [sys.executable, "-m", "keyturn", *arguments],
            input=stdin,
            env=self.environment,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise CommandFailedError(f"keyturn {' '.join(arguments)}", done.stderr.decode())
        return done.stdout.decode()

    @property
    def log_file(self) -> Path:
        return self._processes.log_file(_NAME)

    def log_tail(self) -> str:
        return self._processes.log_tail(_NAME)

    def detach(self) -> int:
        """Let it outlive the demo; SIGTERM to the process with the id returned stops it."""
        return self._processes.detach()


def _write_kubeconfig(kubectl: Kubectl, path: Path) -> None:
    """Write a kubeconfig for the operator's ServiceAccount on the cluster of kubectl."""
    view = kubectl.json("config", "view", "--raw", "--minify", "--flatten")
    token = kubectl.run(
        *("create", "token", ACCOUNT, "-n", OPERATOR_NAMESPACE, f"--duration={TOKEN_HOURS}h")
    )
    document = {
        **{field: view[field] for field in ("apiVersion", "kind")},
        "clusters": [{**view["clusters"][0], "name": ACCOUNT}],
        "users": [{"name": ACCOUNT, "user": {"token": token.strip()}}],
        "contexts": [{"name": ACCOUNT, "context": {"cluster": ACCOUNT, "user": ACCOUNT}}],
        "current-context": ACCOUNT,
    }
    write_private(path, json.dumps(document))


def _ask_probe(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"its probe does not answer: {type(error).__name__}"
    finally:
        connection.close()
    return "" if answer.status == http.client.OK else said
