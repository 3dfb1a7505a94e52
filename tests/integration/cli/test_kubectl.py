"""The kubectl plugin as a process, with a kubectl that tells what it was asked."""

import subprocess
import sys
from pathlib import Path

import pytest

from office import Office

KUBECTL = """#!/bin/sh
case " $* " in *" config view "*) printf web; exit;; esac
for word in "$@"; do printf '%s\\n' "$word"; done
/bin/cat
exit 42
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A PATH with nothing but that kubectl."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "kubectl").write_text(KUBECTL)
    (folder / "kubectl").chmod(0o755)
    return folder


def plugin(
    office: Office, folder: Path, *arguments: str, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", "from keyturn.cli.kubectl import main; main()", *arguments],
        env={**office.environment, "PATH": str(folder)},
        input=stdin,
        capture_output=True,
        check=False,
    )


def test_kubectl_takes_over_with_its_output_and_exit_code(
    closed_office: Office, folder: Path
) -> None:
    done = plugin(closed_office, folder, "get", "db", "--context", "shop")

    assert done.returncode == 42
    assert done.stdout.decode().split() == [
        *("--context", "shop", "exec", "-n", "keyturn-system", "statefulset/keyturn", "--"),
        *("keyturn", "get", "db", "-n", "web"),
    ]


def test_the_namespace_of_the_context_is_used(closed_office: Office, folder: Path) -> None:
    done = plugin(closed_office, folder, "get", "db")

    assert done.stdout.decode().split()[-2:] == ["-n", "web"]


def test_a_file_is_sent_to_the_pod(closed_office: Office, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(b"the bytes of the file")

    done = plugin(
        closed_office, folder, "put", "db", "-n", "web", "--key", "a", "--from-file", str(file)
    )

    assert done.stdout.endswith(b"--from-file\n-\nthe bytes of the file")


def test_a_file_that_is_not_there_is_named(closed_office: Office, folder: Path) -> None:
    done = plugin(closed_office, folder, "put", "db", "--key", "a", "--from-file", "none")

    assert done.returncode == 2
    assert done.stderr == b"error: cannot read none: No such file or directory\n"


def test_an_operator_that_answers_here_is_asked_itself(office: Office, folder: Path) -> None:
    office.keyturn("put", "db", "--key", "password", stdin=b"secret")

    done = plugin(office, folder, "get", "db", "--reveal", "--key", "password", "--context", "shop")

    assert (done.returncode, done.stdout) == (0, b"secret")


def test_help_needs_no_cluster(closed_office: Office, folder: Path) -> None:
    done = plugin(closed_office, folder, "get", "--help")

    assert done.returncode == 0
    assert b"Usage: keyturn get" in done.stdout


def test_without_kubectl_it_says_so(closed_office: Office, folder: Path) -> None:
    (folder / "kubectl").unlink()

    done = plugin(closed_office, folder, "list")

    assert done.returncode == 3
    assert b"kubectl is not on PATH" in done.stderr
