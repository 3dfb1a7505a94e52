"""How a command waits for a rotation, which goes on in the operator whether it waits or not."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from keyturn.api import routes
from keyturn.api.routes import Asked
from keyturn.cli import client, output
from keyturn.cli.exits import print_note
from keyturn.domain.errors import ConflictError
from keyturn.domain.rotation import Outcome
from keyturn.domain.secret import SecretName
from keyturn.settings import Settings

Json = dict[str, Any]

FIRST_PAUSE, LAST_PAUSE = 0.05, 1.0
"""Seconds between two looks: short at first, as most rotations end at once."""

PATIENCE = 120.0
"""Seconds that an operator may be silent, for example because it starts anew."""

_DOING = {
    "createPending": "is being made",
    "setPending": "is being set in the target",
    "testPending": "is being tested in the target",
    "promote": "is about to be Current",
    "project": "is Current, and is being projected",
    "undo": "is being undone",
}


def journal(settings: Settings, name: SecretName) -> Json:
    """Ask for the rotations of a secret, of which the newest come first."""
    return client.ask_running(settings, routes.ROTATIONS, Asked(name))


def patiently(ask: Callable[[], Json]) -> Json:
    """Ask until the operator answers.

    Raises:
        SilentOperatorError: it did not for a long time.
        KeyturnError: what it answered.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except client.SilentOperatorError:
            if time.monotonic() >= until:
                raise
        time.sleep(LAST_PAUSE)


def follow(look: Callable[[], Json], rotation: Json, seen: Callable[[Json], None]) -> Json:
    """Wait until a rotation is over, or until one more try of it has failed.

    `look` gives the journal, `seen` is called with the rotation as each look found it.

    Raises:
        ConflictError: the journal does not know it any more.
        SilentOperatorError: the operator did not answer for a long time.
    """
    failures, pause = rotation["failures"], FIRST_PAUSE
    while True:
        seen(rotation)
        if rotation["outcome"] is not None or rotation["failures"] > failures:
            return rotation
        time.sleep(pause)
        pause = min(pause * 1.5, LAST_PAUSE)
        rotation = with_id(patiently(look), rotation["id"])


def with_id(found: Json, rotation_id: str) -> Json:
    """Find a rotation in a journal. Raises: ConflictError: it is not there."""
    for rotation in found["items"]:
        if rotation["id"] == rotation_id:
            return dict(rotation)
    raise ConflictError(
        f"the rotation of {found['namespace']}/{found['name']} is not in its journal any more"
    )


def with_token(found: Json, token: str) -> Json | None:
    """Find the rotation that a token began."""
    return next((dict(each) for each in found["items"] if each["token"] == token), None)


def has_succeeded(rotation: Json) -> bool:
    return bool(rotation["outcome"] == Outcome.SUCCEEDED)


def why_not(rotation: Json) -> str:
    """Say why a rotation did not succeed, and whether it is tried again."""
    if rotation["outcome"] is not None:
        why = rotation["givenUp"] or "it could not be gone on with"
        return f"it was given up: {why}"
    again = f" at {rotation['retryTime']}" if rotation["retryTime"] else ""
    return f"{rotation['message']} ({rotation['code']}); it is tried again by itself{again}"


@contextmanager
def status(name: SecretName) -> Iterator[Callable[[Json], None]]:
    """Show on a terminal, and only there, what a rotation is about inside the `with`."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as line:

        def show(rotation: Json) -> None:
            doing = _DOING.get(rotation["step"] or "", "is being looked at")
            failed = f", {rotation['failures']} tries failed" if rotation["failures"] else ""
            line.update(output.visible(f"{name}: version {rotation['version']} {doing}{failed}"))

        yield show


def wait(settings: Settings, name: SecretName, rotation: Json) -> Json:
    """Follow one rotation and show it; ^C ends the waiting and nothing else."""
    try:
        with status(name) as show:
            return follow(lambda: journal(settings, name), rotation, show)
    except KeyboardInterrupt:
        print_note(f"the rotation goes on by itself; {commands(name)}")
        raise


def commands(name: SecretName) -> str:
    """Say how to look after a rotation, and how to end it."""
    of = f"{name.name} -n {name.namespace}"
    return f"keyturn rotations {of} shows it, keyturn rotate {of} --cancel gives it up"
