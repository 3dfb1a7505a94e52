"""The cluster that the demo plays on, wherever it comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keyturn.cli.demo.kubectl import Kubectl

NAMESPACE = "keyturn-demo"
"""Where the examples are applied; made by the demo, and removed."""


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


def prepare(kubectl: Kubectl, root: Path) -> None:
    """Apply the roles and policies of a checkout, and make the namespace of the demo."""
    kubectl.run("apply", "--server-side", "-f", str(root / "rbac"))
    kubectl.run("create", "namespace", NAMESPACE)
