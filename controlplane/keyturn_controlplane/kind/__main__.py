"""The command line of `make kind`."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from keyturn_controlplane.errors import ControlPlaneError
from keyturn_controlplane.kind.installing import install

ROOT = Path(__file__).parents[3]
"""The checkout."""


def main() -> int:
    """Install Keyturn in a cluster of kind and return the exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit_by_signal)
    try:
        for line in install(ROOT):
            print(line)
    except ControlPlaneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. Run make kind again to go on.", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def _exit_by_signal(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
