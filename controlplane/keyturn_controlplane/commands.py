"""Long commands, with somebody watching."""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from keyturn_controlplane.errors import BuildFailedError, ControlPlaneError
from keyturn_controlplane.progress import Reporter

_TICK_SECONDS = 1.0
_SHOWN_LINES = 20


def run_step(
    reporter: Reporter,
    title: str,
    argv: Sequence[str],
    environ: Mapping[str, str],
    folder: Path,
    *,
    failure: type[ControlPlaneError] = BuildFailedError,
) -> None:
    """Run a command to its end and show that it runs; it is stopped if this process is.

    Raises:
        ControlPlaneError: The `failure`; the message ends with the last of what it said.
    """
    with tempfile.TemporaryFile() as output, reporter.step(title) as tick:
        process = subprocess.Popen(
            argv, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while _runs(process):
                tick()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if process.returncode != 0:
            output.seek(0)
            lines = output.read().decode(errors="replace").splitlines()[-_SHOWN_LINES:]
            said = "\n".join(f"  {line}" for line in lines)
            raise failure(f"{title} failed with {process.returncode}:\n{said}")


def _runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_TICK_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False
