"""Both CRDs and the rotators know the same parameters, and take and refuse the same examples.

What the apiserver says to the examples is asked in tests/cluster/test_rotator_crd.py.
"""

import copy
import re
from typing import Any

import pytest

from documents import document, documents
from keyturn.domain.managed_secret import OWN_NAMESPACES
from keyturn.domain.rotation import RotatorRef
from keyturn.domain.rotator import BUILT_IN_TYPES
from keyturn.kube.rotator_resources import parse
from rotator_examples import FULL, LEAST, WRONG, Wrong
from rotator_schemas import Field, fields, refusal, schema_of

UNKNOWN = "unheardOf"


def of_type(kind: str) -> pytest.MarkDecorator:
    found = [field for field in fields() if field.schema["type"] == kind]
    return pytest.mark.parametrize("field", found, ids=str)


# The two CRDs


def test_both_have_a_field_for_each_type() -> None:
    for plural in ("rotators", "clusterrotators"):
        properties = schema_of(plural)["properties"]

        assert list(properties)[: len(BUILT_IN_TYPES) + 1] == [*BUILT_IN_TYPES, "plugin"]


def test_the_two_differ_in_what_is_said_here_and_in_nothing_else() -> None:
    one: dict[str, Any] = copy.deepcopy(dict(schema_of("rotators")))
    all_of: dict[str, Any] = copy.deepcopy(dict(schema_of("clusterrotators")))

    assert all_of.pop("required") == ["allowedNamespaces"]
    assert all_of["properties"].pop("allowedNamespaces")["minItems"] == 1
    for name in ("webhook", "oauth2"):
        flag = all_of["properties"][name]["properties"].pop("allowPrivateAddresses")
        assert flag["type"] == "boolean"
    for name in ("adminRef", "caRef"):
        here, there = one["properties"][name], all_of["properties"][name]
        assert there["properties"].pop("namespace")["maxLength"] == 63
        there["required"].remove("namespace")
        assert here.pop("description") != there.pop("description")

    assert one == all_of


# The fields


@of_type("object")
def test_an_object_has_the_same_fields(field: Field) -> None:
    if "properties" not in field.schema:
        return
    said = field.refusal({UNKNOWN: 1})

    path = ".".join((*field.path, UNKNOWN))
    found = re.fullmatch(rf"{re.escape(path)} is unknown; write one of (.+)", said)
    assert found is not None, said
    assert set(found[1].split(", ")) == field.schema["properties"].keys()


@of_type("integer")
def test_a_number_has_the_same_bounds(field: Field) -> None:
    least, most = field.schema["minimum"], field.schema["maximum"]

    assert field.refusal(least) == field.refusal(most) == ""
    assert field.refusal(least - 1)
    assert field.refusal(most + 1)
    assert field.refusal(str(least))


@of_type("boolean")
def test_a_flag_is_true_or_false(field: Field) -> None:
    assert field.refusal(value=True) == field.refusal(value=False) == ""
    assert field.refusal("true")


@pytest.mark.parametrize("field", [f for f in fields() if "enum" in f.schema], ids=str)
def test_there_is_the_same_choice(field: Field) -> None:
    assert [field.refusal(choice) for choice in field.schema["enum"]] == [""] * len(
        field.schema["enum"]
    )
    assert field.refusal(UNKNOWN)


@pytest.mark.parametrize("name", BUILT_IN_TYPES)
def test_what_is_required_is_so_in_both(name: str) -> None:
    required = schema_of("rotators")["properties"][name].get("required", [])

    assert refusal(name, LEAST[name]) == ""
    assert all(
        refusal(name, {key: each for key, each in LEAST[name].items() if key != missing})
        for missing in required
    )


# The examples


@pytest.mark.parametrize("name", BUILT_IN_TYPES)
def test_an_example_has_each_field_of_its_type(name: str) -> None:
    properties = schema_of("rotators")["properties"][name]["properties"].keys()

    # What excludes each other is in both examples together.
    assert FULL[name].keys() | LEAST[name].keys() == properties


@pytest.mark.parametrize("name", BUILT_IN_TYPES)
def test_a_rotator_takes_what_the_apiserver_takes(name: str) -> None:
    assert refusal(name, FULL[name]) == ""


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_rotator_refuses_what_the_apiserver_refuses(wrong: Wrong) -> None:
    assert refusal(wrong.type, wrong.written)


# The documents

MANIFESTS = [
    pytest.param(manifest, id=f"{page} {manifest['metadata']['name']}")
    for page in documents()
    for manifest in page.manifests()
    if manifest["kind"] in ("Rotator", "ClusterRotator")
]


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_the_documents_tell_of_rotators_that_the_operator_takes(manifest: dict[str, Any]) -> None:
    ref = RotatorRef(manifest["kind"], manifest["metadata"]["name"])
    metadata = {"uid": "u", **manifest["metadata"]}

    found = parse(
        {**manifest, "metadata": metadata},
        ref,
        author_checked=True,
        own_namespaces=OWN_NAMESPACES,
    )

    assert found.type not in BUILT_IN_TYPES or refusal(found.type, dict(found.parameters)) == ""


def test_every_type_has_a_page() -> None:
    page = document("docs/rotators.md")
    told = {line.removeprefix("### ") for line in page.prose.splitlines() if line[:4] == "### "}

    assert told == {*BUILT_IN_TYPES, "plugin"}
