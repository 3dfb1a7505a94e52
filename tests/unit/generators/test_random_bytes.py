import base64
import string
from typing import Any

import pytest

from generating import make, refusal, unevenness
from keyturn.generators.interface import Generator
from keyturn.generators.random_bytes import Base64Generator, HexGenerator

HEX, BASE64 = HexGenerator(), Base64Generator()
BOTH = pytest.mark.parametrize("generator", [HEX, BASE64], ids=["hex", "base64"])


def test_each_fills_its_own_key() -> None:
    assert HEX.outputs("token", {"bytes": 16}) == {"hex": "token"}
    assert BASE64.outputs("token", {"bytes": 16, "urlSafe": True}) == {"base64": "token"}


@pytest.mark.parametrize("count", [1, 16, 33, 4096])
def test_hex_writes_two_lower_case_digits_for_each_byte(count: int) -> None:
    value = make(HEX, bytes=count)["key"].decode()

    assert len(value) == 2 * count
    assert set(value) <= set("0123456789abcdef")


@pytest.mark.parametrize("count", [1, 2, 3, 4096])
def test_base64_is_read_back_to_as_many_bytes(count: int) -> None:
    value = make(BASE64, bytes=count)["key"]

    assert len(base64.b64decode(value, validate=True)) == count
    assert len(value) % 4 == 0


def test_without_parameters_there_are_32_bytes() -> None:
    assert len(bytes.fromhex(make(HEX)["key"].decode())) == 32
    assert len(base64.b64decode(make(BASE64)["key"])) == 32


def test_url_safe_base64_has_other_symbols() -> None:
    plain = make(BASE64, bytes=4096)["key"].decode()
    safe = make(BASE64, bytes=4096, urlSafe=True)["key"].decode()

    alphanumeric = set(string.ascii_letters + string.digits)
    assert set(plain.rstrip("=")) - alphanumeric == {"+", "/"}
    assert set(safe.rstrip("=")) - alphanumeric == {"-", "_"}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_base64_without_padding_has_none(count: int) -> None:
    value = make(BASE64, bytes=count, noPadding=True)["key"].decode()

    assert "=" not in value
    assert len(base64.b64decode(value + "=" * (-len(value) % 4), validate=True)) == count


@BOTH
@pytest.mark.parametrize("count", [0, 4097, "32", 32.0, True])
def test_a_number_of_bytes_out_of_bounds_is_refused(generator: Generator, count: Any) -> None:
    assert refusal(generator, bytes=count) == (
        "bytes must be a whole number from 1 to 4096; write for example bytes: 32"
    )


@pytest.mark.parametrize("name", ["urlSafe", "noPadding"])
def test_a_flag_is_true_or_false(name: str) -> None:
    assert refusal(BASE64, **{name: "true"}).startswith(f"{name} must be a boolean")


def test_each_byte_is_as_likely_as_the_others() -> None:
    drawn = [
        byte for _ in range(10) for byte in bytes.fromhex(make(HEX, bytes=4096)["key"].decode())
    ]

    assert unevenness(drawn, kinds=256) < 8
