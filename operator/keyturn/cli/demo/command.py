"""The command `keyturn demo`."""

from importlib.util import find_spec
from typing import Annotated

import typer

from keyturn.domain.errors import NotFoundError
from keyturn.settings import Settings


def demo(
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running, and say how to stop it.")
    ] = False,
) -> None:
    """Show what Keyturn does, on a cluster that it makes and removes.

    That is one of kind where a container engine answers, else a control plane that it builds. With
    KEYTURN_KUBECONFIG it uses that cluster, and removes what it made there.
    """
    if find_spec("keyturn_controlplane") is None:
        raise NotFoundError(
            "the demo needs the control plane and the examples of a checkout of Keyturn; run"
            " make demo there"
        )
    # Only here: it needs the control plane, which an installation does not have.
    from keyturn.cli.demo.performance import perform  # noqa: PLC0415

    raise typer.Exit(perform(Settings.load().kubeconfig, keep=keep))
