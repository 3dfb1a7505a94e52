"""The commands that change something: put, rollback, restore, purge, key export."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from keyturn.api import routes, schemas
from keyturn.api.routes import Asked
from keyturn.cli import account, client, output, rotating, values
from keyturn.cli.exits import print_note
from keyturn.cli.options import DEFAULT_NAMESPACE, Force, Name, Namespace, name_of
from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import Payload, SecretValue
from keyturn.settings import Settings

Json = dict[str, Any]


EXTRA_ARGUMENTS = {"allow_extra_args": True}
"""For `put`: it refuses them itself, with the reason, and does not show them."""


def put(
    context: typer.Context,
    name: Name,
    namespace: Namespace = DEFAULT_NAMESPACE,
    *,
    key: Annotated[str | None, typer.Option(help="The key whose value is given.")] = None,
    from_file: Annotated[
        Path | None, typer.Option(help="Read the value from a file, byte by byte; - is stdin.")
    ] = None,
    from_json: Annotated[
        Path | None,
        typer.Option(help="Read the values of several keys from a JSON object; - is stdin."),
    ] = None,
) -> None:
    """Give values to keys; they make one new version.

    A value is read from --from-file, else from stdin, else it is asked for; it is never an
    argument.
    """
    if context.args:
        raise InvalidParameterError(values.ON_THE_COMMAND_LINE)
    asked = name_of(namespace, name)
    settings = Settings.load()
    with Payload(_given(key, from_file, from_json)) as given:
        body = schemas.encode(schemas.put_request(given))
    document = client.call(settings, routes.PUT, Asked(asked, body=body))
    if not rotating.wait_for_change(settings, asked, document):
        _tell_current(document)
    if document["awaiting"]:
        print_note(f"it waits for a value of {', '.join(document['awaiting'])}")


def rollback(
    name: Name,
    namespace: Namespace = DEFAULT_NAMESPACE,
    *,
    to: Annotated[int, typer.Option(min=1, help="The version that becomes Current.")],
    force: Force = False,
) -> None:
    """Make an older version Current again; the present one becomes Previous.

    With a rotator its values become a new version, which is set and tested in the target first.
    """
    asked, settings = name_of(namespace, name), Settings.load()
    body = schemas.encode(schemas.rollback_request(to, account.by("keyturn rollback"), force=force))
    document = client.call(settings, routes.ROLLBACK, Asked(asked, body=body))
    if not rotating.wait_for_change(settings, asked, document):
        _tell_current(document)


def restore(name: Name, namespace: Namespace = DEFAULT_NAMESPACE) -> None:
    """Make a deleted ManagedSecret again, with all its versions."""
    document = client.call(Settings.load(), routes.RESTORE, Asked(name_of(namespace, name)))
    output.write_line(f"{document['namespace']}/{document['name']} is restored")


def purge(
    *,
    confirm: Annotated[
        bool, typer.Option(help="Also when unusually many secrets are due at once.")
    ] = False,
) -> None:
    """Destroy the deleted secrets whose recovery window is over."""
    asked = Asked(body=schemas.encode({"confirm": confirm}))
    document = client.call(Settings.load(), routes.PURGE, asked)
    output.write_line(f"secrets purged: {document['purged']}")


def export_key() -> None:
    """Print the default key as one line, to be kept apart from the store."""
    document = client.call(Settings.load(), routes.KEY, Asked())
    sys.stdout.write(f"{document['key']}\n")
    print_note("whoever has this line and the store reads every secret; keep it off this machine")


def _given(key: str | None, file: Path | None, json: Path | None) -> dict[str, SecretValue]:
    if json is not None:
        if key is not None or file is not None:
            raise InvalidParameterError("--from-json stands alone: it names the keys itself")
        return values.read_values(json)
    if key is None:
        raise InvalidParameterError("which key? add --key, or --from-json for several")
    values.refuse_key(key)
    return {key: values.read_value(key, file)}


def _tell_current(document: Json) -> None:
    name = f"{document['namespace']}/{document['name']}"
    if document["currentVersion"] is None:
        output.write_line(f"{name}: kept until its first version can be set in the target")
        return
    output.write_line(f"{name}: version {document['currentVersion']} is Current")
