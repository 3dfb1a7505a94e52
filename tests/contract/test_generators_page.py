"""docs/generators.md says what the generators do."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from documents import document
from generating import make
from generator_fields import GENERATORS, NEEDED, Field, fields, schemas
from keyturn.domain.duration import format_duration
from keyturn.generators import htpasswd, passphrase, private_key
from keyturn.generators.certificate_request import (
    DEFAULT_DURATION,
    LONGEST,
    SHORTEST,
    CertificateRequest,
)
from keyturn.generators.password_recipe import PasswordRecipe
from keyturn.generators.random_bytes import Base64Generator, HexGenerator
from keyturn.generators.ssh_key import SSHKeyGenerator

PAGE = document("docs/generators.md")
SUMMARY = PAGE.rows("## The generators")
BUILT_IN = sorted(schemas().keys() - {"plugin"})

NIST = {"rsa-2048": 112, "rsa-3072": 128, "ecdsa-256": 128, "ed25519": 128}
"""NIST SP 800-57 part 1, table 2: the strength of a key in bits."""

READERS: Mapping[str, Callable[[dict[str, Any]], object]] = {
    "password": PasswordRecipe.read,
    "passphrase": passphrase._Recipe.read,
    "hex": HexGenerator()._count,
    "base64": Base64Generator()._read,
    "sshKey": partial(SSHKeyGenerator()._read, "k"),
    "tls": partial(CertificateRequest.read, "k"),
    "privateKey": partial(private_key._Request.read, "k"),
    "htpasswd": partial(htpasswd._Request.read, "k"),
}


def bits_of_password() -> float:
    """Count the passwords that have each kind, by inclusion and exclusion."""
    (part,) = PasswordRecipe.read({}).parts
    passwords = sum(
        (-1) ** size * (len(part.alphabet) - sum(len(kind) for kind in missing)) ** part.count
        for size in range(len(part.required) + 1)
        for missing in combinations(part.required, size)
    )
    return math.log2(passwords)


def strength(key: Any) -> float:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return NIST["ed25519"]
    kind = "rsa" if isinstance(key, rsa.RSAPrivateKey) else "ecdsa"
    return NIST[f"{kind}-{key.key_size}"]


ENTROPY: Mapping[str, Callable[[], float]] = {
    "password": bits_of_password,
    "passphrase": lambda: (
        passphrase._Recipe.read({}).count * math.log2(len(passphrase.word_list()))
    ),
    "hex": lambda: len(bytes.fromhex(made("hex").decode())) * 8,
    "base64": lambda: Base64Generator()._read({})[0] * 8,
    "uuid": lambda: 128 - 6,
    "sshKey": lambda: strength(load_ssh_private_key(made("sshKey"), password=None)),
    "tls": lambda: strength(load_pem_private_key(made("tls"), password=None)),
    "privateKey": lambda: strength(load_pem_private_key(made("privateKey"), password=None)),
    "htpasswd": lambda: (
        htpasswd._Request.read("k", NEEDED["htpasswd"]).length
        * math.log2(len(set(htpasswd._ALPHABET)))
    ),
}


def made(generator: str) -> bytes:
    return make(GENERATORS[generator], "k", **NEEDED.get(generator, {}))["k"]


def row_of(generator: str) -> list[str]:
    (row,) = (row for row in SUMMARY if row[0].startswith(f"[{generator}]"))
    return row


def rows_of(generator: str) -> list[list[str]]:
    return PAGE.rows(f"## {generator}")


def plain(cell: str) -> str:
    return cell.replace("`", "")


def values_of(field: Field) -> str:
    """Write what may stand in a field as the page does; empty where it has words of its own."""
    schema = field.schema
    if "enum" in schema:
        return ", ".join(schema["enum"])
    match schema["type"]:
        case "boolean":
            return "true, false"
        case "array":
            return f"at most {schema['maxItems']}"
        case "integer":
            is_of_key = field.path[-1].lower().endswith("size")
            return "" if is_of_key else f"{schema['minimum']} to {schema['maximum']}"
        case _:
            return length_of(field)


def length_of(field: Field) -> str:
    if field.path == ("duration",):
        return f"{format_duration(SHORTEST)} to {format_duration(LONGEST)}"
    if "a-z" in field.schema.get("pattern", ""):
        return "a Secret" if "caSecretRef" in field.path else "a key"
    least, most = field.schema.get("minLength", 0), field.schema["maxLength"]
    return f"{least} to {most} characters" if least else f"at most {most} characters"


@pytest.fixture(params=BUILT_IN)
def generator(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_page_lists_the_generators_that_are_built_in() -> None:
    assert sorted(row[0][1:].split("]")[0] for row in SUMMARY) == BUILT_IN
    assert all(row[0].endswith(f"(#{row[0][1:].split(']')[0].lower()})") for row in SUMMARY)


def test_the_page_names_the_keys_that_a_generator_fills(generator: str) -> None:
    needed = {name: value for name, value in NEEDED.get(generator, {}).items() if name != "outputs"}

    filled = GENERATORS[generator].outputs("k", needed).values()

    assert row_of(generator)[2] == ", ".join(f"`{key}`" for key in filled)


def test_the_entropy_on_the_page_is_that_of_the_defaults(generator: str) -> None:
    assert int(row_of(generator)[3]) == math.floor(ENTROPY[generator]())


def test_a_word_of_a_passphrase_adds_as_much_as_the_page_says() -> None:
    bits = math.floor(10 * math.log2(len(passphrase.word_list()))) / 10

    assert f"Each adds {bits} bits" in PAGE.prose


def test_the_page_has_each_field_with_its_bounds(generator: str) -> None:
    known = {
        ".".join(field.path): field
        for field in fields()
        if field.generator == generator and field.schema["type"] != "object"
    }
    written = {plain(row[0]): row[1] for row in rows_of(generator)} if known else {}

    assert list(written) == list(known)
    assert {name: values_of(field) or written[name] for name, field in known.items()} == written


@pytest.mark.parametrize("generator", sorted(READERS))
def test_a_default_on_the_page_is_what_leaving_the_field_out_means(generator: str) -> None:
    """Only what stands there as code, such as `32`, is a value that could be written instead."""
    needed = NEEDED.get(generator, {})
    defaults = {
        plain(row[0]): plain(row[2])
        for row in rows_of(generator)
        if row[2].startswith("`") and row[2].count("`") == 2 and row[2].endswith("`")
    }
    assert defaults

    for name, default in defaults.items():
        if name == "duration":
            assert default == format_duration(DEFAULT_DURATION)
            continue
        (field,) = (f for f in fields() if f.generator == generator and ".".join(f.path) == name)
        is_text = field.schema["type"] == "string"
        written = field.written(default if is_text else yaml.safe_load(default))
        assert READERS[generator](written) == READERS[generator](needed), name


@pytest.mark.parametrize("name", ["sshKey", "tls", "privateKey"])
def test_the_sizes_on_the_page_are_those_of_the_code(name: str) -> None:
    type_field, size_field = {
        "sshKey": ("keyType", "keySize"),
        "tls": ("privateKey.algorithm", "privateKey.size"),
        "privateKey": ("algorithm", "size"),
    }[name]
    rows = {plain(row[0]): row for row in rows_of(name)}
    by_path = {".".join(f.path): f for f in fields() if f.generator == name}

    for part in rows[size_field][2].split("; "):
        algorithm, default = part.split(": ")
        chosen = by_path[type_field].written(algorithm)
        sized = by_path[size_field].written(int(default), chosen)
        assert READERS[name](sized) == READERS[name](chosen)
