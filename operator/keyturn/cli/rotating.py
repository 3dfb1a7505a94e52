"""The commands about rotation: rotate, rotations; and how a change waits for its rotation."""

import re
from typing import Annotated, Any
from uuid import uuid4

import typer

from keyturn.api import routes, schemas
from keyturn.api.routes import Asked
from keyturn.cli import account, client, exits, following, output
from keyturn.cli.options import (
    DEFAULT_NAMESPACE,
    Force,
    Form,
    Name,
    Namespace,
    complete_names,
    name_of,
)
from keyturn.cli.output import Output
from keyturn.cli.rotating_all import Plan, rotate_all
from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.secret import SecretName
from keyturn.settings import Settings

Json = dict[str, Any]

MAX_CONCURRENT = 4
MOST_CONCURRENT = 100

_CAMPAIGN = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
"""So that it needs no quotes in a shell."""


def rotate(  # noqa: PLR0913 - each is an option of the command
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="The name of the ManagedSecret; none with --all.",
            autocompletion=complete_names,
        ),
    ] = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    *,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Begin it, and do not wait for its end.")
    ] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Give up the rotation that is under way.")
    ] = False,
    force: Force = False,
    every: Annotated[
        bool, typer.Option("--all", help="Rotate all that are rotated and selected.")
    ] = False,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="With --all: those of every namespace.")
    ] = False,
    selector: Annotated[
        str, typer.Option("--selector", "-l", help="With --all: a label selector, as kubectl's.")
    ] = "",
    max_concurrent: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_CONCURRENT, help=f"With --all: so many at once; {MAX_CONCURRENT}."
        ),
    ] = None,
    campaign: Annotated[
        str, typer.Option(help="With --all: the name by which it is taken up again.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --all: show what would be rotated.")
    ] = False,
) -> None:
    """Give a secret new values now, in its target system too.

    It waits for the end; the rotation goes on by itself, whether it waits or not.
    """
    of_all = (all_namespaces, selector, max_concurrent, campaign, dry_run)
    if not every:
        if name is None or any(of_all):
            raise InvalidParameterError("write the NAME of a secret, or --all")
        if force and cancel:
            raise InvalidParameterError("--cancel ends no credential, and takes no --force")
        _rotate_one(name_of(namespace, name), no_wait=no_wait, cancel=cancel, force=force)
        return
    if name is not None or no_wait or cancel:
        raise InvalidParameterError("--all takes no NAME, no --no-wait and no --cancel")
    if campaign and not _CAMPAIGN.fullmatch(campaign):
        raise InvalidParameterError(
            "--campaign takes letters, digits, '-', '_' and '.', 63 at most"
        )
    chosen = None if all_namespaces else name_of(namespace, "any").namespace
    at_once = max_concurrent or MAX_CONCURRENT
    rotate_all(Plan(chosen, selector, at_once, campaign, dry_run=dry_run, force=force))


def rotations(
    name: Name, namespace: Namespace = DEFAULT_NAMESPACE, form: Form = Output.TABLE
) -> None:
    """List the rotations of a secret, the newest first."""
    asked = Asked(name_of(namespace, name))
    document = client.call(Settings.load(), routes.ROTATIONS, asked)
    if form is not Output.TABLE:
        output.write_document(document, form)
        return
    columns = ["VERSION", "CAUSE", "BY", "BEGAN", "LASTED", "OUTCOME", "FAILED TRIES", "CODE"]
    fields = ("version", "cause", "by", "beganTime", "duration")
    output.write_table(
        columns,
        (
            [*(item[field] for field in fields), _outcome(item), item["failures"], item["code"]]
            for item in document["items"]
        ),
    )


def wait_for_change(settings: Settings, name: SecretName, document: Json) -> bool:
    """Wait for the rotation by which a change is made, if it is; tell whether there was one."""
    begun = document["begun"]
    if begun is None:
        return False
    _end(name, _waited(settings, name, begun))
    return True


def under_way(rotation: Json) -> str:
    """Describe a rotation in a line."""
    asked = f", {rotation['by']}" if rotation["by"] else ""
    told = f"version {rotation['version']}, {_outcome(rotation)} ({rotation['cause']}{asked})"
    if rotation["outcome"] is None:
        told += f", since {rotation['beganTime']}"
        return f"{told}; {following.why_not(rotation)}" if rotation["failures"] else told
    told += f", {rotation['endedTime']}"
    return told if following.has_succeeded(rotation) else f"{told}; {following.why_not(rotation)}"


def _rotate_one(name: SecretName, *, no_wait: bool, cancel: bool, force: bool) -> None:
    settings = Settings.load()
    if cancel:
        _cancel(settings, name, no_wait=no_wait)
        return
    token = str(uuid4())
    by = account.by("keyturn rotate")
    body = schemas.encode(schemas.rotate_request(by, token, force=force))
    found = client.ask_running(settings, routes.ROTATE, Asked(name, body=body))
    rotation = following.with_token(found, token) or found["items"][0]
    if no_wait:
        output.write_line(f"{name}: the rotation to version {rotation['version']} has begun")
        return
    _end(name, _waited(settings, name, rotation))


def _cancel(settings: Settings, name: SecretName, *, no_wait: bool) -> None:
    body = schemas.encode(schemas.rotate_request(account.name()))
    found = client.ask_running(settings, routes.CANCEL, Asked(name, body=body))
    rotation = found["items"][0]
    if no_wait:
        output.write_line(f"{name}: the rotation to version {rotation['version']} is being undone")
        return
    ended, to = _waited(settings, name, rotation), f"the rotation to version {rotation['version']}"
    if ended["outcome"] is None:
        _not_rotated(f"{to} of {name} is not undone yet: {following.why_not(ended)}")
    if following.has_succeeded(ended):
        _not_rotated(f"{to} of {name} could not be undone any more: that version is Current")
    output.write_line(f"{name}: {to} is undone")


def _waited(settings: Settings, name: SecretName, rotation: Json) -> Json:
    try:
        return following.wait(settings, name, rotation)
    except KeyboardInterrupt:
        raise typer.Exit(exits.INTERRUPTED) from None


def _end(name: SecretName, rotation: Json) -> None:
    """Tell how a rotation ended, or that it did not yet."""
    if following.has_succeeded(rotation):
        output.write_line(f"{name}: version {rotation['version']} is Current")
        return
    told = f"the rotation of {name} to version {rotation['version']}: {following.why_not(rotation)}"
    if rotation["outcome"] is None:
        told += f"; {following.commands(name)}"
    _not_rotated(told)


def _not_rotated(message: str) -> None:
    exits.print_error(message)
    raise typer.Exit(exits.NOT_ROTATED)


def _outcome(rotation: Json) -> str:
    return str(rotation["outcome"] or f"at {rotation['step']}")
