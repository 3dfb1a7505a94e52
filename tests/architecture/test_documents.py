"""What the documents say of the code is so: they are read, and held against it."""

import importlib
import pkgutil
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

import keyturn
import make_reference
from documents import ROOT, Document, code, document, documents
from keyturn import plugins
from keyturn.cli.exits import EXIT_CODES, INTERRUPTED, NOT_ROTATED
from keyturn.cli.root import app
from keyturn.domain.duration import format_duration
from keyturn.domain.errors import KeyturnError
from keyturn.domain.rotation import Step
from keyturn.domain.version import VersionReason
from keyturn.kube.kubernetes_events import Notice, RestartEvent
from keyturn.kube.resources import parse
from keyturn.services.generating import Generating
from keyturn.services.rotation.reporting import ABANDONED, BLOCKED, ROLLED_BACK, ROTATED
from keyturn.services.rotation.run import REFUSALS, UNEXPECTED
from keyturn.services.status import SYNCED, reason_of
from keyturn.settings import Settings
from keyturn.store.disk import SETTINGS

CONDITIONS = document("docs/conditions.md")
OPERATING = document("docs/operating.md")

every_document = pytest.mark.parametrize("page", documents(), ids=str)


# The reference of the resource


every_crd = pytest.mark.parametrize("crd", make_reference.PAGES, ids=lambda path: path.stem)


@every_crd
def test_the_reference_is_what_make_docs_makes_of_the_crd(crd: Path) -> None:
    made = make_reference.page(yaml.safe_load(crd.read_text()))

    assert make_reference.PAGES[crd].read_text() == made, "run: make docs"


def test_every_crd_has_a_reference() -> None:
    assert set((ROOT / "crds").glob("*.yaml")) == make_reference.PAGES.keys()


def undescribed(path: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """Find the fields, and the objects in lists, that say nothing of themselves."""
    for name, field in schema.get("properties", {}).items():
        inner = field.get("items", {})
        if not field.get("description") or (inner.get("properties") and not inner["description"]):
            yield f"{path}.{name}"
        yield from undescribed(f"{path}.{name}", {**field, **inner})


@every_crd
def test_kubectl_explain_describes_every_field(crd: Path) -> None:
    version = yaml.safe_load(crd.read_text())["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]

    # Of metadata a CRD may state bounds and nothing else.
    assert list(undescribed("", schema)) == [".metadata", ".metadata.name"]


# Links


@every_document
def test_every_link_leads_somewhere(page: Document) -> None:
    assert [link for link in page.links() if is_dead(page, link)] == []


def is_dead(page: Document, link: str) -> bool:
    if re.match(r"[a-z]+://", link):
        return False
    file, _, anchor = link.partition("#")
    target = (page.path.parent / file).resolve() if file else page.path
    return not target.exists() or bool(anchor and anchor not in Document(target).anchors())


def test_every_page_is_in_the_index() -> None:
    index = document("docs/README.md")
    linked = {(index.path.parent / link).resolve() for link in index.links()}

    assert set((ROOT / "docs").glob("*.md")) - {index.path} <= linked


# Resources


def outputs_of(generator: str, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
    """Ask the generators that are built in; one of a plugin fills its key."""
    generators = plugins.load("keyturn.generators")
    if generator not in generators:
        return {generator: key}
    return Generating(generators, None, lambda: datetime.now(UTC)).outputs_of(
        generator, key, parameters
    )


@every_document
def test_every_managed_secret_is_one_that_the_operator_takes(page: Document) -> None:
    for manifest in page.manifests():
        if manifest["kind"] == "ManagedSecret":
            metadata = {"namespace": "shop", "uid": "u", **manifest["metadata"]}

            assert parse({**manifest, "metadata": metadata}, outputs_of=outputs_of).spec.data


# Commands

COMMAND_LINE = get_command(app)
TOLD_BY_HELP = ("-h", "--help")


def calls(text: str) -> Iterator[list[str]]:
    """Find the words of each call of keyturn in lines of a shell."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"\||&&|;", line.removeprefix("$ ")):
            found = re.match(r"\s*(?:kubectl )?keyturn( .*|$)", part)
            if found is not None:
                yield shlex.split(re.sub(r"[<>][^ ]*.*", "", found[1]), comments=True)


def told_calls(page: Document) -> Iterator[list[str]]:
    shells = page.blocks("console", "sh", "bash")
    for text in [*shells, *page.spans()]:
        yield from calls(text)


def unknown(words: list[str]) -> list[str]:
    """Name what the command line does not know of a call."""
    command: Any = COMMAND_LINE
    words = list(words)
    while words and not words[0].startswith("-") and hasattr(command, "commands"):
        found = command.commands.get(words[0])
        if found is None:
            return [words[0]]
        command = found
        del words[0]
    options = {option for parameter in command.params for option in parameter.opts}
    given = [word.partition("=")[0] for word in words if word.startswith("-") and word != "-"]
    return [option for option in given if option not in options and option not in TOLD_BY_HELP]


@every_document
def test_every_command_and_option_exists(page: Document) -> None:
    assert [(call, unknown(call)) for call in told_calls(page) if unknown(call)] == []


@pytest.mark.parametrize(
    "line",
    ["keyturn lost", "$ kubectl keyturn get db --lost", "echo x | keyturn put db --value x"],
    ids=["command", "option of a plugin call", "option behind a pipe"],
)
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    assert [unknown(call) for call in calls(line)] != [[]]


def names_of(group: Any, prefix: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from names_of(command, f"{name} ")
        else:
            yield prefix + name


def test_the_page_of_the_command_line_lists_every_command() -> None:
    told = {
        re.sub(r"\s*(NAME|--?\w|\[).*", "", code(row[0]))
        for row in document("docs/cli.md").rows("## Commands")
    }

    assert told == set(names_of(COMMAND_LINE))


def test_the_exit_codes_are_those_of_the_command_line() -> None:
    told = {int(row[0]) for row in document("docs/cli.md").rows("## Exit codes")}

    assert told == {0, INTERRUPTED, NOT_ROTATED, *EXIT_CODES.values()}


# Settings


def as_written(value: Any) -> str:
    """Write the value of a setting as a person would write it into the variable."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return format_duration(value) if isinstance(value, timedelta) else str(value or "none")


def test_every_setting_is_told_with_what_it_is_when_left_out() -> None:
    settings = Settings.load({})
    left_out = {
        f"KEYTURN_{field.name.upper()}": as_written(getattr(settings, field.name))
        for field in fields(Settings)
    }

    assert {code(row[0]): code(row[1]) for row in OPERATING.rows("## Settings")} == left_out


@every_document
def test_every_variable_is_a_setting(page: Document) -> None:
    settings = {f"KEYTURN_{field.name.upper()}" for field in fields(Settings)}

    assert set(re.findall(r"\bKEYTURN_[A-Z_]+", page.text)) <= settings


def test_every_pragma_of_the_store_is_told() -> None:
    told = {code(row[0]): code(row[1]) for row in document("docs/store.md").rows("## Settings")}

    assert told == {"journal_mode": "WAL", **{name: str(SETTINGS[name]) for name in SETTINGS}}


# Conditions and Events


def errors() -> set[type[KeyturnError]]:
    """All errors of the project, wherever they are declared."""
    for module in pkgutil.walk_packages(keyturn.__path__, "keyturn."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, waiting = set(), [KeyturnError]
    while waiting:
        kind = waiting.pop()
        found.add(kind)
        waiting += kind.__subclasses__()
    return {kind for kind in found if kind.__module__.startswith("keyturn.")}


def named(heading: str) -> set[str]:
    rows = CONDITIONS.rows(heading)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}


IN_CONDITIONS = named("## Ready")
AT_THE_START = named("## When the operator does not start")
ELSEWHERE = named("## Names that no condition shows")


def test_every_reason_of_a_condition_is_explained() -> None:
    reasons = {reason_of(kind.__new__(kind)) for kind in errors()}

    assert reasons | {SYNCED} <= IN_CONDITIONS | AT_THE_START | ELSEWHERE


def test_every_explained_reason_exists() -> None:
    codes = {kind.code for kind in errors()}

    assert codes | {SYNCED} >= IN_CONDITIONS | AT_THE_START | ELSEWHERE
    assert not IN_CONDITIONS & ELSEWHERE


def test_every_reason_and_code_of_a_rotation_is_explained() -> None:
    steps = {f"{step[0].upper()}{step[1:]}Failed" for step in Step}
    rows = CONDITIONS.rows("## Rotated")
    told = {name for row in rows for cell in row[:2] for name in re.findall(r"`(\w+)`", cell)}

    reasons = {ROTATED, BLOCKED, ROLLED_BACK, ABANDONED}
    assert steps | reasons | {UNEXPECTED} | {code for code, _ in REFUSALS.values()} <= told


def test_every_event_is_explained_with_its_type() -> None:
    told = {(code(row[0]), row[1]) for row in CONDITIONS.rows("## Events")}

    assert told == {(notice.value[1], notice.value[0]) for notice in (*Notice, *RestartEvent)}


def test_every_reason_of_a_version_is_explained() -> None:
    assert named("## Reasons of versions") == set(VersionReason)


@pytest.mark.parametrize("page", [OPERATING, document("docs/install.md")], ids=str)
def test_every_kind_is_read_before_its_definition_goes(page: Document) -> None:
    (block,) = [block for block in page.blocks("sh") if "--cascade=orphan" in block]

    # The apiserver's finalizer of a definition lists its resources. While their watch cache is
    # made, it fails; its next try may meet its own write, and then it waits for its resync.
    plurals = {path.name.partition(".")[0] for path in make_reference.PAGES}
    assert set(block.split()[2].split(",")) == plurals


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = [text for page in documents() for text in [*page.blocks("sh"), *page.spans()]]

    told = {word for text in texts for word in re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)}
    assert {"demo", "test"} <= told <= targets


def test_the_pages_name_files_that_exist() -> None:
    files = re.compile(r"(?:docs|tests|operator|crds|rbac|charts|bench|controlplane)/[\w./-]*\w")
    named_files = {
        (str(page), name)
        for page in documents()
        for span in page.spans()
        for name in files.findall(span)
        if span.startswith(name)
    }

    assert [found for found in sorted(named_files) if not Path(ROOT / found[1]).exists()] == []
