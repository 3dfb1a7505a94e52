"""Makes the chart's copies, schema and page, and the manifest for kubectl: run `make chart`.

The one source of the CRDs is crds/, of rights and policies rbac/, and of values, their types and
what they mean charts/keyturn/values.yaml.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from keyturn_controlplane.build import Builder
from keyturn_controlplane.progress import Reporter

ROOT: Final = Path(__file__).parents[1]
CHART: Final = ROOT / "charts" / "keyturn"
COPIES: Final = CHART / "files"
MANIFEST: Final = ROOT / "deploy" / "keyturn.yaml"

_ANNOTATION: Final = "@schema "
_TYPES: Final = {bool: "boolean", int: "integer", str: "string", dict: "object", list: "array"}

MANIFEST_HEAD = """\
# Keyturn by kubectl alone: what the chart makes with its values as they are, in keyturn-system.
# Made from charts/keyturn by `make chart`; change it there, or by an overlay of kustomize.
"""

TABLE: Final = re.compile(r"(?<=<!-- values -->\n).*?(?=<!-- end -->\n)", re.DOTALL)
"""Where the table stands in the chart's page; the rest of the page is written by hand."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the chart, or a group of values."""

    path: str
    default: Any
    text: str
    schema: Mapping[str, Any]
    group: tuple["Value", ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


class UndescribedValueError(Exception):
    """A value has no comment, or one whose type nobody can tell."""


def values() -> tuple[Value, ...]:
    """Read the values with the comments that stand above them.

    Raises:
        UndescribedValueError: one says nothing of itself.
    """
    text = (CHART / "values.yaml").read_text()
    node = yaml.compose(text)
    return tuple(_values(node, yaml.safe_load(text), text.splitlines(), ""))


def _values(node: Any, defaults: Any, lines: list[str], prefix: str) -> Iterator[Value]:
    for key, inner in node.value:
        path, default = f"{prefix}{key.value}", defaults[key.value]
        text, schema = _comment(lines, key.start_mark.line)
        if text:
            yield Value(path, default, text, {**_type(path, default, schema), **schema})
        elif isinstance(default, dict) and default:
            yield Value(path, default, "", {}, tuple(_values(inner, default, lines, f"{path}.")))
        else:
            raise UndescribedValueError(f"values.yaml: write a comment above {path}")


def _comment(lines: list[str], line: int) -> tuple[str, dict[str, Any]]:
    """Give the text above a line, and the schema that stands in it."""
    text: list[str] = []
    schema: dict[str, Any] = {}
    while line > 0 and lines[line - 1].lstrip().startswith("# "):
        line -= 1
        said = lines[line].lstrip()[2:]
        if said.startswith(_ANNOTATION):
            schema = yaml.safe_load(said.removeprefix(_ANNOTATION))
        else:
            text.insert(0, said)
    return " ".join(text), schema


def _type(path: str, default: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    if "type" in schema or "enum" in schema:
        return {}
    if type(default) not in _TYPES or (default == [] and "items" not in schema):
        raise UndescribedValueError(f"values.yaml: write an @schema with the type of {path}")
    return {"type": _TYPES[type(default)]}


def schema() -> str:
    """Write values.schema.json: no other values, and of each its type and bounds."""
    properties = {value.name: _schema(value) for value in values()}
    # Of a parent chart; Helm hands it to each.
    properties["global"] = {"type": "object", "description": "Values of a parent chart; not used."}
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of the chart keyturn",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    return f"{json.dumps(made, indent=2, ensure_ascii=False)}\n"


def _schema(value: Value) -> dict[str, Any]:
    if not value.group:
        return {"description": value.text, **value.schema}
    properties = {inner.name: _schema(inner) for inner in value.group}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def page() -> str:
    """Write the chart's README.md: the page as it is, with the table of the values as they are."""
    rows = [
        f"| `{value.path}` | `{json.dumps(value.default)}` | {_cell(value)} |\n"
        for value in _leaves(values())
    ]
    table = "".join(["| value | default | what it says |\n| --- | --- | --- |\n", *rows])
    return TABLE.sub(lambda _: table, (CHART / "README.md").read_text())


def _cell(value: Value) -> str:
    allowed = [f"`{one}`" for one in value.schema.get("enum", ()) if one]
    bounds = [
        f"{word} {value.schema[key]}"
        for key, word in (("minimum", "at least"), ("maximum", "at most"))
        if key in value.schema
    ]
    told = [f"One of {', '.join(allowed)}."] if allowed else []
    told += [f"{', '.join(bounds).capitalize()}."] if bounds else []
    return " ".join([value.text, *told]).replace("|", r"\|")


def _leaves(among: tuple[Value, ...]) -> Iterator[Value]:
    for value in among:
        yield from _leaves(value.group) if value.group else (value,)


def helm() -> Path:
    """Give the helm of the Go module; it is built if it is missing."""
    builder = Builder.create(os.environ, Reporter())  # noqa: TID251 - where the cache is
    return builder.build(["helm"]) / "helm"


def manifest() -> str:
    """Write the objects of the chart as kubectl applies them, without what only Helm reads."""
    release = ["keyturn", str(CHART), "--namespace=keyturn-system", "--no-hooks"]
    with tempfile.TemporaryDirectory() as home:
        rendered = subprocess.run(  # noqa: S603 - a binary that we built
            [helm(), "template", *release, "--set=namespace.create=true"],
            env={"PATH": os.defpath, "HOME": home},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    objects = [_without_helm(each) for each in yaml.safe_load_all(rendered.stdout) if each]
    body = yaml.safe_dump_all(objects, sort_keys=False, width=110, allow_unicode=True)
    return f"{MANIFEST_HEAD}---\n{body}"


def _without_helm(body: dict[str, Any]) -> dict[str, Any]:
    for metadata in (body["metadata"], body.get("spec", {}).get("template", {}).get("metadata")):
        for kind in ("labels", "annotations"):
            found = (metadata or {}).get(kind, {})
            for name in [name for name in found if _is_of_helm(name)]:
                del found[name]
            if metadata and not found:
                metadata.pop(kind, None)
    return body


def _is_of_helm(name: str) -> bool:
    return name.startswith("helm.sh/") or name == "app.kubernetes.io/managed-by"


def copies() -> dict[Path, str]:
    """Give the files of crds/ and rbac/ as the chart holds them."""
    sources = [path for name in ("crds", "rbac") for path in (ROOT / name).rglob("*.yaml")]
    return {COPIES / path.relative_to(ROOT): path.read_text() for path in sorted(sources)}


def made() -> dict[Path, str]:
    """Give each file that is made but the manifest, which is made of these, and its text."""
    return {**copies(), CHART / "values.schema.json": schema(), CHART / "README.md": page()}


def main() -> None:
    files = made()
    for path in set(COPIES.rglob("*.yaml")) - files.keys():
        path.unlink()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    MANIFEST.write_text(manifest())


if __name__ == "__main__":
    main()
