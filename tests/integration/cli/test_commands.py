"""Each command against an operator that answers on its socket."""

import json
from pathlib import Path

import pytest
import yaml

from canary import Canary
from keyturn.crypto.local_key import from_text
from office import Office


def values_of(office: Office, name: str = "db") -> dict[str, str]:
    shown = office.keyturn("get", name, "--reveal", "-o", "json")
    return dict(json.loads(shown.stdout)["values"])


def put(office: Office, key: str, value: bytes) -> None:
    done = office.keyturn("put", "db", "--key", key, stdin=value)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("value", [b"\x00\xff binary", b"line\n", b"a\r\nb\r\n", "é".encode()])
def test_a_value_from_a_file_comes_back_byte_by_byte(
    office: Office, tmp_path: Path, value: bytes
) -> None:
    file = tmp_path / "value"
    file.write_bytes(value)

    given = office.keyturn("put", "db", "--key", "password", "--from-file", str(file))

    shown = office.keyturn("get", "db", "--reveal", "--key", "password")
    assert given.returncode == 0
    assert shown.stdout == value


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"a\nb\n", b"a\nb\n"),
        (b"a\n\n", b"a\n\n"),
    ],
)
def test_on_stdin_the_newline_of_a_single_line_is_not_part_of_the_value(
    office: Office, given: bytes, kept: bytes
) -> None:
    put(office, "password", given)

    shown = office.keyturn("get", "db", "--reveal", "--key", "password")
    assert shown.stdout == kept


def test_it_says_that_a_newline_was_left_out(office: Office) -> None:
    done = office.keyturn("put", "db", "--key", "password", stdin=b"secret\n")

    assert b"the newline at the end is left out" in done.stderr


def test_stdin_as_a_file_keeps_every_byte(office: Office) -> None:
    office.keyturn("put", "db", "--key", "password", "--from-file", "-", stdin=b"secret\n")

    assert values_of(office) == {"password": "secret\n"}


def test_several_values_make_one_version(office: Office) -> None:
    document = json.dumps({"password": "a", "user": ""}).encode()

    done = office.keyturn("put", "db", "--from-json", "-", stdin=document)

    assert done.stdout == b"default/db: version 1 is Current\n"
    assert values_of(office) == {"password": "a", "user": ""}


def test_put_says_what_is_still_awaited(office: Office) -> None:
    done = office.keyturn("put", "db", "--key", "password", stdin=b"a")

    assert b"note: it waits for a value of user" in done.stderr


@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_without_reveal_no_value_is_shown(office: Office, canary: Canary, form: str) -> None:
    put(office, "password", canary.make())

    shown = [
        office.keyturn(*command, "-o", form)
        for command in (("get", "db"), ("describe", "db"), ("history", "db"), ("list",))
    ]

    assert all(done.returncode == 0 for done in shown)
    assert canary.scan_bytes(b"".join(done.stdout + done.stderr for done in shown)) == []


def test_values_are_shown_in_a_table_when_asked_for(office: Office) -> None:
    put(office, "password", b"correct horse")

    shown = office.keyturn("get", "db", "--reveal")

    assert shown.stdout.decode().splitlines() == ["KEY        VALUE", "password   correct horse"]


def test_bytes_that_are_no_text_stand_apart_in_json(office: Office, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_bytes(b"\xff\x00")
    office.keyturn("put", "db", "--key", "user", "--from-file", str(file))

    shown = json.loads(office.keyturn("get", "db", "--reveal", "-o", "json").stdout)

    assert (shown["values"], shown["binaryValues"]) == ({}, {"user": "/wA="})


def test_json_of_one_key_holds_that_key_alone(office: Office) -> None:
    put(office, "password", b"a")
    put(office, "user", b"b")

    shown = office.keyturn("get", "db", "--reveal", "--key", "user", "-o", "json")

    assert json.loads(shown.stdout)["values"] == {"user": "b"}


def test_yaml_and_json_say_the_same(office: Office) -> None:
    put(office, "password", b"a")

    as_json = office.keyturn("history", "db", "-o", "json").stdout
    as_yaml = office.keyturn("history", "db", "-o", "yaml").stdout

    assert yaml.safe_load(as_yaml) == json.loads(as_json)


def test_a_version_is_chosen_by_number_or_stage(office: Office) -> None:
    put(office, "password", b"first")
    put(office, "password", b"second")

    by_number = office.keyturn("get", "db", "--version", "1", "--reveal", "--key", "password")
    by_stage = office.keyturn("get", "db", "--stage", "Previous", "--reveal", "--key", "password")

    assert by_number.stdout == by_stage.stdout == b"first"


def test_a_version_is_not_chosen_by_number_and_stage(office: Office) -> None:
    put(office, "password", b"first")

    done = office.keyturn("get", "db", "--version", "1", "--stage", "Previous")

    assert done.returncode == 2
    assert done.stdout == b""
    assert b"--version or --stage" in done.stderr


def test_the_history_begins_with_the_newest(office: Office) -> None:
    put(office, "password", b"first")
    put(office, "password", b"second")

    lines = office.keyturn("history", "db").stdout.decode().splitlines()

    assert [line.split()[:2] for line in lines] == [
        ["VERSION", "STAGE"],
        ["2", "Current"],
        ["1", "Previous"],
    ]


def test_a_rollback_makes_an_older_version_current(office: Office) -> None:
    put(office, "password", b"first")
    put(office, "password", b"second")

    done = office.keyturn("rollback", "db", "--to", "1")

    assert done.stdout == b"default/db: version 1 is Current\n"
    assert values_of(office)["password"] == "first"


def test_after_a_rollback_a_put_keeps_what_only_the_newest_version_has(office: Office) -> None:
    office.apply("db", "old", "password")
    put(office, "old", b"1")
    put(office, "password", b"first")
    office.apply("db", "password", "token", "other")
    put(office, "token", b"token")
    office.keyturn("rollback", "db", "--to", "2")
    assert values_of(office) == {"old": "1", "password": "first"}

    put(office, "password", b"second")

    assert values_of(office) == {"password": "second", "token": "token"}
    put(office, "other", b"other")
    assert values_of(office) == {"other": "other", "password": "second", "token": "token"}


def test_secrets_are_listed_by_namespace_or_all(office: Office) -> None:
    office.apply("api", "token", namespace="shop")

    def listed(*options: str) -> list[str]:
        return [
            f"{item['namespace']}/{item['name']}"
            for item in json.loads(office.keyturn("list", *options, "-o", "json").stdout)["items"]
        ]

    assert listed() == ["default/db"]
    assert listed("-n", "shop") == ["shop/api"]
    assert listed("-A") == ["default/db", "shop/api"]


def test_a_namespace_without_secrets_is_named(office: Office) -> None:
    done = office.keyturn("list", "-n", "shpo")

    assert done.returncode == 0
    assert done.stderr == b"note: there is no secret in shpo; keyturn list -A shows all there are\n"
    assert office.keyturn("list", "-n", "shpo", "-o", "json").stderr == b""


def test_a_deleted_secret_is_listed_with_the_end_of_its_recovery_window(office: Office) -> None:
    office.do(lambda local: local.delete("db"))

    (item,) = json.loads(office.keyturn("list", "-o", "json").stdout)["items"]

    assert item["state"] == "Deleted"
    assert item["purgeTime"] > item["deletedTime"]


def test_a_description_names_the_keys_that_wait(office: Office) -> None:
    put(office, "password", b"a")

    described = json.loads(office.keyturn("describe", "db", "-o", "json").stdout)

    assert (described["keys"], described["awaiting"]) == (["password"], ["user"])


def test_version_tells_of_the_operator_too(office: Office) -> None:
    told = json.loads(office.keyturn("version", "-o", "json").stdout)

    assert told["operator"] == told["keyturn"]


def test_the_exported_key_is_the_one_in_use(office: Office) -> None:
    done = office.keyturn("key", "export")

    exported = from_text(done.stdout)
    assert exported.material.matches(from_text(office.key_file.read_bytes()).material)
    assert b"keep it off this machine" in done.stderr


def test_nothing_is_revealed_without_a_word_for_it(office: Office, canary: Canary) -> None:
    put(office, "password", canary.make())

    done = office.keyturn("get", "db", "--key", "password")

    assert done.returncode == 2
    assert b"add --reveal" in done.stderr
    assert canary.scan_bytes(done.stdout + done.stderr) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("put", "db", "--key", "password", "{}"),
        ("put", "db", "password={}"),
        ("put", "db", "--key", "password={}"),
        ("put", "db={}", "--key", "password"),
        ("put", "db", "--key={}="),
        ("put", "db", "--value={}"),
    ],
)
def test_a_value_on_the_command_line_is_refused_and_not_shown(
    office: Office, arguments: tuple[str, ...]
) -> None:
    # Of its own: the search at the end of the run finds the values of the run in arguments.
    canary = Canary()
    value = canary.make().decode()

    done = office.keyturn(*(word.format(value) for word in arguments), stdin=b"other")

    assert done.returncode == 2
    assert canary.scan_bytes(done.stdout + done.stderr) == []
    assert office.keyturn("history", "db", "-o", "json").stdout.count(b"version") == 0


def test_the_refusal_of_a_value_gives_the_reason(office: Office) -> None:
    done = office.keyturn("put", "db", "--key", "password", "hunter2")

    assert b"every process of this machine can read it there" in done.stderr
    assert b"--from-file" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("get", "nobody"), 3, b"there is no secret default/nobody; keyturn list -A"),
        (("get", "db"), 3, b"has no version with the stage Current"),
        (("get", "db", "--version", "9"), 3, b"has no version 9"),
        (("rollback", "db", "--to", "9"), 3, b"has no version 9"),
        (("put", "db", "--key", "other", "--from-file", "-"), 2, b"add it to spec.data first"),
        (("put", "db"), 2, b"--from-json for several"),
        (("put", "db", "--key", "user"), 2, b"stdin holds no value"),
        (("put", "db", "--key", "user", "--from-json", "-"), 2, b"--from-json stands alone"),
        (("restore", "db"), 6, b"keyturn run"),
        (("purge",), 6, b"keyturn run"),
        (("rollback", "db"), 2, b"--to"),
        (("unknown",), 2, b"No such command"),
        (("get", "a/b"), 2, b"NAME is no name of Kubernetes"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    office: Office, arguments: tuple[str, ...], code: int, said: bytes
) -> None:
    done = office.keyturn(*arguments)

    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.startswith(b"error: ")
    assert done.stderr.count(b"\n") == 1
    assert done.stdout == b""


def test_a_put_to_a_deleted_secret_is_a_conflict(office: Office) -> None:
    office.do(lambda local: local.delete("db"))

    done = office.keyturn("put", "db", "--key", "user", stdin=b"a")

    assert done.returncode == 4
    assert b"keyturn restore" in done.stderr


def test_a_missing_key_is_named_with_those_that_are_there(office: Office) -> None:
    put(office, "password", b"a")

    done = office.keyturn("get", "db", "--reveal", "--key", "user")

    assert (done.returncode, done.stdout) == (3, b"")
    assert b"it has password" in done.stderr


def test_a_large_value_of_just_the_limit_goes_through(office: Office, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_bytes(b"x" * (64 * 1024 - len("password")))

    done = office.keyturn("put", "db", "--key", "password", "--from-file", str(file))

    assert done.returncode == 0


def test_a_value_over_the_limit_is_refused(office: Office, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_bytes(b"x" * (64 * 1024))

    done = office.keyturn("put", "db", "--key", "password", "--from-file", str(file))

    assert done.returncode == 2
    assert b"the limit is 65536 bytes" in done.stderr


def test_consumers_are_told_of_by_a_running_operator_alone(office: Office) -> None:
    without_cluster = office.keyturn("consumers", "db")
    office.stop()

    alone = office.keyturn("consumers", "db")

    assert without_cluster.returncode == alone.returncode == 6
    assert b"start keyturn run" in without_cluster.stderr
    assert b"no operator answers" in alone.stderr
