"""The search for canaries finds each planted leak, and nothing else."""

import base64
import json
import os
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from canary import LEAST_BYTES, Canary

FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "base64": base64.b64encode,
    "base64 after one byte": lambda value: base64.b64encode(b"x" + value),
    "base64 after two bytes": lambda value: base64.b64encode(b"xy" + value),
    "base64 amid others": lambda value: base64.b64encode(b"user:" + value + b"@host"),
    "base64 of the URL alphabet": base64.urlsafe_b64encode,
    "base64 without padding": lambda value: base64.b64encode(value).rstrip(b"="),
    "hex": lambda value: value.hex().encode(),
    "upper-case hex": lambda value: value.hex().upper().encode(),
    "URL": lambda value: quote(value, safe="").encode(),
    "URL of a path": lambda value: quote(value).encode(),
    "URL of a form": lambda value: quote_plus(value).encode(),
    "JSON": lambda value: json.dumps(value.decode()).encode(),
    "JSON with accents": lambda value: json.dumps(value.decode(), ensure_ascii=False).encode(),
    "JSON in JSON": lambda value: json.dumps(json.dumps({"x": value.decode()})).encode(),
}


@pytest.fixture
def canary() -> Canary:
    return Canary()


@pytest.mark.parametrize("leak", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("length", range(LEAST_BYTES, LEAST_BYTES + 4))
def test_a_planted_leak_is_found_in_each_form(
    canary: Canary, leak: Callable[[bytes], bytes], length: int
) -> None:
    value = canary.make(length)

    leaks = canary.scan_bytes(b"before " + leak(value) + b" after")

    assert leaks


@pytest.mark.parametrize("leak", FORMS.values(), ids=FORMS.keys())
def test_a_value_that_every_encoding_changes_is_found_in_each_form(
    canary: Canary, leak: Callable[[bytes], bytes]
) -> None:
    value = canary.make_awkward()

    leaks = canary.scan_bytes(b"before " + leak(value) + b" after")

    assert leaks


@pytest.mark.parametrize("offset", range(9))
def test_a_leak_is_found_at_each_alignment(canary: Canary, offset: int) -> None:
    value = canary.make(LEAST_BYTES)

    leaks = canary.scan_bytes(b"." * offset + value)

    assert [leak.form for leak in leaks] == ["plain"]


def test_a_value_that_is_not_text_is_found(canary: Canary) -> None:
    value = canary.register(b"\xff\x00" + secrets.token_bytes(20))

    leaks = canary.scan_bytes(b"{" + base64.b64encode(value) + b"}")

    assert [leak.form for leak in leaks] == ["base64"]


def test_random_bytes_and_their_encodings_hold_no_canary(canary: Canary) -> None:
    for _ in range(100):
        canary.make()
    noise = secrets.token_bytes(1 << 18)

    leaks = canary.scan_bytes(noise + base64.b64encode(noise) + noise.hex().encode())

    assert leaks == []


def test_a_part_of_a_value_is_no_leak(canary: Canary) -> None:
    value = canary.make()

    leaks = canary.scan_bytes(value[:-1] + b" " + value[1:])

    assert leaks == []


def test_the_canary_that_leaked_is_named_and_not_shown(canary: Canary) -> None:
    canary.make()
    value = canary.make()

    (leak,) = canary.scan_text(f"password={value.decode()}", where="a log")

    assert str(leak) == "canary 2 in plain form in a log"
    assert value.decode() not in repr(leak)


def test_a_leak_across_two_reads_of_a_large_file_is_found_once(
    canary: Canary, tmp_path: Path
) -> None:
    value = canary.make()
    file = tmp_path / "large"
    file.write_bytes(bytes((1 << 20) - 10) + value + bytes(1 << 20))

    leaks = canary.scan_file(file)

    assert [leak.form for leak in leaks] == ["plain"]


def test_every_file_of_a_tree_is_searched(canary: Canary, tmp_path: Path) -> None:
    value = canary.make()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "store.db-wal").write_bytes(b"\0" * 100 + value)
    (tmp_path / "a" / "clean").write_bytes(b"nothing")

    leaks = canary.scan_tree(tmp_path)

    assert [leak.where for leak in leaks] == [str(deep / "store.db-wal")]


def test_a_skipped_folder_of_a_tree_is_not_searched(canary: Canary, tmp_path: Path) -> None:
    value = canary.make()
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "secret").write_bytes(value)

    leaks = canary.scan_tree(tmp_path, skip=[tmp_path / "allowed"])

    assert leaks == []


def test_a_pipe_in_a_tree_does_not_block_the_search(canary: Canary, tmp_path: Path) -> None:
    canary.make()
    os.mkfifo(tmp_path / "pipe")

    leaks = canary.scan_tree(tmp_path)

    assert leaks == []


def test_a_file_that_vanished_holds_nothing(canary: Canary, tmp_path: Path) -> None:
    canary.make()

    leaks = canary.scan_file(tmp_path / "gone")

    assert leaks == []


def test_the_environment_of_a_process_is_searched(canary: Canary) -> None:
    value = canary.make()
    process = subprocess.Popen(["sleep", "60"], env={"LEAK": value.decode(), "PATH": os.defpath})

    leaks = canary.scan_processes([process.pid])
    process.kill()
    process.wait()

    assert [leak.where for leak in leaks] == [f"/proc/{process.pid}/environ"]


@pytest.mark.parametrize("length", [0, LEAST_BYTES - 1])
def test_a_value_that_could_be_there_by_chance_is_refused(canary: Canary, length: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        canary.register(bytes(length))


def test_a_value_is_registered_once(canary: Canary) -> None:
    value = canary.make()
    canary.register(value)

    leaks = canary.scan_bytes(value)

    assert len(leaks) == 1
