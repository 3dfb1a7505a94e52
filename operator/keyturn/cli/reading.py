"""The commands that change nothing: list, describe, history, get, version."""

from typing import Annotated, Any

import typer

from keyturn import __version__
from keyturn.api import routes, schemas
from keyturn.api.routes import Asked
from keyturn.cli import client, exits, output, revealing
from keyturn.cli.options import DEFAULT_NAMESPACE, Form, Name, Namespace, name_of
from keyturn.cli.output import Output
from keyturn.cli.rotating import under_way
from keyturn.domain.errors import InvalidParameterError, KeyturnError, NotFoundError
from keyturn.domain.payload import Payload
from keyturn.domain.stage import Stage
from keyturn.settings import Settings

Json = dict[str, Any]


def list_(
    namespace: Namespace = DEFAULT_NAMESPACE,
    *,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Those of every namespace.")
    ] = False,
    form: Form = Output.TABLE,
) -> None:
    """List secrets, deleted ones that can still be restored included."""
    chosen = None if all_namespaces else name_of(namespace, "any").namespace
    document = client.call(Settings.load(), routes.LIST, Asked(namespace=chosen))
    if form is not Output.TABLE:
        output.write_document(document, form)
        return
    columns = ["NAMESPACE", "NAME", "VERSION", "VERSIONS", "STATE", "CREATED", "PURGED AFTER"]
    fields = (
        *("namespace", "name", "currentVersion", "versions"),
        *("state", "createdTime", "purgeTime"),
    )
    output.write_table(columns, ([item[field] for field in fields] for item in document["items"]))
    if not document["items"] and chosen is not None:
        exits.print_note(f"there is no secret in {chosen}; keyturn list -A shows all there are")


def describe(
    name: Name, namespace: Namespace = DEFAULT_NAMESPACE, form: Form = Output.TABLE
) -> None:
    """Tell all about a secret but its values."""
    asked = Asked(name_of(namespace, name))
    document = client.call(Settings.load(), routes.DESCRIBE, asked)
    if form is Output.TABLE:
        output.write_fields(_described(document))
    else:
        output.write_document(document, form)


def history(
    name: Name, namespace: Namespace = DEFAULT_NAMESPACE, form: Form = Output.TABLE
) -> None:
    """List the versions of a secret, the newest first."""
    asked = Asked(name_of(namespace, name))
    document = client.call(Settings.load(), routes.HISTORY, asked)
    if form is not Output.TABLE:
        output.write_document(document, form)
        return
    columns = ["VERSION", "STAGE", "CREATED", "REASON", "KEYS", "ENCRYPTED BY"]
    fields = ("version", "stage", "createdTime", "reason", "keys", "keyId")
    output.write_table(columns, ([item[field] for field in fields] for item in document["items"]))


def get(  # noqa: PLR0913 - each is an option of the command
    name: Name,
    namespace: Namespace = DEFAULT_NAMESPACE,
    *,
    version: Annotated[
        int | None, typer.Option(min=1, help="The number of a version; none: by stage.")
    ] = None,
    stage: Annotated[
        Stage | None, typer.Option(help="The stage of the version; none: Current.")
    ] = None,
    show: Annotated[bool, typer.Option("--reveal", help="Show the values.")] = False,
    key: Annotated[
        str | None,
        typer.Option(help="One key; with --reveal its value alone is printed, byte by byte."),
    ] = None,
    form: Annotated[
        Output | None, typer.Option("--output", "-o", help="The form of the output.")
    ] = None,
) -> None:
    """Show one version of a secret; its values only with --reveal."""
    if key is not None and not show:
        raise InvalidParameterError("--key prints a value: add --reveal")
    if version is not None and stage is not None:
        raise InvalidParameterError("a version is chosen by --version or --stage, not by both")
    body = schemas.get_request(version, stage or Stage.CURRENT, reveal_values=show)
    asked = Asked(name_of(namespace, name), body=schemas.encode(body))
    document = client.call(Settings.load(), routes.GET, asked)
    values = Payload(schemas.values_of(document) if show else {})
    with values:
        if key is not None:
            values = _only(values, key, document)
        if key is not None and form is None:
            revealing.write_raw(values[key])
            return
        _write_version(document, values if show else None, form or Output.TABLE)


def version(form: Form = Output.TABLE) -> None:
    """Tell the release of this command and of the operator that answers."""
    settings = Settings.load()
    try:
        answer, why_not = client.ask_operator(settings, routes.VERSION, Asked()), "none answers on"
    except KeyturnError as error:
        answer, why_not = None, f"{error.message};"
    operator = None if answer is None else answer["version"]
    if form is Output.TABLE:
        told = operator or f"{why_not} {settings.socket}"
        output.write_fields([("keyturn", __version__), ("operator", told)])
    else:
        output.write_document({"keyturn": __version__, "operator": operator}, form)


def _described(document: Json) -> list[tuple[str, object]]:
    targets = [
        f"{target['name']} (version {target['version']}"
        + ("" if target["owned"] else f", keys {', '.join(target['keys'])}")
        + ")"
        for target in document["targets"]
    ]
    fields = [
        ("Namespace", document["namespace"]),
        ("Name", document["name"]),
        ("Id", document["id"]),
        ("State", document["state"]),
        ("Created", document["createdTime"]),
        ("Current version", document["currentVersion"]),
        ("Previous version", document["previousVersion"]),
        ("Versions", document["versions"]),
        ("Keys", document["keys"]),
        ("Waits for", document["awaiting"]),
        ("Targets", targets),
        ("When deleted", f"{document['reclaimPolicy']} ({document['recoveryWindow']})"),
    ]
    if document["state"] == "Deleted":
        fields += [("Deleted", document["deletedTime"]), ("Purged after", document["purgeTime"])]
    fields += _rotation(document["rotation"])
    return fields + ([("Problem", document["problem"])] if document["problem"] else [])


def _rotation(document: Json | None) -> list[tuple[str, object]]:
    if document is None:
        return []
    how = f"{document['strategy']} by {document['rotator'] or 'its generators'}"
    newest = document["newest"]
    is_open = newest is not None and newest["outcome"] is None
    return [
        ("Rotation", f"{how}, suspended" if document["suspended"] else how),
        ("Next rotation", document["nextTime"]),
        (
            "Under way" if is_open else "Last rotation",
            under_way(newest) if newest is not None else None,
        ),
        *([("Previous stays", document["waiting"])] if document["waiting"] else []),
        *_standing_still(document["frozen"]),
    ]


def _standing_still(frozen: Json | None) -> list[tuple[str, object]]:
    if frozen is None:
        return []
    failed = f"{frozen['workload']} did not become healthy with version {frozen['version']}"
    return [("Stands still", f"{failed}; keyturn rotate goes on")]


def _only(values: Payload, key: str, document: Json) -> Payload:
    if key not in values:
        raise NotFoundError(
            f"version {document['version']} has no key {key!r}; it has {', '.join(values)}"
        )
    return Payload({key: values[key]})


def _write_version(document: Json, values: Payload | None, form: Output) -> None:
    if form is not Output.TABLE:
        shown = {field: told for field, told in document.items() if field != "values"}
        output.write_document(shown | (revealing.documents(values) if values else {}), form)
        return
    if values is not None:
        output.write_table(["KEY", "VALUE"], revealing.rows(values))
        return
    fields = (
        ("Namespace", "namespace"),
        ("Name", "name"),
        ("Version", "version"),
        ("Stage", "stage"),
        ("Created", "createdTime"),
        ("Reason", "reason"),
        ("Keys", "keys"),
        ("Encrypted by", "keyId"),
    )
    output.write_fields([(label, document[field]) for label, field in fields])
