"""The steps in which the examples become Secrets, and a value that is awaited is given."""

import itertools
import secrets
from collections.abc import Sequence

from keyturn.cli.demo.cluster import NAMESPACE
from keyturn.cli.demo.errors import StepFailedError
from keyturn.cli.demo.stage import Stage, in_words

AWAITING, AWAITED_KEY = "payments-api", "apiToken"

_OURS = "keyturn.dev/secret-id"


def show_examples(stage: Stage) -> None:
    """Apply the examples and show what became of them."""
    stage.screen.step(
        "The examples", "Each ManagedSecret gets its first version, and says how it fares."
    )
    stage.run_kubectl("apply", "--server-side", "-f", str(stage.examples))
    stage.until(f"all but {AWAITING} are ready", lambda: _unready_but_awaiting(stage))
    listed = stage.run_kubectl("get", "managedsecrets")
    stage.screen.table(*columns_of(listed))


def show_secrets(stage: Stage) -> None:
    """Show the native Secrets, without their values."""
    stage.screen.step(
        "The Secrets", "Each is an ordinary Secret that pods mount; the values are not shown here."
    )
    found = stage.kubectl.json("get", "secrets", "-n", NAMESPACE, "-l", _OURS)["items"]
    if not found:
        raise StepFailedError("Secrets with the label " + _OURS, "none")
    rows = [(s["metadata"]["name"], s["type"], ", ".join(sorted(s["data"]))) for s in found]
    stage.screen.table(("NAME", "TYPE", "KEYS"), rows)


def show_input(stage: Stage) -> None:
    """Give the value that one of the examples waits for."""
    stage.screen.step(
        "A value that a person gives", f"{AWAITING} waits for its {AWAITED_KEY}; put gives it."
    )
    stage.screen.say(stage.unready(AWAITING))
    put(stage, secrets.token_urlsafe(24).encode())
    stage.until(f"{AWAITING} is ready", lambda: stage.unready(AWAITING))
    stage.screen.well(
        f"The Secret {AWAITING} is there; the value was on stdin, not in an argument."
    )


def put(stage: Stage, value: bytes) -> None:
    """Give a value on stdin; the output says which version it made."""
    arguments = ("put", AWAITING, "-n", NAMESPACE, "--key", AWAITED_KEY)
    stage.keyturn(*arguments, stdin=value)


def columns_of(listed: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    r"""Read a table of kubectl: a cell begins where the name of its column does.

    >>> columns_of("NAME   READY   AGE\ndb     True    1s\napi            2s\n")
    (['NAME', 'READY', 'AGE'], [['db', 'True', '1s'], ['api', '', '2s']])
    """
    header, *lines = listed.splitlines()
    starts = [
        place for place in range(len(header)) if header[place] != " " and _begins(header, place)
    ]
    spans = list(itertools.pairwise([*starts, None]))
    read = [[line[start:end].strip() for start, end in spans] for line in (header, *lines)]
    return read[0], read[1:]


def _begins(header: str, place: int) -> bool:
    # One space may stand within a name; columns are three apart.
    return place == 0 or header[max(0, place - 2) : place] == "  "


def _unready_but_awaiting(stage: Stage) -> str:
    told = stage.readiness()
    if told.get(AWAITING, "").startswith("AwaitingInput"):
        del told[AWAITING]
    return in_words(told)
