"""`kubectl keyturn`: the same commands, run beside the operator in its pod.

kubectl finds this plugin by its name on PATH. What is about the cluster (--context and the like)
goes to kubectl, the rest to `keyturn` in the pod; a file that is read is opened here, as the pod
does not have it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from keyturn.cli import client, exits, root
from keyturn.domain.errors import InvalidParameterError, KeyturnError, NotFoundError
from keyturn.settings import Settings

STDIN = "-"

_OF_KUBECTL = frozenset(
    (
        *("--context", "--kubeconfig", "--cluster", "--user", "--server", "--token"),
        *("--as", "--as-group", "--as-uid", "--tls-server-name", "--certificate-authority"),
        *("--client-certificate", "--client-key", "--request-timeout", "--cache-dir"),
    )
)
_NAMESPACED = frozenset(
    (
        *("list", "describe", "history", "get", "put", "rollback", "restore"),
        *("rotate", "rotations", "consumers"),
    )
)
_HERE = frozenset(("demo",))
_FILES = ("--from-file", "--from-json")
_NAMESPACE = ("-n", "--namespace", "-A", "--all-namespaces")
_HELP = ("-h", "--help")


@dataclass(slots=True)
class Split:
    """What was typed, by whom it is for; `file` is to be read here and sent along."""

    kubectl: list[str] = field(default_factory=list)
    keyturn: list[str] = field(default_factory=list)
    file: str | None = None

    @property
    def command(self) -> str:
        return next((word for word in self.keyturn if not word.startswith("-")), "")

    @property
    def has_namespace(self) -> bool:
        return any(
            word in _NAMESPACE
            or word.startswith("--namespace=")
            or (word.startswith("-n") and not word.startswith("--"))
            for word in self.keyturn
        )


def split(arguments: Sequence[str]) -> Split:
    """Part the arguments of kubectl from those of keyturn.

    >>> split(["get", "db", "--context", "shop", "-n", "web"])
    Split(kubectl=['--context', 'shop'], keyturn=['get', 'db', '-n', 'web'], file=None)

    Raises:
        InvalidParameterError: an option has no value.
    """
    found, words = Split(), iter(arguments)
    for word in words:
        option, equals, value = word.partition("=")
        if option in _OF_KUBECTL:
            found.kubectl += [word] if equals else [word, _next(words, option)]
        elif option in _FILES:
            file = value if equals else _next(words, option)
            found.keyturn += [option, STDIN]
            found.file = None if file == STDIN else file
        else:
            found.keyturn.append(word)
    return found


def main() -> NoReturn:
    """Run the command in the operator's pod, or here where an operator answers here."""
    arguments = sys.argv[1:]
    try:
        settings, parts = Settings.load(), split(arguments)
        here = parts.command in _HERE or not parts.command or any(w in _HELP for w in arguments)
        if here or client.is_answering(settings):
            # Without kubectl's own options, which mean nothing on a socket.
            sys.argv[1:] = _without(arguments, parts)
            root.main()
        _exec(settings, parts)
    except KeyturnError as error:
        sys.exit(exits.report(error))


def command_line(kubectl: str, settings: Settings, parts: Split, *, terminal: bool) -> list[str]:
    """Make the call of kubectl; with the namespace of its context where none was named."""
    namespace: list[str] = []
    if parts.command in _NAMESPACED and not parts.has_namespace:
        namespace = ["-n", _namespace_of_context(kubectl, parts.kubectl)]
    # Only put reads stdin: in a loop over lines no other command may take them.
    reads = ["-i"] if parts.command == "put" or terminal else []
    return [
        kubectl,
        *parts.kubectl,
        "exec",
        *reads,
        *(["-t"] if terminal else []),
        *("-n", settings.namespace, settings.workload, "--", "keyturn"),
        *parts.keyturn,
        *namespace,
    ]


def _exec(settings: Settings, parts: Split) -> NoReturn:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise NotFoundError("kubectl is not on PATH; install it, or run keyturn by the operator")
    if parts.file is not None:
        _send(parts.file)
    terminal = parts.file is None and all(os.isatty(number) for number in (0, 1, 2))
    line = command_line(kubectl, settings, parts, terminal=terminal)
    os.execv(kubectl, line)  # noqa: S606 - no shell on purpose; signals and the exit code are its


def _send(file: str) -> None:
    try:
        opened = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidParameterError(f"cannot read {file}: {error.strerror}") from error
    os.dup2(opened, 0)


def _namespace_of_context(kubectl: str, options: Sequence[str]) -> str:
    asked = subprocess.run(  # noqa: S603 - kubectl of the user's own PATH
        [kubectl, *options, "config", "view", "--minify", "--output=jsonpath={..namespace}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or "default"


def _without(arguments: Sequence[str], parts: Split) -> list[str]:
    """Leave out what was for kubectl; the files stay files."""
    left, dropped = [], list(parts.kubectl)
    for word in arguments:
        if dropped and word == dropped[0]:
            dropped.pop(0)
        else:
            left.append(word)
    return left


def _next(words: Iterator[str], option: str) -> str:
    value = next(words, None)
    if value is None:
        raise InvalidParameterError(f"{option} needs a value")
    return value
