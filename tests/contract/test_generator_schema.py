"""The resource's schema and the generators know the same fields, and the same bounds of each."""

import re
from collections.abc import Mapping
from datetime import timedelta

import pytest

from generator_fields import GENERATORS, Field, fields, schemas
from keyturn.generators.certificate_request import LONGEST, SHORTEST

UNKNOWN = "unheardOf"

ITEMS: Mapping[str, tuple[str, str]] = {
    "dnsNames": ("n{}", ".".join(["a" * 63] * 3) + "." + "a" * 61),
    "ipAddresses": ("10.0.0.{}", "0000:0000:0000:0000:0000:ffff:255.255.255.255"),
    "uris": ("a:{}", "a:" + "b" * 1022),
    "emailAddresses": ("a{}@b", "a" * 64 + "@" + ".".join(["b" * 62] * 3)),
}
"""For each list the pattern of a right item, and the longest one."""


def of_type(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "field", [field for field in fields() if field.schema["type"] == kind], ids=str
    )


def test_the_generators_of_the_schema_are_those_that_are_built_in() -> None:
    built_in = {
        name
        for name, generator in GENERATORS.items()
        if type(generator).__module__.startswith("keyturn.generators.")
    }

    assert schemas().keys() == built_in | {"plugin"}


@of_type("object")
def test_an_object_has_the_same_fields(field: Field) -> None:
    (said,) = field.refusals({UNKNOWN: 1})

    path = ".".join((*field.path, UNKNOWN))
    if "properties" not in field.schema:
        assert said == f"{path} is unknown; it has no fields; write {{}}"
        return
    found = re.fullmatch(rf"{re.escape(path)} is unknown; write one of (.+)", said)
    assert found is not None, said
    assert set(found[1].split(", ")) == field.schema["properties"].keys()


@of_type("integer")
def test_a_number_has_the_same_bounds(field: Field) -> None:
    least, most = field.schema["minimum"], field.schema["maximum"]

    assert field.takes(least)
    assert field.takes(most)
    assert not field.takes(least - 1)
    assert not field.takes(most + 1)


@of_type("boolean")
def test_a_flag_is_true_or_false(field: Field) -> None:
    assert field.takes(value=True)
    assert field.takes(value=False)
    assert not field.takes("true")


@pytest.mark.parametrize(
    "field", [f for f in fields() if "maxLength" in f.schema and f.path != ("duration",)], ids=str
)
def test_a_text_has_the_same_bounds(field: Field) -> None:
    least, most = field.schema.get("minLength", 0), field.schema["maxLength"]
    character = "-" if field.path[-1].endswith("Characters") else "a"

    assert field.takes(character * least)
    assert field.takes(character * most)
    assert not least or not field.takes(character * (least - 1))
    assert not field.takes(character * (most + 1))


def test_a_duration_has_the_same_bounds() -> None:
    (field,) = (field for field in fields() if field.path == ("duration",))
    (rule,) = (each["rule"] for each in field.schema["x-kubernetes-validations"])

    found = re.search(r"([\d.]+) <= seconds && seconds <= ([\d.]+)", rule)

    assert found is not None
    assert [timedelta(seconds=float(bound)) for bound in found.groups()] == [SHORTEST, LONGEST]


@pytest.mark.parametrize("field", [f for f in fields() if "enum" in f.schema], ids=str)
def test_there_is_the_same_choice(field: Field) -> None:
    offered = set()
    for said in field.refusals(UNKNOWN):
        found = re.search(r"is not one of those known; write (.+)$", said)
        assert found is not None, said
        offered |= set(re.split(r", | or ", found[1]))

    assert offered == set(field.schema["enum"])
    assert all(field.takes(choice) for choice in field.schema["enum"])


@pytest.mark.parametrize("field", [f for f in fields() if f.path and f.path[-1] in ITEMS], ids=str)
def test_a_list_has_the_same_bounds(field: Field) -> None:
    pattern, longest = ITEMS[field.path[-1]]
    most, most_characters = field.schema["maxItems"], field.schema["items"]["maxLength"]
    items = [pattern.format(number) for number in range(most + 1)]

    assert field.takes(items[:-1])
    assert not field.takes(items)
    assert len(longest) == most_characters or field.path[-1] == "emailAddresses"
    assert field.takes([longest])
    assert f"of 1 to {most_characters} characters" in field.refusals([longest + "a" * 500])[0]


def test_the_usages_of_a_certificate_are_the_same() -> None:
    (field,) = (field for field in fields() if field.path == ("usages",))
    known, most = field.schema["items"]["enum"], field.schema["maxItems"]
    (said,) = field.refusals([UNKNOWN])

    found = re.search(r"write some of (.+)$", said)

    assert found is not None
    assert set(found[1].split(", ")) == set(known)
    assert field.takes([usage for usage in known if usage != "cert sign"][:most])
    assert not field.takes([*known, *(f"usage {number}" for number in range(most))][: most + 1])


def test_every_list_is_looked_at() -> None:
    lists = {field.path[-1] for field in fields() if field.schema["type"] == "array"}

    assert lists == ITEMS.keys() | {"usages"}
