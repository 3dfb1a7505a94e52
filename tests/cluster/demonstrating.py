"""The demo as a process of its own, with folders of its own, and what it leaves behind."""

import atexit
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, cast

from keyturn_controlplane.binaries import ASSETS, Binaries

ROOT = Path(__file__).parents[2]

_CONTROL_CODE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class DemoProcess:
    """`keyturn demo`, as a terminal would start it: in a process group of its own."""

    def __init__(
        self,
        binaries: Binaries,
        folder: Path,
        *arguments: str,
        checkout: Path = ROOT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        # Not below `folder`, whose path is too long for a socket.
        self.folder = Path(tempfile.mkdtemp(prefix="demo-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = {
            "PATH": os.defpath,
            "HOME": str(folder),
            "TMPDIR": str(self.folder),
            "PYTHONPATH": f"{ROOT / 'operator'}:{checkout / 'controlplane'}",
            "KUBECONFIG": "/nonexistent/kubeconfig/of/the/user",
            ASSETS: str(binaries.kubectl.parent),
            **(environment or {}),
        }
        self.seen = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "keyturn", "demo", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def expect(self, text: str) -> None:
        """Read on until a line holds a text."""
        for line in cast("IO[str]", self._process.stdout):
            self.seen += line
            if text in line:
                return
        raise AssertionError(f"the demo ended without {text!r}:\n{self.seen}")

    def interrupt(self) -> None:
        """Press ^C: every process of the terminal's foreground gets it."""
        os.killpg(self._process.pid, signal.SIGINT)

    def finish(self) -> int:
        """Read to the end and return the exit code."""
        output = cast("IO[str]", self._process.stdout)
        self.seen += output.read()
        output.close()
        return self._process.wait()

    @property
    def control_codes(self) -> list[str]:
        return _CONTROL_CODE.findall(self.seen)

    def traces(self) -> list[str]:
        """What is left of it: processes that know its folder, and what lies in there."""
        mark = str(self.folder).encode()
        processes = [
            f"process {folder.name}"
            for folder in Path("/proc").glob("[0-9]*")
            if mark in _read(folder / "cmdline") + _read(folder / "environ")
        ]
        return processes + [str(path) for path in self.folder.iterdir()]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
