"""The command line: `build` the binaries, or `run` a control plane until it is told to stop."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from keyturn_controlplane import kubeconfig
from keyturn_controlplane.binaries import find_or_build, find_or_build_node
from keyturn_controlplane.build import PACKAGES, Builder
from keyturn_controlplane.cluster import ControlPlane
from keyturn_controlplane.errors import ControlPlaneError
from keyturn_controlplane.node import check_the_user
from keyturn_controlplane.progress import Reporter

_CHECK_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say and return the exit code."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit_by_signal)
    try:
        if options.command == "build":
            _build(for_tests=options.for_tests)
        else:
            _run(options)
    except ControlPlaneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="keyturn_controlplane", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="find or build the binaries and print their folder")
    build.add_argument(
        "--for-tests", action="store_true", help="build what a node runs, helm and kind, too"
    )
    run = commands.add_parser("run", help="run a control plane until ^C or SIGTERM")
    run.add_argument("--kubeconfig", type=Path, help="write the admin's kubeconfig here meanwhile")
    run.add_argument("--keep-data", type=Path, metavar="DIR", help="keep the data in this folder")
    run.add_argument(
        "--with-node", action="store_true", help="run a node too, where pods run; it needs root"
    )
    return parser


def _build(*, for_tests: bool) -> None:
    folder = find_or_build().kube_apiserver.parent
    if for_tests:
        Builder.create(os.environ, Reporter()).build(tuple(PACKAGES))
    print(folder)


def _run(options: argparse.Namespace) -> None:
    if options.with_node:
        check_the_user(os.geteuid())  # Before minutes of a build.
    binaries = find_or_build()
    with_node = find_or_build_node() if options.with_node else None
    start = time.monotonic()
    with (
        ControlPlane(binaries, folder=options.keep_data, with_node=with_node) as control_plane,
        _published(control_plane.kubeconfig, options.kubeconfig) as path,
    ):
        print(f"Ready after {time.monotonic() - start:.1f} s; ^C stops it.")
        print(f"export KUBECONFIG={path}", flush=True)
        while True:
            control_plane.check()
            time.sleep(_CHECK_SECONDS)


@contextmanager
def _published(source: Path, target: Path | None) -> Iterator[Path]:
    """Copy a kubeconfig to where it was asked for, for as long as the cluster is there."""
    if target is None:
        yield source
        return
    kubeconfig.publish(source, target)
    try:
        yield target.absolute()
    finally:
        target.unlink(missing_ok=True)


def _exit_by_signal(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
