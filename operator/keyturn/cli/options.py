"""The options that commands share, and the names of secrets as people type them."""

import re
from typing import Annotated

import typer

from keyturn.api.routes import LIST, Asked
from keyturn.cli.client import ask_operator
from keyturn.cli.output import Output
from keyturn.domain.errors import InvalidParameterError, KeyturnError
from keyturn.domain.secret import SecretName
from keyturn.settings import Settings

DEFAULT_NAMESPACE = "default"
MAX_NAME = 253

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def name_of(namespace: str, name: str) -> SecretName:
    """Make the name of a secret of what was typed.

    Raises:
        InvalidParameterError: no ManagedSecret can have that name. What was typed is not
            repeated: it may be a value in the wrong place.
    """
    for what, given in (("NAME", name), ("--namespace", namespace)):
        if len(given) > MAX_NAME or not _NAME.fullmatch(given):
            raise InvalidParameterError(
                f"{what} is no name of Kubernetes: write a-z, 0-9, '-' and '.', for example"
                " keyturn get orders-db -n shop"
            )
    return SecretName(namespace, name)


def complete_names(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a secret; a shell that waits is told of no error."""
    namespace = context.params.get("namespace") or DEFAULT_NAMESPACE
    try:
        found = ask_operator(Settings.load(), LIST, Asked(namespace=str(namespace)))
    except KeyturnError:
        return []
    names = [item["name"] for item in found["items"]] if found else []
    return [name for name in names if name.startswith(incomplete)]


Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="The name of the ManagedSecret.", autocompletion=complete_names
    ),
]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Its namespace.")]
Force = Annotated[
    bool,
    typer.Option("--force", help="Also where pods or Secrets keep the credential that it ends."),
]
Form = Annotated[Output, typer.Option("--output", "-o", help="The form of the output.")]
