"""What a command does with terminals, pipes, signals, other processes and other users."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from canary import Canary
from office import BECOME_NOBODY, Office, as_root, open_to_all
from terminals import Terminal


def at_terminal(office: Office, *arguments: str, **environment: str) -> Terminal:
    return Terminal(office.command(*arguments), {**office.environment, **environment})


def eventually(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_terminal_is_asked_twice_and_shows_nothing(office: Office, canary: Canary) -> None:
    value = canary.make()
    terminal = at_terminal(office, "put", "db", "--key", "password")

    for _ in range(2):
        terminal.expect(b": ")
        terminal.seen = b""
        time.sleep(0.1)
        terminal.type(value + b"\n")
    code = terminal.finish()

    assert code == 0
    assert canary.scan_bytes(terminal.seen) == []
    assert office.keyturn("get", "db", "--reveal", "--key", "password").stdout == value


def test_an_interrupt_at_the_prompt_changes_nothing(office: Office) -> None:
    terminal = at_terminal(office, "put", "db", "--key", "password")
    terminal.expect(b"Value of password")

    terminal.interrupt()

    assert terminal.finish() == 130
    assert b"Traceback" not in terminal.seen
    assert b'"version"' not in office.keyturn("history", "db", "-o", "json").stdout


def test_a_value_on_a_terminal_ends_its_line(office: Office) -> None:
    office.keyturn("put", "db", "--key", "password", stdin=b"secret")
    terminal = at_terminal(office, "get", "db", "--reveal", "--key", "password")

    terminal.finish()

    assert terminal.seen == b"secret\r\n"


def test_a_terminal_does_not_get_what_it_would_obey(office: Office) -> None:
    office.keyturn("put", "db", "--key", "password", stdin=b"a\x1b]0;title\x07b")
    raw = at_terminal(office, "get", "db", "--reveal", "--key", "password")
    table = at_terminal(office, "get", "db", "--reveal", NO_COLOR="1")

    codes = raw.finish(), table.finish()

    assert codes == (2, 0)
    assert b"not printable text" in raw.seen
    assert b"\x1b]0" not in raw.seen + table.seen
    assert rb"a\x1b]0;title\x07b" in table.seen


@pytest.mark.parametrize(("environment", "colours"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_left_out_when_asked(
    office: Office, environment: dict[str, str], colours: bool
) -> None:
    terminal = at_terminal(office, "get", "nobody", **environment)

    terminal.finish()

    assert (re.search(rb"\x1b\[[0-9;]*31m", terminal.seen) is not None) is colours


def test_an_interrupt_while_the_operator_thinks_ends_the_command(closed_office: Office) -> None:
    closed_office.socket.parent.mkdir(parents=True, mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(closed_office.socket))
        listener.listen()
        process = subprocess.Popen(
            closed_office.command("list"),
            env=dict(closed_office.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        connection, _ = listener.accept()
        with connection:
            connection.recv(1)
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=60)

    assert process.returncode == 130
    assert output == (b"", b"")


def test_an_operator_that_dies_while_it_answers_is_reported(closed_office: Office) -> None:
    closed_office.socket.parent.mkdir(parents=True, mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(closed_office.socket))
        listener.listen()
        process = subprocess.Popen(
            closed_office.command("list"),
            env=dict(closed_office.environment),
            stderr=subprocess.PIPE,
        )
        connection, _ = listener.accept()
        connection.close()
        _, said = process.communicate(timeout=60)

    assert process.returncode == 6
    assert b"keyturn history tells whether a change was made" in said


def test_a_reader_that_has_enough_is_no_error(office: Office) -> None:
    for number in range(20):
        office.apply(f"db-{number}", "password")
    process = subprocess.Popen(
        office.command("list", "-o", "json"),
        env=dict(office.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None

    process.stdout.close()
    said = process.stderr.read()
    process.wait(60)
    process.stderr.close()

    assert said == b""


def test_a_full_disk_behind_the_output_is_an_error(office: Office) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            office.command("list"),
            env=dict(office.environment),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == b"error: cannot write the output: No space left on device\n"


def test_a_value_is_in_no_command_line_and_no_environment(office: Office, canary: Canary) -> None:
    value = canary.make()
    process = subprocess.Popen(
        office.command("put", "db", "--key", "password"),
        env=dict(office.environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(value)
    process.stdin.flush()
    time.sleep(0.5)

    leaks = canary.scan_processes([process.pid])
    process.communicate(timeout=60)

    assert process.returncode == 0
    assert leaks == []


def test_without_an_operator_the_store_itself_gives_the_same_answer(office: Office) -> None:
    office.keyturn("put", "db", "--key", "password", stdin=b"secret")
    commands = (
        ("describe", "db"),
        ("history", "db"),
        ("list",),
        ("get", "db", "--reveal", "-o", "json"),
        ("get", "nobody"),
    )
    answered = [office.keyturn(*command) for command in commands]
    office.stop()

    alone = [office.keyturn(*command) for command in commands]

    assert [(d.returncode, d.stdout, d.stderr) for d in alone] == [
        (d.returncode, d.stdout, d.stderr) for d in answered
    ]


def test_a_value_put_without_an_operator_is_there_when_it_runs_again(office: Office) -> None:
    office.stop()
    done = office.keyturn("put", "db", "--key", "password", stdin=b"secret")
    office.start()

    shown = office.keyturn("get", "db", "--reveal", "--key", "password")

    assert done.returncode == 0
    assert shown.stdout == b"secret"


def test_without_an_operator_a_key_in_the_cluster_is_no_key_that_is_lost(office: Office) -> None:
    office.stop()

    ended = office.keyturn("history", "db", environment={"KEYTURN_KEY_FILE": ""})

    assert ended.returncode == 6
    assert b"the default key is in the cluster; start keyturn run" in ended.stderr


def test_a_store_that_is_held_by_one_who_does_not_answer_stays_locked(
    closed_office: Office,
) -> None:
    closed_office.start(answering=False)

    done = closed_office.keyturn("list")

    assert done.returncode == 6  # It says to try again, and so does the code.
    assert b"another process holds the store" in done.stderr
    assert b"KEYTURN_SOCKET" in done.stderr


def test_a_damaged_store_is_told_by_its_own_exit_code(office: Office) -> None:
    office.stop()
    (office.data_dir / "store.sqlite3").write_bytes(b"no store " * 1000)

    done = office.keyturn("list")

    assert done.returncode == 70
    assert done.stderr.count(b"\n") == 1


def test_where_there_is_nothing_it_says_what_to_set(closed_office: Office) -> None:
    done = closed_office.keyturn("list")

    assert done.returncode == 6
    assert b"KEYTURN_SOCKET" in done.stderr
    assert not closed_office.data_dir.exists()


def test_version_needs_no_operator(closed_office: Office) -> None:
    done = closed_office.keyturn("version")

    assert done.returncode == 0
    assert b"none answers on" in done.stdout


@as_root
def test_another_user_is_told_whose_socket_it_is(office: Office, tmp_path: Path) -> None:
    open_to_all(tmp_path, office.data_dir)
    # Once as root and to its error: all that a command loads on its way is loaded then.
    command = "from keyturn.cli.root import invoke; invoke(['get', 'nobody'])\n"
    command += BECOME_NOBODY + "sys.exit(invoke(['get', 'nobody']))"

    done = subprocess.run(
        [sys.executable, "-c", command], env=office.environment, capture_output=True, check=False
    )

    assert done.returncode == 5
    assert b"kubectl keyturn" in done.stderr


@as_root
def test_a_value_is_not_given_to_a_socket_of_another_user(
    closed_office: Office, tmp_path: Path
) -> None:
    folder = tmp_path / "public"
    folder.mkdir()
    open_to_all(tmp_path)
    folder.chmod(0o777)
    path = folder / "keyturn.sock"
    impostor = BECOME_NOBODY + (
        "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print(flush=True)\n"
        "c, _ = s.accept(); sys.stdout.write(c.recv(99).decode())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", impostor, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()

    done = closed_office.keyturn(
        *("put", "db", "--key", "a"),
        stdin=b"secret",
        environment={"KEYTURN_SOCKET": str(path)},
    )

    assert done.returncode == 5
    assert b"nothing was sent to it" in done.stderr
    assert process.communicate(timeout=60)[0] == b""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("keyturn rol", ["rollback"]), ("keyturn get d", ["db"]), ("keyturn get -n shop a", ["api"])],
)
def test_the_shell_completes_commands_and_names(
    office: Office, typed: str, offered: list[str]
) -> None:
    office.apply("api", "token", namespace="shop")
    words = typed.split()

    done = office.keyturn(
        environment={
            "_KEYTURN_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(words) - 1),
        }
    )

    assert done.stdout.decode().split() == offered


def test_completion_is_quiet_without_an_operator(closed_office: Office) -> None:
    done = closed_office.keyturn(
        environment={
            "_KEYTURN_COMPLETE": "complete_bash",
            "COMP_WORDS": "keyturn get d",
            "COMP_CWORD": "2",
        }
    )

    assert (done.stdout.strip(), done.stderr) == (b"", b"")


BROKEN = """
import os
from keyturn.cli import root

@root.app.command()
def broken():
    value = os.environ["VALUE"]
    raise ValueError(value)

root.main()
"""


def test_what_nobody_foresaw_is_one_line_without_its_text(canary: Canary) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKEN, "broken"],
        env={"VALUE": canary.make().decode()},
        capture_output=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith(b"error: unexpected ValueError at ")
    assert done.stderr.count(b"\n") == 1
    assert canary.scan_bytes(done.stdout + done.stderr) == []


RUNNING = """
import asyncio, sys
from keyturn.cli.running import until_signalled
from keyturn.observability.logging import configure

async def work():
    print("began", flush=True)
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(float(sys.argv[1]))
        print("clean", flush=True)

configure("info")
asyncio.run(until_signalled(work()))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_operator_cleanly(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNING, "0.2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()

    process.send_signal(number)
    told, logged = process.communicate(timeout=60)

    assert (process.returncode, told) == (0, b"clean\n")
    assert f"stopping on {number.name}".encode() in logged


def test_a_second_signal_ends_it_at_once() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNING, "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.stderr.readline()

    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=60)

    assert (process.returncode, told) == (128 + signal.SIGTERM, b"")
