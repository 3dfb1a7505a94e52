"""The demo from its start to its end, whatever that end is."""

import shutil
import signal
import tempfile
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import FrameType
from typing import NoReturn

import keyturn_controlplane
from keyturn.cli import exits
from keyturn.cli.demo.cluster import Cluster
from keyturn.cli.demo.drifting import show_drift
from keyturn.cli.demo.errors import DemoError
from keyturn.cli.demo.kind_cluster import kind_cluster
from keyturn.cli.demo.leaving import leave
from keyturn.cli.demo.operating import Operator
from keyturn.cli.demo.other_cluster import other_cluster
from keyturn.cli.demo.own_cluster import own_cluster
from keyturn.cli.demo.projecting import show_examples, show_input, show_secrets
from keyturn.cli.demo.recovering import show_recovery
from keyturn.cli.demo.rotating import show_rotation
from keyturn.cli.demo.screen import Screen, write_failure
from keyturn.cli.demo.searching import show_search
from keyturn.cli.demo.stage import Stage
from keyturn.cli.demo.versioning import show_versions
from keyturn_controlplane.errors import ControlPlaneError
from keyturn_controlplane.kind.engine import engine_for_demo
from keyturn_controlplane.processes import Processes

CHECKOUT = Path(keyturn_controlplane.__file__).parents[2]
"""Where crds/, rbac/ and examples/ are."""

STEPS = (
    show_examples,
    show_secrets,
    show_input,
    show_recovery,
    show_drift,
    show_versions,
    show_rotation,
    show_search,
)


def perform(kubeconfig: Path | None, *, keep: bool) -> int:
    """Show everything, remove everything unless it is to be kept, and return the exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit_by_signal)
    screen = Screen()
    try:
        with ExitStack() as removal:
            folder = Path(tempfile.mkdtemp(prefix="keyturn-demo-"))
            removal.callback(shutil.rmtree, folder, ignore_errors=True)
            # The operator's processes are the inner ones: they stop before the cluster does.
            with (
                _cluster(kubeconfig, folder, screen) as cluster,
                Processes(folder) as processes,
            ):
                operator = Operator(processes, folder, cluster.watch_namespaces)
                stage = Stage(screen, cluster.kubectl, operator, CHECKOUT / "examples")
                _play(stage)
                if keep:
                    leave(stage, cluster)
                    removal.pop_all()
                else:
                    screen.end()
    except (DemoError, ControlPlaneError) as error:
        write_failure(screen.title, str(error))
        return exits.UNEXPECTED
    return 0


def _cluster(
    kubeconfig: Path | None, folder: Path, screen: Screen
) -> AbstractContextManager[Cluster]:
    if kubeconfig is not None:
        return other_cluster(kubeconfig, CHECKOUT, folder, screen)
    engine = engine_for_demo()
    if engine is not None:
        return kind_cluster(engine, CHECKOUT, folder, screen)
    return own_cluster(CHECKOUT, folder, screen)


def _play(stage: Stage) -> None:
    try:
        _start_operator(stage)
        for show in STEPS:
            show(stage)
    except DemoError as error:  # That of a process that ended shows its log itself.
        tail = stage.operator.log_tail()
        raise DemoError(f"{error}\nthe last lines of the operator's log:\n{tail}") from error


def _start_operator(stage: Stage) -> None:
    stage.screen.step(
        "The operator", "keyturn run, a process of its own, with the rights of its ServiceAccount."
    )
    stage.operator.start(stage.kubectl)
    stage.until("the operator is ready", stage.operator.problem)


def _exit_by_signal(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(exits.SIGNALLED + number)
