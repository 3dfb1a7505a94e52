"""A campaign: many secrets are rotated, so many at once, and it can be taken up again.

Its name is the token of every rotation that it begins. So the journals tell what is done already,
and nothing of a campaign is kept anywhere else.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from keyturn.cli import following
from keyturn.domain.errors import KeyturnError
from keyturn.domain.label_selector import LabelSelector
from keyturn.domain.secret import SecretName

Json = dict[str, Any]


class Standing(StrEnum):
    """How a secret stands in a campaign, as its journal tells."""

    WAITS = "to be rotated"
    UNDER_WAY = "under way"
    ROTATED = "rotated already"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a secret; a `version` means that it was rotated, else there is a `why`."""

    name: SecretName
    version: int | None = None
    code: str = ""
    why: str = ""


def chosen(document: Json, selector: LabelSelector) -> list[SecretName]:
    """Select the secrets that are rotated by their labels."""
    return [
        SecretName(item["namespace"], item["name"])
        for item in document["items"]
        if selector.matches(item["labels"])
    ]


def unread(document: Json) -> list[Result]:
    """List those whose resource cannot be read, so that nobody knows whether they are selected."""
    return [
        Result(SecretName(item["namespace"], item["name"]), code="Unread", why=item["problem"])
        for item in document["unread"]
    ]


def standing_of(journal: Json, campaign: str) -> Standing:
    rotation = following.with_token(journal, campaign)
    if rotation is None:
        return Standing.WAITS
    if rotation["outcome"] is None:
        return Standing.UNDER_WAY
    return Standing.ROTATED if following.has_succeeded(rotation) else Standing.GIVEN_UP


def in_order(standings: Iterable[tuple[SecretName, Standing]]) -> list[SecretName]:
    """Put last what is under way: it goes on meanwhile, and some of it waits for a next try."""
    known = list(standings)
    return [name for name, _ in sorted(known, key=lambda one: one[1] is Standing.UNDER_WAY)]


def result_of(name: SecretName, rotation: Json) -> Result:
    if following.has_succeeded(rotation):
        return Result(name, version=rotation["version"])
    return Result(name, code=rotation["code"] or "", why=following.why_not(rotation))


def run(
    names: Sequence[SecretName],
    rotate: Callable[[SecretName], Result],
    tell: Callable[[Result], None],
    *,
    at_once: int,
) -> list[Result]:
    """Rotate each one, at most so many at once; `tell` is called here with each that ends.

    One that fails does not stop the others. When the caller is interrupted, those at work are left
    to themselves, and no other is begun.
    """
    waiting: queue.SimpleQueue[SecretName] = queue.SimpleQueue()
    ended: queue.SimpleQueue[Result | Exception] = queue.SimpleQueue()
    stopped = threading.Event()
    for name in names:
        waiting.put(name)

    def work() -> None:
        while not stopped.is_set():
            try:
                name = waiting.get_nowait()
            except queue.Empty:
                return
            ended.put(_outcome(rotate, name))

    for _ in range(min(at_once, len(names))):
        # A daemon: an answer that does not come must not keep the command from ending.
        threading.Thread(target=work, daemon=True).start()
    try:
        results = []
        for _ in names:
            result = ended.get()
            if isinstance(result, Exception):
                raise result
            results.append(result)
            tell(result)
        return results
    finally:
        stopped.set()


def _outcome(rotate: Callable[[SecretName], Result], name: SecretName) -> Result | Exception:
    try:
        return rotate(name)
    except KeyturnError as error:
        return Result(name, code=error.code, why=error.message)
    except Exception as error:  # noqa: BLE001 - it is raised where the command ends
        return error
