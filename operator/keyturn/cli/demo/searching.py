"""The step in which the plaintext is searched for where none may be."""

import base64
import json
import secrets
from collections.abc import Mapping

from keyturn.cli.demo.cluster import NAMESPACE
from keyturn.cli.demo.errors import StepFailedError
from keyturn.cli.demo.kubectl import Json
from keyturn.cli.demo.needles import Needles
from keyturn.cli.demo.stage import Stage

_RESOURCES = "managedsecrets.keyturn.dev,events.events.k8s.io"


def show_search(stage: Stage) -> None:
    """Search the store, the resources and the log for every value, and for a planted text."""
    stage.screen.step(
        "No plaintext", "The bytes of the store and of the resources hold none of the values."
    )
    planted = f"planted-{secrets.token_hex(8)}"
    _plant(stage, planted)
    values, control = _values(stage), Needles()
    control.add(planted.encode())
    if not len(values):
        raise StepFailedError("values to search for", "none")
    places = _places(stage)
    rows = [
        (where, len(data), values.found_in(data), control.found_in(data))
        for where, data in places.items()
    ]
    stage.screen.table(("SEARCHED", "BYTES", f"OF {len(values)} VALUES", "PLANTED NAME"), rows)
    for where, _, leaked, seen in rows:
        if leaked:
            raise StepFailedError(f"no value in {where}", f"{leaked} of {len(values)}")
        if not seen:
            raise StepFailedError(
                f"the planted name in {where}, so that the search is known to find", "nothing"
            )
    stage.run_kubectl("delete", "managedsecret", planted)
    stage.screen.well(
        "No value is there: plain, base64, hex, URL or JSON. What is no secret was found in each."
    )


def _plant(stage: Stage, name: str) -> None:
    """Make a ManagedSecret whose name, which is no secret, has to be found."""
    spec = {"data": [{"key": "note", "value": "its name is looked for"}]}
    document = {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "ManagedSecret",
        "metadata": {"name": name},
        "spec": spec,
    }
    stage.kubectl.run(
        *("apply", "--server-side", "-n", NAMESPACE, "-f", "-"), stdin=json.dumps(document)
    )
    stage.until(f"the ManagedSecret {name} is ready", lambda: stage.unready(name))


def _values(stage: Stage) -> Needles:
    """Gather every value of the Secrets but those that stand in a ManagedSecret openly."""
    resources = stage.kubectl.json("get", "managedsecrets", "-n", NAMESPACE)["items"]
    public = {value for resource in resources for value in _public(resource)}
    needles = Needles()
    for secret in stage.kubectl.json("get", "secrets", "-n", NAMESPACE)["items"]:
        for encoded in (secret.get("data") or {}).values():
            value = base64.b64decode(encoded)
            if value not in public:
                needles.add(value)
    return needles


def _public(resource: Json) -> list[bytes]:
    spec = resource["spec"]
    templates = (target.get("template", {}) for target in spec.get("targets", []))
    texts = [text for template in templates for text in template.get("data", {}).values()]
    return [text.encode() for text in (*(d.get("value", "") for d in spec["data"]), *texts)]


def _places(stage: Stage) -> Mapping[str, bytes]:
    files = sorted(p for p in stage.operator.data_dir.rglob("*") if p.is_file())
    listed = stage.kubectl.run(
        *("get", _RESOURCES, "-n", NAMESPACE, "--show-managed-fields", "-o", "json")
    )
    return {
        "the store's files": b"".join(file.read_bytes() for file in files),
        "ManagedSecrets, Events": listed.encode(),
    }
