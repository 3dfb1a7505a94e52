"""Where the steps of the demo play, with a look at the cluster and the operator."""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keyturn.cli.demo.cluster import NAMESPACE
from keyturn.cli.demo.errors import StepFailedError
from keyturn.cli.demo.kubectl import Json, Kubectl
from keyturn.cli.demo.operating import Operator
from keyturn.cli.demo.screen import Screen

WAIT_SECONDS = 90.0
"""Longer than anything takes on a busy machine; a failure is told after that."""

_POLL_SECONDS = 0.1
_FINGERPRINT = 12


@dataclass(frozen=True, slots=True)
class Stage:
    """All that a step needs."""

    screen: Screen
    kubectl: Kubectl
    operator: Operator
    examples: Path
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def until(self, what: str, problem: Callable[[], str]) -> None:
        """Wait, and show it, until there is no problem left.

        Raises:
            StepFailedError: there is one in the end; it is told.
            ProcessFailedError: the operator ended.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        with self.screen.waiting(f"Waiting until {what}") as tick:
            while seen := problem():
                self.operator.check()
                if time.monotonic() > deadline:
                    raise StepFailedError(f"{what}, within {WAIT_SECONDS:.0f} s", seen)
                tick()
                time.sleep(_POLL_SECONDS)

    def keyturn(self, *arguments: str, stdin: bytes = b"") -> str:
        """Show a command of the CLI, run it, show and return what it printed."""
        self.screen.command("keyturn", *arguments)
        said = self.operator.keyturn(*arguments, stdin=stdin)
        self.screen.say(said.rstrip("\n"))
        return said

    def run_kubectl(self, *arguments: str) -> str:
        """Show a command of kubectl in the namespace of the demo, and run it."""
        self.screen.command("kubectl", *arguments, "-n", NAMESPACE)
        return self.kubectl.run(*arguments, "-n", NAMESPACE)

    def data(self, name: str) -> dict[str, bytes]:
        """Read the values of a native Secret; none if there is no such Secret."""
        found = self.kubectl.run(
            *("get", "secret", name, "-n", NAMESPACE, "--ignore-not-found"),
            "-o=go-template={{range $k, $v := .data}}{{$k}} {{$v}}{{println}}{{end}}",
        )
        pairs = (line.split(" ") for line in found.splitlines())
        return {key: base64.b64decode(value) for key, value in pairs}

    def unready(self, *names: str) -> str:
        """Say which ManagedSecrets are not ready, and why; of all if none is named."""
        told = self.readiness()
        problems = {name: told.get(name, "there is none") for name in names or told}
        return in_words(problems)

    def readiness(self) -> dict[str, str]:
        """Say of each ManagedSecret why it is not ready; nothing of one that is."""
        items = self.kubectl.json("get", "managedsecrets", "-n", NAMESPACE)["items"]
        return {item["metadata"]["name"]: _problem(item) for item in items}

    def fingerprint(self, value: bytes) -> str:
        """Tell a value from another without showing it: under a key that this demo forgets."""
        return hmac.new(self._key, value, hashlib.sha256).hexdigest()[:_FINGERPRINT]


def in_words(problems: Mapping[str, str]) -> str:
    """Say what is amiss, and with what.

    >>> in_words({"db": "", "api": "it waits"})
    'api: it waits'
    """
    return "; ".join(f"{name}: {problem}" for name, problem in problems.items() if problem)


def _problem(item: Json) -> str:
    for condition in item.get("status", {}).get("conditions", []):
        is_new = condition["observedGeneration"] == item["metadata"]["generation"]
        if condition["type"] == "Ready" and is_new:
            if condition["status"] == "True":
                return ""
            return f"{condition['reason']}: {condition['message']}"
    return "the operator has not seen it yet"
