"""Makes the references of the resources from their CRDs: run `make docs`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PAGES: Mapping[Path, Path] = {
    ROOT / "crds" / f"{plural}.keyturn.dev.yaml": ROOT / "docs" / f"{page}.md"
    for plural, page in (
        ("managedsecrets", "resource"),
        ("rotators", "rotator"),
        ("clusterrotators", "clusterrotator"),
    )
}
"""For each CRD the page that is made of it."""

Schema = dict[str, Any]

NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_PART = r"([0-9]{1,9}(\.[0-9]{1,3})?%s)?"
FORMS = {
    NAME: "a [name](#forms)",
    r"^[-._a-zA-Z0-9]+$": "a [key](#forms)",
    f"^{''.join(_PART % unit for unit in 'dhms')}$": "a [duration](#forms)",
    r"^[^\x00-\x1f\x7f]*$": "a [line](#forms)",
    r"^[^\x00-\x1f\x7f]+$": "a [line](#forms)",
    r"^([0-9]{1,2}m)?([0-9]{1,5}(\.[0-9]{1,3})?s)?([0-9]{1,5}ms)?$": "a [duration](#forms)",
    r"^([a-zA-Z0-9]([-a-zA-Z0-9._]{0,251}[a-zA-Z0-9.])?|[0-9a-fA-F:.]{2,45})$": "a [host](#forms)",
    r"^[a-zA-Z0-9]([-a-zA-Z0-9._]{0,251}[a-zA-Z0-9.])?$": "a [host](#forms)",
    r"^([a-zA-Z0-9]([-a-zA-Z0-9.]{0,251}[a-zA-Z0-9.])?|[0-9a-fA-F:.]{2,45})$": "a [host](#forms)",
    r'^https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[!-"$-\[\]-~]*)?$': (
        "a [URL](#forms)"
    ),
}
"""The patterns that come often, in words; all others stand on the page as they are."""

HEAD = """\
# {kind}

Made from `crds/{plural}.keyturn.dev.yaml` by `make docs`; change it there. In a cluster,
`kubectl explain {singular}.spec` says the same. What the words mean: [concepts](concepts.md).
"""

MEANINGS = {
    "name": "lower case letters, digits, `-` and `.`; begins and ends with a letter or digit",
    "key": "letters, digits, `-`, `_` and `.`",
    "duration": "numbers with the units `d`, `h`, `m`, `s`, in this order: `14d`, `1h30m`, `1.5h`",
    "line": "text without line ends and other control characters",
    "host": "one DNS name or IP address, without a port",
    "URL": "`https://host[:port]/path`, without a user and a fragment",
}
"""The forms, in the order that a page has them."""

FOOT = """\
What is left out stays out: the CRD has no `default:`, so GitOps tools see no difference.
"""


def page(crd: Schema) -> str:
    """Write the whole page."""
    spec = crd["spec"]
    version = spec["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    resource = {key: value for key, value in schema.items() if key != "properties"}
    head = HEAD.format(**spec["names"])
    parts = [head, _facts(spec, version), _prose(schema["description"]), *_refusals(resource)]
    for name in ("spec", "status"):
        if name in schema["properties"]:
            parts += _sections(name, schema["properties"][name])
    return "\n".join([*parts, *_forms("".join(parts)), FOOT])


def _forms(text: str) -> Iterator[str]:
    """Write the section of the forms that a page refers to."""
    used = [(name, told) for name, told in MEANINGS.items() if f"[{name}](#forms)" in text]
    yield "## Forms\n"
    yield _table(("form", "what it is"), used)


def anchor(heading: str) -> str:
    """Give the anchor that GitHub gives to a heading.

    >>> anchor("`spec.data[].generate`")
    'specdatagenerate'
    """
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _facts(spec: Schema, version: Schema) -> str:
    names = spec["names"]
    columns = [
        (f"{column['name']}{' (`-o wide`)' * bool(column.get('priority'))}", column["description"])
        for column in version["additionalPrinterColumns"]
    ]
    rows = [
        ("apiVersion", f"`{spec['group']}/{version['name']}`"),
        ("kind", f"`{names['kind']}`, {spec['scope'].lower()}"),
        (
            "for kubectl",
            f"`{names['plural']}`, `{names['singular']}`, `{names['shortNames'][0]}`; "
            f"in the category `{names['categories'][0]}`",
        ),
    ]
    selectors = [f"`{field['jsonPath'][1:]}`" for field in version.get("selectableFields", ())]
    if selectors:
        rows.append(("field selectors", ", ".join(selectors)))
    table = _table(("", ""), rows)
    return f"{table}\n{_table(('column of `kubectl get`', 'what it shows'), columns)}"


def _sections(path: str, schema: Schema) -> Iterator[str]:
    """Write the section of an object, and after it those of the objects in it."""
    yield f"## `{path}`\n\n{_prose(schema['description'])}"
    required = schema.get("required", ())
    rows = [
        (_link(path, name, field), _type(field, required=name in required), field["description"])
        for name, field in schema["properties"].items()
    ]
    yield _table(("field", "type", "what it says"), rows)
    yield from _refusals(schema)
    for name, field in schema["properties"].items():
        if "properties" in _inner(field):
            yield from _sections(_path(path, name, field), _inner(field))


def _link(path: str, name: str, field: Schema) -> str:
    if "properties" not in _inner(field):
        return f"`{name}`"
    return f"[`{name}`](#{anchor(_path(path, name, field))})"


def _path(path: str, name: str, field: Schema) -> str:
    return f"{path}.{name}{'[]' if field['type'] == 'array' else ''}"


def _inner(field: Schema) -> Schema:
    """Give what a list holds, or the field itself."""
    inner: Schema = field.get("items", field)
    return inner


def _type(field: Schema, *, required: bool) -> str:
    parts = ["**required**"] if required else []
    if field["type"] == "array":
        parts += [f"list of {field['items']['type']}", *_bounds(field, "Items", "items")]
        keys = field.get("x-kubernetes-list-map-keys")
        is_set = field["x-kubernetes-list-type"] == "set"
        parts += [f"unique by `{keys[0]}`"] if keys else ["no item twice"] * is_set
        parts += [f"each {part}" for part in _scalar(field["items"])]
    elif "additionalProperties" in field:
        values = field["additionalProperties"]
        parts += [f"map of {values['type']}", *_bounds(field, "Properties", "entries")]
        parts += [f"each {part}" for part in _scalar(values)]
    else:
        parts += [field["type"], *_scalar(field)]
    return ", ".join(parts)


def _scalar(schema: Schema) -> list[str]:
    parts = [schema["format"]] if schema.get("format") == "date-time" else []
    parts += _bounds(schema, "Length", "characters") + _bounds(schema, "imum", "")
    if "enum" in schema:
        parts.append(f"one of {', '.join(f'`{value}`' for value in schema['enum'])}")
    if "pattern" in schema:
        parts.append(FORMS.get(schema["pattern"]) or _code(schema["pattern"]))
    return parts


def _bounds(schema: Schema, what: str, unit: str) -> list[str]:
    low, high = schema.get(f"min{what}"), schema.get(f"max{what}")
    if high is None:
        text = "" if low is None else f"at least {low}"
    else:
        text = f"at most {high}" if low is None else f"{low} to {high}"
    return [f"{text} {unit}".rstrip()] if text else []


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _refusals(schema: Schema) -> Iterator[str]:
    """List the messages of the rules of an object, and of its fields that have no section."""
    messages = _messages(schema)
    for name, field in schema.get("properties", {}).items():
        inner = _inner(field)
        told = [] if inner is field and "properties" in field else _messages(field)
        if inner is not field and "properties" not in inner:
            told += _messages(inner)
        messages += [f"`{name}`: {message}" for message in told]
    if messages:
        yield "Refused by `kubectl apply`, with the message:\n"
        yield "".join(f"- {_prose(message)}" for message in messages)


def _messages(schema: Schema) -> list[str]:
    return [rule["message"] for rule in schema.get("x-kubernetes-validations", ())]


def _prose(text: str) -> str:
    return f"{text}\n"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def main() -> None:
    for crd, made in PAGES.items():
        made.write_text(page(yaml.safe_load(crd.read_text())))


if __name__ == "__main__":
    main()
