"""What a pod template says of the versions that its workload was last restarted for; pure."""

import hashlib
from collections.abc import Collection, Sequence

from keyturn.domain.consumers import HOLDING, Spell, Workload

PREFIX = "keyturn.dev/version."
"""How the annotations begin that the operator writes into pod templates, and no others."""

_LONGEST_NAME = 63
_HASHED = 10


def annotation_key(name: str) -> str:
    """Name the annotation of a ManagedSecret in the pod templates of its namespace.

    The part after the slash has 63 characters at most, so long names are cut, and told apart by
    what they hash to.

    >>> annotation_key("orders-db")
    'keyturn.dev/version.orders-db'
    """
    room = _LONGEST_NAME - len(PREFIX.partition("/")[2])
    if len(name) <= room:
        return PREFIX + name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASHED]
    return f"{PREFIX}{name[: room - _HASHED - 1].rstrip('.-')}-{digest}"


def used_by(workload: Workload, native_names: Collection[str]) -> frozenset[str]:
    """Tell which of these native Secrets the containers of a workload's template hold."""
    return frozenset(
        name for name in native_names if workload.uses.get(name, frozenset()) & HOLDING
    )


def mark_of(spells: Sequence[Spell], native_names: Collection[str], version: int) -> str | None:
    """Make what the annotation says of a version: its number, and which time it is on, if again.

    None as long as one of the native Secrets does not show the version: pods that start now would
    not get it.

    >>> from datetime import UTC, datetime
    >>> then = datetime(2026, 1, 1, tzinfo=UTC)
    >>> mark_of([Spell("db", 6, then), Spell("db", 7, then), Spell("db", 6, then)], ["db"], 6)
    '6-2'
    """
    turns = []
    for name in native_names:
        shown = [spell.version for spell in spells if spell.native_name == name]
        if not shown or shown[-1] != version:
            return None
        turns.append(shown.count(version))
    turn = max(turns, default=0)
    if not turn:
        return None
    return str(version) if turn == 1 else f"{version}-{turn}"


def is_marked(workload: Workload, key: str, mark: str | None) -> bool:
    """Tell whether a workload's template has an annotation with that mark."""
    return mark is not None and workload.template_annotations.get(key) == mark


def was_restarted_for(
    workload: Workload,
    name: str,
    native_names: Collection[str],
    spells: Sequence[Spell],
    version: int,
) -> bool:
    """Tell whether a workload's template names the version of a ManagedSecret."""
    mark = mark_of(spells, used_by(workload, native_names), version)
    return is_marked(workload, annotation_key(name), mark)
