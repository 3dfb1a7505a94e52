"""The command that tells who uses a secret."""

from typing import Any

from keyturn.api import routes
from keyturn.api.routes import Asked
from keyturn.cli import client, exits, output
from keyturn.cli.options import DEFAULT_NAMESPACE, Form, Name, Namespace, name_of
from keyturn.cli.output import Output
from keyturn.settings import Settings

Json = dict[str, Any]

OLDER = "older"
"""Stands for a version of which nobody knows the number."""


def consumers(
    name: Name, namespace: Namespace = DEFAULT_NAMESPACE, form: Form = Output.TABLE
) -> None:
    """Tell who uses a secret, and which version each running pod started with."""
    asked = Asked(name_of(namespace, name))
    document = client.ask_running(Settings.load(), routes.CONSUMERS, asked)
    if form is not Output.TABLE:
        output.write_document(document, form)
        return
    columns = ["CONSUMER", "VIA", "PODS", "STARTED WITH", "UP TO DATE", "WAITING"]
    output.write_table(columns, (_row(item) for item in document["items"]))
    if not document["items"]:
        exits.print_note(f"nobody uses {', '.join(document['targets']) or 'it'}")


def _row(item: Json) -> list[object]:
    if not item["running"]:
        return [f"{item['kind']}/{item['name']}", item["via"], None, None, None, None]
    return [
        f"{item['kind']}/{item['name']}",
        item["via"],
        item["running"],
        _versions(item),
        item["upToDate"],
        item["waiting"],
    ]


def _versions(item: Json) -> list[object]:
    held = {each["startedWith"] for pod in item["pods"] for each in pod["secrets"]}
    known = sorted(held - {None})
    return [OLDER, *known] if None in held else known
