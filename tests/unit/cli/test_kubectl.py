from pathlib import Path

import pytest
from typer.main import get_command

from keyturn.cli.kubectl import Split, command_line, split
from keyturn.cli.root import app
from keyturn.domain.errors import InvalidParameterError
from keyturn.settings import Settings

SETTINGS = Settings.load({})


def line(*arguments: str, terminal: bool = False) -> list[str]:
    return command_line("kubectl", SETTINGS, split(arguments), terminal=terminal)


@pytest.mark.parametrize("option", [["--context", "shop"], ["--context=shop"]])
def test_the_options_of_kubectl_go_to_kubectl(option: list[str]) -> None:
    parts = split(["get", *option, "db", "-n", "web"])

    assert parts == Split(kubectl=option, keyturn=["get", "db", "-n", "web"])


@pytest.mark.parametrize("option", [["--from-file", "key.pem"], ["--from-file=key.pem"]])
def test_a_file_is_read_here_and_sent_to_stdin(option: list[str]) -> None:
    parts = split(["put", "db", "--key", "a", *option])

    assert parts.keyturn == ["put", "db", "--key", "a", "--from-file", "-"]
    assert parts.file == "key.pem"


def test_stdin_stays_stdin() -> None:
    assert split(["put", "db", "--from-json", "-"]).file is None


def test_an_option_without_its_value_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="--context needs a value"):
        split(["list", "--context"])


def test_the_command_runs_in_the_operators_pod() -> None:
    assert line("get", "db", "-n", "web", "--context", "shop") == [
        *("kubectl", "--context", "shop", "exec"),
        *("-n", "keyturn-system", "statefulset/keyturn", "--"),
        *("keyturn", "get", "db", "-n", "web"),
    ]


def test_the_operator_may_run_under_another_name_and_elsewhere() -> None:
    settings = Settings.load({"KEYTURN_NAMESPACE": "ops", "KEYTURN_WORKLOAD": "deployment/secrets"})

    command = command_line("kubectl", settings, split(["list", "-A"]), terminal=False)

    assert command[:5] == ["kubectl", "exec", "-n", "ops", "deployment/secrets"]


@pytest.mark.parametrize("namespace", [["-n", "web"], ["-nweb"], ["--namespace=web"], ["-A"]])
def test_a_namespace_that_was_named_stays(namespace: list[str]) -> None:
    assert line("list", *namespace)[-len(namespace) :] == namespace


def with_namespace() -> list[str]:
    """List the commands that take one, but for that which runs here."""
    commands = get_command(app).commands.items()  # type: ignore[attr-defined]  # of a group
    return [
        name
        for name, command in commands
        if name != "demo" and any("--namespace" in option.opts for option in command.params)
    ]


@pytest.mark.parametrize("command", with_namespace())
def test_a_command_that_takes_a_namespace_gets_that_of_the_context(
    tmp_path: Path, command: str
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\nprintf web\n")
    kubectl.chmod(0o755)

    made = command_line(str(kubectl), SETTINGS, split([command]), terminal=False)

    assert made[-3:] == [command, "-n", "web"]


def test_a_label_selector_goes_to_the_pod_as_it_is() -> None:
    typed = ["rotate", "--all", "-l", "tier in (db,cache),!canary", "-A", "--no-wait"]

    assert line(*typed)[-len(typed) :] == typed


@pytest.mark.parametrize("command", [["purge"], ["key", "export"], ["version"]])
def test_a_command_without_a_namespace_gets_none(command: list[str]) -> None:
    assert line(*command)[-len(command) - 1 :] == ["keyturn", *command]


def test_only_put_takes_stdin() -> None:
    assert "-i" in line("put", "db", "-n", "web", "--key", "a")
    assert "-i" not in line("get", "db", "-n", "web")


def test_at_a_terminal_the_command_has_one_too() -> None:
    command = line("get", "db", "-n", "web", terminal=True)

    assert command[1:4] == ["exec", "-i", "-t"]


def test_the_namespace_is_that_of_the_context(tmp_path: Path) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text('#!/bin/sh\n[ "$1 $3" = "--context=shop view" ] && printf web\n')
    kubectl.chmod(0o755)

    command = command_line(
        str(kubectl), SETTINGS, split(["list", "--context=shop"]), terminal=False
    )

    assert command[-3:] == ["list", "-n", "web"]
