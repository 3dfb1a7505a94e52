"""The cluster that the demo plays on, wherever it comes from."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keyturn.cli.demo.errors import DemoError
from keyturn.cli.demo.kubectl import Kubectl
from keyturn_controlplane.crds import are_established

NAMESPACE = "keyturn-demo"
"""Where the examples are applied; made by the demo, and removed."""

_SERVED_SECONDS = 15
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Left:
    """What outlives the demo: the processes to end, and the commands to run after that."""

    processes: tuple[int, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster with the CRD, the rights and the namespace of the demo."""

    kubectl: Kubectl
    detach: Callable[[], Left]
    """Lets it, and what was made in it, outlive the demo."""
    watch_namespaces: tuple[str, ...] = ()
    """The namespaces that the operator watches; none: all."""


def install_crds(kubectl: Kubectl, root: Path) -> None:
    """Apply the CRDs of a checkout, and wait until their kinds are served.

    Raises:
        DemoError: they are not.
    """
    crds = root / "crds"
    kubectl.run("apply", "--server-side", "-f", str(crds))
    deadline = time.monotonic() + _SERVED_SECONDS
    while not are_established(kubectl.json("get", "-f", str(crds))):
        if time.monotonic() > deadline:
            raise DemoError(
                f"expected: the cluster serves the kinds of {crds} within {_SERVED_SECONDS} s\n"
                "saw: it does not"
            )
        time.sleep(_POLL_SECONDS)


def prepare(kubectl: Kubectl, root: Path) -> None:
    """Apply the roles and policies of a checkout, and make the namespace of the demo."""
    kubectl.run("apply", "--server-side", "-f", str(root / "rbac"))
    kubectl.run("create", "namespace", NAMESPACE)
